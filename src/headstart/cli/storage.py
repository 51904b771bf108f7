"""`headstart storage` and `headstart gc`: how much lies where, and the removal of what nothing needs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from headstart.storage.needed import Needed
    from headstart.storage.unneeded import Thing

ROOT = Path()
SHOWN = 20  # lines of what would go
SAFE = "no lock file, .dvc file or catalogue of any branch, tag, stash, experiment, queued experiment, release or working tree names them"
Remote = Annotated[str | None, typer.Option(help="Of DVC.")]


def storage(remote: Remote = None) -> None:
    """Show how many bytes lie where, and which of them can be made again; with --remote, also what only this machine has."""
    from headstart.storage.sizes import by_stage, only_here, others, outside, shown, total
    from headstart.storage.unneeded import look, needed_of, open_project

    with open_project(ROOT) as repo:
        store, kept = look(repo.cache.local), needed_of(ROOT, repo)
        stages = by_stage(ROOT, store)
        _row("", "workspace", "cache")
        for name, found in stages.items():
            _row(name, shown(found.workspace), shown(found.cache))
        older, loose = others(store, kept)
        _row("other versions", "", shown(older))
        _row("nothing needs", "", shown(loose))
        for name, size in outside(ROOT).items():
            _row(name, shown(size), "")
        again = total(found.workspace + found.cache for found in stages.values())
        typer.echo(f"\n`dvc repro` makes again: {again}, the stages above, as dvc.lock has them now")
        typer.echo(
            f"cannot be made again from this commit: {shown(older)}, of other commits, experiments, releases and catalogue versions"
        )
        typer.echo(f"nothing needs: {shown(loose)}; `headstart gc` says what, and removes it with --yes")
        if remote:
            there = look(_remote(repo, remote))
            typer.echo(
                f"remote {remote}: {total(there.objects.values())}; needed and only here: {shown(only_here(store, kept, there))}"
            )
        _say_unknown(kept)


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; without, only say what would go.")] = False,
    remote: Annotated[str | None, typer.Option(help="Of DVC: clean it in place of the cache.")] = None,
    older_than: Annotated[float, typer.Option(min=0, help="Days for which work folders, and objects in a remote, stay.")] = 7,
) -> None:
    """Say what nothing needs any more, in DVC's cache and in .headstart; with --yes, remove it."""
    from headstart.storage import unneeded as waste

    with waste.project(ROOT) as repo:
        if remote:
            waste.require_all_fetched(ROOT)
            store, things = waste.look(_remote(repo, remote), older_than), []
        else:
            waste.require_own_cache(ROOT, repo)
            store, things = waste.look(repo.cache.local), waste.leftovers(ROOT, older_than)
        kept = waste.needed_of(ROOT, repo)
        objects = waste.unneeded(store, kept)
        _say_objects(f"remote {remote}" if remote else "cache", store.objects, objects, yes)
        if things:
            typer.echo(f"work folders and temporary files: {len(things)} {'went' if yes else 'would go'}")
            _say_things(things)
        _say_unknown(kept)
        if yes:
            waste.remove(store, objects)
            waste.remove_leftovers(ROOT, things)
        elif objects or things:
            typer.echo("nothing was removed: `headstart gc --yes` does so" if not remote else _shared(remote))


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


def _say_objects(where: str, there: dict[str, int], objects: "Sequence[Thing]", done: bool) -> None:
    from headstart.storage.sizes import shown, total

    size = sum(thing.size for thing in objects)
    typer.echo(
        f"{where}: {len(there)} objects, {total(there.values())}; {len(objects)} {'go' if done else 'would go'}, {shown(size)}: {SAFE}"
    )
    _say_things(objects)


def _say_things(things: "Sequence[Thing]") -> None:
    from headstart.storage.sizes import shown, total

    for thing in things[:SHOWN]:
        typer.echo(f"  {thing.name}\t{shown(thing.size)}\t{thing.says}")
    if more := things[SHOWN:]:
        typer.echo(f"  and {len(more)} more, {total(thing.size for thing in more)}")


def _say_unknown(kept: "Needed") -> None:
    if kept.unknown:
        typer.echo(
            f"{len(kept.unknown)} folders that commits name are neither in the cache nor in a remote; `dvc repro` there makes them again"
        )


def _row(name: str, *cells: str) -> None:
    typer.echo(f"{name:<20}" + "".join(f"{cell:>12}" for cell in cells))
