"""`headstart storage` and `headstart gc`: how much lies where, and the removal of what nothing needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.output import Json, Output, output

if TYPE_CHECKING:
    from headstart.storage.needed import Needed
    from headstart.storage.unneeded import Thing

ROOT = Path()
SHOWN = 20  # lines of what would go
SAFE = (
    "what goes is named by no lock file, .dvc file or catalogue of any branch, tag, stash, experiment, queued experiment, release or "
    "working tree"
)
Remote = Annotated[str | None, typer.Option(help="Of DVC.")]


def storage(remote: Remote = None, as_json: Json = False) -> None:
    """Show how many bytes lie where, and which of them can be made again; with --remote, also what only this machine has."""
    from headstart.storage.sizes import by_stage, only_here, others, outside, shown, total
    from headstart.storage.unneeded import look, needed_of, open_project

    with output(as_json) as out, open_project(ROOT) as repo:
        store, kept = look(repo.cache.local), needed_of(ROOT, repo)
        stages, elsewhere, (older, loose) = by_stage(ROOT, store), outside(ROOT), others(store, kept)
        again = total(found.workspace + found.cache for found in stages.values())
        out.found(stages={name: found._asdict() for name, found in stages.items()}, other_versions=older, unneeded=loose)
        out.found(outside=elsewhere, unknown_folders=len(kept.unknown))
        rows = [("", "workspace", "cache")]
        rows += [(name, shown(found.workspace), shown(found.cache)) for name, found in stages.items()]
        rows += [("other versions", "", shown(older)), ("nothing needs", "", shown(loose))]
        rows += [(name, shown(size), "") for name, size in elsewhere.items()]
        out.table(rows, right=(1, 2))
        out.say("")
        out.say(f"`dvc repro` makes again: {again}, the stages above, as dvc.lock has them now", rest="  ")
        out.say(
            f"cannot be made again from this commit: {shown(older)}, of other commits, experiments, releases and catalogue versions",
            rest="  ",
        )
        out.say(f"nothing needs: {shown(loose)}; `headstart gc` says what, and removes it with --yes", rest="  ")
        if remote:
            there = look(_remote(repo, remote))
            size, missing = sum(there.objects.values()), only_here(store, kept, there)
            out.found(remote={"name": remote, "bytes": size, "needed_and_only_here": missing})
            out.say(f"remote {remote}: {shown(size)}; needed and only here: {shown(missing)}")
        _say_unknown(out, kept)


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without, only say what would go.")] = False,
    remote: Annotated[str | None, typer.Option(help="Of DVC: clean it in place of the cache.")] = None,
    older_than: Annotated[float, typer.Option(min=0, help="Days for which work folders, and objects in a remote, stay.")] = 7,
    as_json: Json = False,
) -> None:
    """Say what nothing needs any more, in DVC's cache and in .headstart; with --yes, remove it."""
    from headstart.storage import unneeded as waste

    with output(as_json) as out, waste.project(ROOT) as repo:
        if remote:
            waste.require_all_fetched(ROOT)
            store, things = waste.look(_remote(repo, remote), older_than), []
        else:
            waste.require_own_cache(ROOT, repo)
            store, things = waste.look(repo.cache.local), waste.leftovers(ROOT, older_than)
        kept = waste.needed_of(ROOT, repo)
        objects = waste.unneeded(store, kept)
        out.found(where=f"remote {remote}" if remote else "cache", objects=len(store.objects), bytes=sum(store.objects.values()))
        out.found(removed=yes, unneeded=[thing._asdict() for thing in objects], leftovers=[thing._asdict() for thing in things])
        out.found(unknown_folders=len(kept.unknown))
        _say_objects(out, f"remote {remote}" if remote else "cache", store.objects, objects, yes)
        if things:
            out.say(f"work folders and temporary files: {len(things)} {'went' if yes else 'would go'}")
            _say_things(out, things)
        _say_unknown(out, kept)
        if yes:
            waste.remove(store, objects)
            waste.remove_leftovers(ROOT, things)
        elif objects or things:
            out.say("nothing was removed: `headstart gc --yes` does so" if not remote else _shared(remote))


def _shared(remote: str) -> str:
    return (
        f"nothing was removed: `headstart gc --remote {remote} --yes` does so. Be sure that no other project, and no clone with commits that "
        "it has not pushed, keeps data there"
    )


def _remote(repo: Any, name: str) -> Any:
    from headstart.storage.probe import answering, require_extra
    from headstart.storage.remotes import place_named

    require_extra(place_named(ROOT, name).url)
    with answering(f"remote {name}"):
        return repo.cloud.get_remote_odb(name)


def _say_objects(out: Output, where: str, there: dict[str, int], objects: "Sequence[Thing]", done: bool) -> None:
    from headstart.storage.sizes import shown, total

    size = sum(thing.size for thing in objects)
    going = f"{len(objects)} {'go' if done else 'would go'}, {shown(size)}"
    out.say(f"{where}: {len(there)} objects, {total(there.values())}; {going}")
    if objects:
        out.say(SAFE, "  ")
    _say_things(out, objects)


def _say_things(out: Output, things: "Sequence[Thing]") -> None:
    from headstart.storage.sizes import shown, total

    for thing in things[:SHOWN]:
        out.say(f"{thing.name}  {shown(thing.size)}  {thing.says}", "  ", "    ")
    if more := things[SHOWN:]:
        out.say(f"  and {len(more)} more, {total(thing.size for thing in more)}")


def _say_unknown(out: Output, kept: "Needed") -> None:
    """Usual in a fresh clone: the data of older commits was made on another machine, and was never pushed."""
    if kept.unknown:
        count = f"{len(kept.unknown)} folder{'s' if len(kept.unknown) > 1 else ''}"
        out.say(
            f"not here: {count} of older or other commits, neither in this cache nor in a remote. What is checked out does not need them; "
            "`dvc repro` at such a commit makes them again",
            rest="  ",
        )
