"""`headstart inspect`: a look at a dataset, at a recording before anything is made of it, or at two side by side; and flags of episodes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.project import typed_file, typed_path
from headstart.core.errors import InputError, IntegrityError, UsageError, nearest

if TYPE_CHECKING:
    from headstart.dataset.inspection_open import Opened

ROOT = Path()
PIPELINE = Path("dvc.yaml")
TOP = 5
Dataset = Annotated[str, typer.Argument(metavar="DATASET[@VERSION]", help="Of a scenario, or the path of a recording or draft.")]
Against = Annotated[str | None, typer.Option(metavar="DATASET[@VERSION]", help="Compare it with another one, or with a version.")]
Html = Annotated[Path | None, typer.Option(parser=typed_file, metavar="FILE", help="Write a page with all episodes.")]
Only = Annotated[
    str | None, typer.Option(metavar="GROUP", help="List the episodes of a group, as rejected, failed, odd, flagged.")
]


def inspect(
    dataset: Dataset,
    against: Against = None,
    html: Html = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every number, for programs.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    only: Only = None,
    top: Annotated[int, typer.Option(min=1, help="Episodes of a list or a ranking.")] = TOP,
    flag: Annotated[str | None, typer.Option(metavar="EPISODE", help="Reject it from the next `dvc repro` on.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it is flagged.")] = None,
    unflag: Annotated[str | None, typer.Option(metavar="EPISODE", help="Take its flag back.")] = None,
    flags: Annotated[bool, typer.Option("--flags", help="List the flagged episodes.")] = False,
) -> None:
    """Look at a dataset: what deserves a second look, numbers, split, rejected episodes; exits with 4 where bytes are not those recorded."""
    from headstart.dataset.inspection_look import GROUPS

    if only is not None and only not in GROUPS:
        raise UsageError(f"--only: expected one of {', '.join(GROUPS)}, got {only!r}{nearest(only, GROUPS)}")
    if (reason is None) != (flag is None):
        raise UsageError("--flag EPISODE and --reason TEXT: expected both, got one of them")
    if flag is not None or unflag is not None or flags:
        _flags(dataset, flag, reason, unflag)
        return
    _look(dataset, against, html, show, as_json, only, top)


def _look(dataset: str, other: str | None, html: Path | None, show: bool, as_json: bool, only: str | None, top: int) -> None:
    from headstart.dataset import inspection_look
    from headstart.view.inspect_text import list_of, text_of

    opened, said = _opened(dataset)
    look = inspection_look.look_at(ROOT, opened, None if other is None else _opened(other)[0], said, top)
    if as_json:
        typer.echo(json.dumps(inspection_look.as_json(look), ensure_ascii=False, allow_nan=False))
    elif only is not None:
        typer.echo(list_of(look, only, top))
    else:
        typer.echo(text_of(look))
    page = html or (_usual_page(opened.name) if show else None)
    if page is not None:
        from headstart.core.files import write_bytes
        from headstart.view.inspect import page_of

        write_bytes(page, page_of(look))
        typer.echo(f"\nthe page with all episodes: {page}", err=as_json)
    elif not as_json and only is None:
        typer.echo(f"\nall episodes on one page: headstart inspect {dataset} --html look.html")
    if show and page is not None:
        typer.launch(page.resolve().as_uri())
    if wrong := [one for one in opened.hashes if not one.ok]:
        texts = dict.fromkeys(one.text if one.name in one.text else f"{one.name}: {one.text}" for one in wrong)
        raise IntegrityError("; ".join(texts))


def _opened(name: str) -> "tuple[Opened, dict[str, str]]":
    """A dataset, and what the files of a recording say of themselves."""
    from headstart.config.project import DATA
    from headstart.dataset.drafts import DRAFT
    from headstart.dataset.inspection_open import open_dataset, open_draft

    path = typed_path(name)
    if path.parent == DATA and path.is_dir():  # data/queue_conflict
        name = path.name
    elif path.parent != DATA and "/" in name and (path / DRAFT).is_file():
        return open_draft(path), {}
    elif path.exists() and not (DATA / name).is_dir():
        return _recording(path)
    elif "/" in name or path.suffix in (".npz", ".h5", ".hdf5"):
        raise InputError(f"{path}: expected a recording, found nothing there")
    return open_dataset(ROOT, name), {}


def _recording(path: Path) -> "tuple[Opened, dict[str, str]]":
    from headstart.dataset.inspection_recording import open_recording, said_of_itself
    from headstart.runs.brought import found

    try:
        kind, place = found(path)
    except InputError as error:
        raise InputError(str(error).removeprefix("--demonstrations: ")) from None
    return open_recording(kind, path if kind != "minari" else place), said_of_itself(kind, path)


def _usual_page(name: str) -> Path:
    from headstart.config.project import WORK_DIR

    return WORK_DIR / "inspect" / f"{Path(name).name}.html"


# --- flags --------------------------------------------------------------------------------------------------------------


def _flags(dataset: str, flag: str | None, reason: str | None, unflag: str | None) -> None:
    from headstart.config.stage_command import pipeline_command
    from headstart.dataset.flags import change_flag, flags_path, read_flags
    from headstart.dataset.slices import slice_at

    scenario = dataset.partition("@")[0]
    if "/" in dataset or typed_path(dataset).is_file():
        raise UsageError(f"{dataset}: expected the dataset of a scenario: `headstart init` makes one of a recording")
    known = _episodes(dataset)
    if (found := slice_at(ROOT, dataset)) and found[1].parent:
        parent = found[1].parent.dataset.partition("@")[0]
        raise UsageError(f"{dataset}: expected a dataset that `curate` accepts and rejects, this is a slice; flag it in {parent}")
    if flag is not None:
        _require_words(str(reason))
        change_flag(ROOT, scenario, _one(flag, known, dataset), reason)
        _require_watched()
    there = read_flags(ROOT, scenario)
    if unflag is not None:
        change_flag(ROOT, scenario, _one(unflag, list(there), f"{flags_path(scenario)}"), None)
    for name, why in (there := read_flags(ROOT, scenario)).items():
        typer.echo(f"{name}  {why}" + ("" if name in known else "  (no episode of this recording)"))
    typer.echo(f"{len(there)} flagged in {flags_path(scenario)}")
    if flag is not None or unflag is not None:
        typer.echo(f"next: git add flags && {pipeline_command(scenario)}")


def _require_words(reason: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    from headstart.core.record import Words

    try:
        TypeAdapter[str](Words).validate_python(reason)
    except ValidationError as error:
        raise UsageError(f"--reason: expected one line of 1 to 500 printable characters, got {reason!r:.60}") from error


def _episodes(dataset: str) -> list[str]:
    """The ids of all recorded episodes."""
    from headstart.dataset.inspection_open import episode_names

    return episode_names(ROOT, dataset)


def _one(text: str, known: list[str], where: str) -> str:
    """The episode whose id begins with a text."""
    matching = [name for name in known if name.startswith(text)] if text else []
    if len(matching) == 1 or text in matching:
        return text if text in matching else matching[0]
    if matching:
        raise UsageError(f"{text}: expected one episode of {where}, got {len(matching)}, as {', '.join(matching[:3])}")
    raise UsageError(f"{text}: expected the id of an episode of {where}, which has none of this{nearest(text, known)}")


def _require_watched() -> None:
    """A pipeline of an earlier version does not read flags."""
    from headstart.config.stage import entry_of
    from headstart.dataset.flags import FOLDER

    if not PIPELINE.is_file() or FOLDER.as_posix() in entry_of("curate", {}).deps:
        return
    raise InputError(
        f"{PIPELINE}: the flag is written, but DVC would not see it: add the line `- {FOLDER}` to the deps of the stage curate"
    )
