"""What the stage `source` found of what a user brings to a scenario (`source/1`), and the artefact that stands for the expert of a recording."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.core.record import Count, Record, RelativePath, Sha256
from headstart.core.verdict import Subject, Verdict, at_least, judge, not_applicable
from headstart.dataset.episodes import Absent
from headstart.runs.expert_record import ExpertPolicy

SOURCE = "source.json"  # beside the episodes of a recording


class Source(Record):
    """A recording, the hash of the user's own expert, that of an environment; of a scenario that brings nothing all is empty, and the same in
    every project."""

    schema_id: Literal["source/1"] = "source/1"
    sha256: Sha256 | None = None  # of the user's own expert, or of `files`
    environment_sha256: Sha256 | None = None  # of the code of an environment that is none of this package
    format: str | None = None  # of the recording, as all that follows
    files: dict[RelativePath, Sha256] = Field(default={})
    seed: int = 0
    episodes: Count = 0
    steps: Count = 0
    absent: tuple[Absent, ...] = ()
    score: Score | None = None  # of the recorded episodes themselves; None: their rewards, success or harm are absent


def source_folder(scenario: Scenario) -> Path:
    """Where the stage `source` leaves its record, and the episodes of a recording."""
    return DATA / scenario.name / "source"


def found_recording(scenario: Scenario) -> Source:
    """InputError where the stage `source` has not found the recording of the scenario."""
    path, made_by = source_folder(scenario) / SOURCE, stage_command("source", scenario.name)
    found = read_record(path, Source, made_by=made_by)
    if found.format is None:
        raise InputError(f"{path}: expected the recording that the scenario names, got none; `{made_by}` reads it")
    return found


def judge_recorded(params: Params, scenario: Scenario) -> tuple[ExpertPolicy, Verdict]:
    """The artefact of the recorded demonstrations. Nobody acts, so their quality is a question for the gates of the dataset."""
    found = found_recording(scenario)
    assert found.sha256 is not None
    score, blocks = found.score, params.capture.blocks
    text = f"{found.episodes} recorded episodes of {found.steps} steps for {blocks} blocks"
    checks = [at_least("episodes", found.episodes, 2 * blocks, text, found.episodes)]
    why = "demonstrations are recorded already, and `validate` holds them to its gates"
    checks += [not_applicable(name, direction, None, why) for name, direction in (("success", ">="), ("harm", "<="))]  # type: ignore[arg-type]
    subject = Subject(type="expert", id=f"{scenario.name}/demonstrations", sha256=found.sha256)
    expert = ExpertPolicy(
        kind="demonstrations",
        world=scenario.world,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=found.sha256,
        seed=found.seed,
        score=score,
        state="approved",
        diagnostics=(),
    )
    return expert, judge(subject, checks, {"blocks": blocks})
