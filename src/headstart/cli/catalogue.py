"""`headstart catalogue …`: which dataset versions there are, what is known of each, and how its bytes come back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headstart.cli.names import dataset_names
from headstart.cli.output import Json, Output, columns, output
from headstart.cli.project import typed_new
from headstart.core.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from headstart.dataset.catalogue import Entry, Mark

catalogue_app = typer.Typer(no_args_is_help=True, help="The catalogue of datasets, which git tracks.")
Name = Annotated[
    str, typer.Argument(metavar="DATASET[@VERSION]", help="Without a version: the newest", autocompletion=dataset_names)
]
Version = Annotated[
    str, typer.Argument(metavar="DATASET@VERSION", help="As `headstart catalogue list` shows it", autocompletion=dataset_names)
]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]
Remote = Annotated[
    str | None, typer.Option(metavar="NAME", help="Ask this remote only.", show_default="all, the default one first")
]
ROOT = Path()
LABEL = 14


@catalogue_app.command("list")
def list_datasets(as_json: Json = False) -> None:
    """One line for every dataset version; * marks those whose files are here."""
    from headstart.dataset.catalogue import Mark, read_entries, read_marks
    from headstart.dataset.catalogue_check import places
    from headstart.dataset.slices import all_slices

    with output(as_json) as out:
        entries, marks = read_entries(ROOT), read_marks(ROOT)
        here = {entry.name for entry in entries if places(ROOT, entry)}
        known = {entry.name: marks.get(entry.name, Mark()) for entry in entries}
        out.found(
            datasets=[{"name": one.name, "here": one.name in here, "entry": one, "mark": known[one.name]} for one in entries]
        )
        slices = all_slices(ROOT)
        out.found(slices=[{"name": f"{one.dataset}@{one.version}", "parent": one.parent} for one in slices])
        if not entries:
            out.say("no dataset yet; `dvc repro` makes one")
        wide = min(max((len(entry.name) for entry in entries), default=0) + 2, columns() - 38)
        if entries:
            out.say(f"{'':{wide}}{'episodes':>9}{'steps':>11}{'success':>9}{'return':>9}")
        for entry in entries:
            quality = entry.quality
            numbers = f"{entry.episodes:9}{entry.steps:11}{_number(quality.success_rate):>9}{_number(quality.return_mean):>9}"
            name = f"{'* ' if entry.name in here else '  '}{entry.name}"
            out.say(f"{name:{wide}}{numbers}" if len(name) <= wide else f"{name}\n{'':{wide}}{numbers}")
            if said := _marked(known[entry.name]):
                out.say(said, "    ")
        for one in slices:
            if one.parent:
                out.say(f"{one.dataset}, a slice of {one.parent.dataset}: {one.parent.filter}", "  ", "    ")


def _entry(name: str) -> "Entry":
    """An entry of the catalogue, which has none of slices: their parent and filter make them again."""
    from headstart.dataset.catalogue import find_entry, read_entries
    from headstart.dataset.slices import slice_at

    if slice_at(ROOT, name):
        raise UsageError(
            f"{name}: expected a dataset of the catalogue, this is a slice; `headstart lineage {name}` tells of what"
        )
    return find_entry(read_entries(ROOT), name)


@catalogue_app.command()
def show(name: Name, remote: Remote = None, as_json: Json = False) -> None:
    """Everything that is known of a version: facts, commit, models from it, and where its bytes are now."""
    from headstart.dataset.catalogue import Mark, read_marks
    from headstart.dataset.origin import origin
    from headstart.dataset.whereabouts import whereabouts

    with output(as_json) as out:
        entry = _entry(name)
        mark, known = read_marks(ROOT).get(entry.name, Mark()), origin(ROOT, entry)
        places = whereabouts(ROOT, [entry], remote)[entry.name]
        models = [model._asdict() for model in known.models]
        found = {"commits": known.commits, "models": models, "places": [place._asdict() for place in places]}
        out.found(name=entry.name, entry=entry, mark=mark, **found)
        out.say(f"{entry.name}: {_marked(mark) or 'active'}")
        for label, value in _facts(entry):
            _line(out, label, value)
        for one in entry.stored:
            _line(out, "stored", f"validated.json: SHA-256 {one.manifest_sha256}")
            _line(out, "", f"MD5 {one.manifest_md5 or 'never recorded'}; curated: {one.files_md5 or 'never recorded'}")
        oldest = "" if len(known.commits) < 2 else f", first in {known.commits[-1][:12]}"
        _line(out, "commit", f"{known.commits[0][:12]}{oldest}" if known.commits else "no dvc.lock in git holds it")
        for i, model in enumerate(known.models):
            _line(out, "" if i else "models", f"{model.path} {model.md5[:12]}, commit {model.commit[:12]}")
        for i, place in enumerate(places):
            _line(out, "" if i else "bytes", place.text)
        for note in mark.notes:
            _line(out, "note", note)


@catalogue_app.command()
def check(remote: Remote = None, as_json: Json = False) -> None:
    """Hold every version against its files here, the cache and the remotes; exits with 4 where one differs."""
    from headstart.dataset.catalogue import read_entries
    from headstart.dataset.catalogue_check import catalogue_problems, unlisted_before
    from headstart.dataset.whereabouts import KINDS, whereabouts

    with output(as_json) as out:
        entries = read_entries(ROOT)
        found = whereabouts(ROOT, entries, remote)
        nowhere = sum(not any(place.whole for place in places) for places in found.values())
        whole = {kind: sum(any(p.kind == kind and p.whole for p in places) for places in found.values()) for kind in KINDS}
        differing = [problem for places in found.values() for place in places for problem in place.problems]
        more = (*catalogue_problems(ROOT), *unlisted_before(ROOT, entries))
        differing += [problem for problem in more if problem not in differing]
        everywhere = {name: [place._asdict() for place in places] for name, places in found.items()}
        out.found(versions=len(entries), whole=whole, nowhere=nowhere, places=everywhere, problems=differing)
        if found:
            said = {name: ", ".join(place.short for place in places if place.short) for name, places in found.items()}
            out.table([(name, text or "nowhere") for name, text in said.items()])
        counts = ", ".join(f"{whole[kind]} {text}" for kind, text in KINDS.items())
        out.say(f"{len(entries)} versions: {counts}; {nowhere} cannot be checked, for their bytes are nowhere")
        for fault in dict.fromkeys(place.unasked for places in found.values() for place in places if place.unasked):
            out.say(f"not asked: {fault}", rest="  ")
        if differing:
            raise IntegrityError("\n  ".join([f"{len(differing)} problem{'s' if len(differing) > 1 else ''}", *differing]))


@catalogue_app.command()
def fetch(
    name: Name,
    remote: Remote = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=typed_new,
            metavar="FOLDER",
            help="A new folder.",
            show_default="data/DATASET, or datasets/DATASET@VERSION",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the bytes of a version from DVC's cache or a remote, hashed before they are in place."""
    from headstart.dataset.fetch import fetch as bring

    with output(as_json) as out:
        entry = _entry(name)
        found = bring(ROOT, entry, remote, to)
        for fault in found.faults:
            typer.echo(f"warning: {fault}; another store had it whole", err=True)
        came = ", ".join(f"{count} object{'s' if count > 1 else ''} from {store}" for store, count in found.objects.items())
        out.found(name=entry.name, folder=found.folder, objects=found.objects, faults=found.faults)
        out.say(f"{entry.name}: {found.folder}, {came or 'here already'}; its hashes are those of the catalogue")


@catalogue_app.command()
def tag(name: Version, label: str, undo: Undo = False, as_json: Json = False) -> None:
    """Add a tag to a version."""
    from headstart.dataset.catalogue import change_mark

    def change(mark: "Mark") -> "Mark":
        others = tuple(one for one in mark.tags if one != label)
        return mark.model_copy(update={"tags": others if undo else (*others, label)})

    _say_mark(name, change_mark(ROOT, name, change), as_json)


@catalogue_app.command()
def deprecate(name: Version, undo: Undo = False, as_json: Json = False) -> None:
    """Mark a version as not to be used any more; its files stay."""
    from headstart.dataset.catalogue import change_mark

    status = "active" if undo else "deprecated"
    _say_mark(name, change_mark(ROOT, name, lambda mark: mark.model_copy(update={"status": status})), as_json)


@catalogue_app.command()
def note(name: Version, text: str, as_json: Json = False) -> None:
    """Add a note of one line to a version."""
    from headstart.dataset.catalogue import change_mark

    mark = change_mark(ROOT, name, lambda mark: mark.model_copy(update={"notes": (*mark.notes, text)}))
    _say_mark(name, mark, as_json, f"{len(mark.notes)} note{'s' if len(mark.notes) > 1 else ''}")


def _say_mark(name: str, mark: "Mark", as_json: bool, text: str = "") -> None:
    with output(as_json) as out:
        out.found(name=name, mark=mark)
        out.say(f"{name}: {text or _marked(mark) or 'active'}")


def _facts(entry: "Entry") -> list[tuple[str, str]]:
    rejected = "rejected: not recorded" if entry.rejected is None else f"{entry.rejected} rejected"
    quality = entry.quality
    means = {
        "success": quality.success_rate,
        "harm": quality.harm_rate,
        "return": quality.return_mean,
        "steps": quality.steps_mean,
    }
    settings = [
        (section, " ".join(f"{key}={value}" for key, value in values.items()) if isinstance(values, dict) else str(values))
        for section, values in entry.parameters.items()
    ]
    return [
        ("scenario", entry.scenario),
        ("episodes", f"{entry.episodes} accepted, {rejected}; {entry.steps} steps"),
        ("means", ", ".join(f"{name} {_number(value)}" for name, value in means.items())),
        ("expert", f"{entry.expert}, SHA-256 {entry.policy_sha256}"),
        *settings,
        ("licence", entry.licence or "the scenario states none"),
        ("created", entry.created_at),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _marked(mark: "Mark") -> str:
    tags = [f"tags {', '.join(mark.tags)}"] if mark.tags else []
    return "; ".join([*(["deprecated"] if mark.status == "deprecated" else []), *tags])


def _line(out: Output, label: str, text: str) -> None:
    """A label and its text, in as many lines as it needs."""
    out.say(text, f"  {label:{LABEL - 2}}")
