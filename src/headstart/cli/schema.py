"""`headstart schema`: the JSON Schemas of all files that are read and written, for editors and for other programs."""

import json
from typing import Annotated, Any, Literal

import typer

from headstart.cli.output import Json, output
from headstart.core.errors import UsageError, nearest


def schema(
    name: Annotated[str | None, typer.Argument(help="Of a file, as arm-runs; without it all names.")] = None,
    as_json: Json = False,
) -> None:
    """Print the JSON Schema (draft 2020-12) of a file; it is JSON also without --json."""
    if name is not None:
        typer.echo(json.dumps(schema_of(name), indent=2))
        return
    with output(as_json) as out:
        names = list(models())
        out.found(schemas=names)
        out.verbatim("\n".join(names))


def models() -> dict[str, Any]:
    """Name → the model or union of models of one document; of a file of lines, of one line."""
    from headstart.compare.arm_runs import ArmRuns, CloneRuns
    from headstart.compare.comparison import Comparison
    from headstart.compare.shift import ShiftFindings
    from headstart.config.history import Line
    from headstart.config.notify import Notification
    from headstart.config.schedule import Arm
    from headstart.core.contents import Contents
    from headstart.core.run_record import RunRecord
    from headstart.core.verdict import Verdict
    from headstart.dataset.catalogue import Catalogue, Marks
    from headstart.dataset.drafts import Draft
    from headstart.dataset.episodes import Header
    from headstart.dataset.flags import Flags
    from headstart.dataset.manifest import DatasetManifest
    from headstart.dataset.observation import ObservationSchema
    from headstart.deploy.contract import PolicyContract
    from headstart.runs.checkpoint import Card
    from headstart.runs.clone_job import CloneProgress
    from headstart.runs.clone_report import CloneReports, Reference
    from headstart.runs.experiment import ExperimentRecord
    from headstart.runs.expert_record import ExpertPolicy
    from headstart.runs.progress import Progress
    from headstart.runs.recorded import Environment, Source
    from headstart.runs.targets import TargetHistory
    from headstart.runs.tuning import TuningRecord
    from headstart.telemetry.imported import ANY_IMPORTED
    from headstart.telemetry.kinds import ANY_LINE
    from headstart.telemetry.writer import SegmentIndex

    return {
        "anneal-schedule": Arm,
        "arm-runs": ArmRuns,
        "catalogue": Catalogue,
        "catalogue-marks": Marks,
        "checkpoint": Card,
        "clone-progress": CloneProgress,
        "clone-reports": CloneReports,
        "clone-runs": CloneRuns,
        "comparison": Comparison,
        "contents": Contents,
        "dataset": DatasetManifest,
        "draft": Draft,
        "environment": Environment,
        "episodes": Header,  # the header; the columns are in episodes_file
        "experiment": ExperimentRecord,
        "expert-policy": ExpertPolicy,
        "flags": Flags,
        "history": Line,  # a line
        "notification": Notification,  # a line
        "observation": ObservationSchema,
        "policy-contract": PolicyContract,
        "progress": Progress,
        "reference": Reference,
        "run": RunRecord,
        "shift": ShiftFindings,
        "source": Source,
        "targets": TargetHistory,
        "telemetry-index": SegmentIndex,
        "telemetry": ANY_LINE,  # a line
        "telemetry-imported": ANY_IMPORTED,  # a line
        "tuning": TuningRecord,
        "verdict": Verdict,
    }


def schema_of(name: str) -> dict[str, Any]:
    """The schema of the file of that name; UsageError lists the names that there are."""
    from pydantic import TypeAdapter

    known = models()
    if name not in known:
        raise UsageError(f"no schema {name!r}{nearest(name, known)}; there are {', '.join(known)}")
    written: Literal["validation", "serialization"]
    written = "validation" if name == "anneal-schedule" else "serialization"  # a person writes it, and may leave out defaults
    model = known[name]
    found = (model if isinstance(model, TypeAdapter) else TypeAdapter(model)).json_schema(mode=written)
    if name == "anneal-schedule":
        ramp = found["$defs"]["Ramp"]
        found["$defs"]["Ramp"] = {"anyOf": [{"type": "number"}, ramp], "description": ramp.pop("description")}
        found["required"] = ["schema", *found["required"]]
    return found | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
