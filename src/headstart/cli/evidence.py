"""`headstart evidence` runs the full comparison, one DVC experiment after the other; `headstart results` writes docs/results.md from its
records.
"""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.output import Json, output
from headstart.core.errors import HeadstartError, InputError
from headstart.core.extras import require_torch

RESULTS = Path("docs/results.md")


def evidence(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXPERIMENT]...", help="Of `evidence` in params.yaml; all.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the experiments of the full comparison that are not on record with today's code and settings: reports/evidence."""
    from headstart.config.params import load_params
    from headstart.core.files import write_record
    from headstart.runs.experiment import fingerprint, is_current, plan, record_path, recorded, run

    missed = []
    chosen = names or list(load_params().evidence)
    if not chosen:
        raise InputError(
            "params.yaml, evidence: expected experiments, has none; `NAME: {}` there runs what the file says as it stands"
        )
    for name in chosen:
        fingerprint(load_params(), name)  # refuses what cannot be run before the first experiment is
    outcomes: dict[str, str | None] = {}
    with output(as_json) as out:
        for name in chosen:
            params = load_params()  # as the commit has it that the experiment begins from
            before = recorded(name)
            if before is not None and is_current(before, fingerprint(params, name)):
                outcomes[name] = before.comparisons[before.headline].verdict.outcome.value
                out.say(f"{name}: on record, with today's code and settings")
                continue
            require_torch("evidence", f"to train the networks of {name}")
            planned = plan(name, params)
            out.say(f"{name}: {planned['command']}", rest="    ")
            try:
                record = run(name, params, planned)
            except HeadstartError as error:  # the others are run all the same
                typer.echo(f"error: {name}: {error}", err=True)
                missed.append(name)
                continue
            write_record(record_path(name), record)
            outcomes[name] = record.comparisons[record.headline].verdict.outcome.value
            out.say(f"{name}: {outcomes[name]}, {record_path(name)}")
        out.found(outcomes=outcomes, records={name: record_path(name) for name in outcomes}, missed=missed)
        if missed:
            raise InputError(
                f"{', '.join(missed)}: expected a comparison, got none, for the reason above; "
                f"`headstart evidence {' '.join(missed)}` runs what is missing"
            )
        out.say("`headstart results` writes docs/results.md from the records")


def results(as_json: Json = False) -> None:
    """Write docs/results.md and its figures from the records in reports/evidence; what stands there is what they say."""
    from headstart.config.params import load_params
    from headstart.core.files import write_bytes
    from headstart.runs.experiment import RECORDS, fingerprint, is_current, recorded
    from headstart.view.results import figures, page

    params = load_params()
    records = [record for name in params.evidence if (record := recorded(name))]
    if not records:
        raise InputError(f"{RECORDS}: expected records of experiments, found none; `headstart evidence` makes them")
    current = {record.name: is_current(record, fingerprint(params, record.name)) for record in records}
    pictures = {RESULTS.parent / name: picture for name, picture in figures(records).items()}
    with output(as_json) as out:
        for path, content in {**pictures, RESULTS: page(records, current).encode()}.items():
            write_bytes(path, content)
            out.say(path)
        out.found(written=[*pictures, RESULTS], current=current)
