"""`headstart remote …`: where the data of a project is pushed to and pulled from."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from headstart.cli.output import Json, Output, output
from headstart.cli.project import typed_path
from headstart.core.errors import InputError, UsageError
from headstart.core.remote_folder import away

if TYPE_CHECKING:
    from headstart.storage.probe import Access

remote_app = typer.Typer(no_args_is_help=True, help="Where the data is pushed to and pulled from.")
use_app = typer.Typer(no_args_is_help=True, help="Set the remote: try it, write it to .dvc/config, and make it the default.")
remote_app.add_typer(use_app, name="use")

ROOT = Path()
NOT_HASHED = "it does not take the hash of what it fetches: `dvc remote modify {name} verify true`"
Name = Annotated[str, typer.Option("--name", help="Of the remote in .dvc/config.")]


@use_app.command("dir")
def use_dir(
    path: Annotated[str, typer.Argument(help="A folder, as on a shared disk.")], name: Name = "store", as_json: Json = False
) -> None:
    """A folder."""
    folder = Path(os.path.abspath(typed_path(path)))
    _require_apart(folder)
    with output(as_json) as out:
        _use(out, name, str(folder), ({}, {}), typed=path)


@use_app.command("s3")
def use_s3(
    bucket: Annotated[str, typer.Argument(metavar="BUCKET[/PREFIX]")],
    endpoint: Annotated[str | None, typer.Option(help="The address of a server that is not Amazon's.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of ~/.aws/credentials.")] = None,
    region: Annotated[str | None, typer.Option(help="Of the bucket.")] = None,
    key_id: Annotated[str | None, typer.Option(help="Of an access key; its secret is asked for.")] = None,
    name: Name = "store",
    as_json: Json = False,
) -> None:
    """A bucket of S3; without --profile and --key-id, with the credentials of the environment (AWS_ACCESS_KEY_ID …)."""
    from headstart.storage.remotes import require_open

    url = f"s3://{bucket.removeprefix('s3://').strip('/')}"
    for address in (url, endpoint or ""):
        require_open(address, "--key-id ID asks for the secret")
    options = {"endpointurl": endpoint, "profile": profile, "region": region}
    private = {}
    if key_id:
        private = {"access_key_id": key_id, "secret_access_key": _secret(f"secret of {key_id}")}
    with output(as_json) as out:
        _use(out, name, url, ({option: value for option, value in options.items() if value}, private))


@use_app.command("ssh")
def use_ssh(
    place: Annotated[str, typer.Argument(metavar="[USER@]HOST:/PATH")],
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    keyfile: Annotated[Path | None, typer.Option(help="A private key; without it, the agent's and those in ~/.ssh.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for a password, for .dvc/config.local.")] = False,
    name: Name = "store",
    as_json: Json = False,
) -> None:
    """A folder of another machine, by SFTP."""
    from headstart.storage.probe import host_key, require_extra
    from headstart.storage.remotes import require_open

    who, colon, path = place.removeprefix("ssh://").partition(":/")
    if not colon or not who:
        raise UsageError(f"{place!r}: expected USER@HOST:/PATH, as ada@example.org:/srv/store")
    parts = require_open(f"ssh://{who}/", "--password asks for it")
    url = f"ssh://{who}/{path}"
    require_extra(url)
    port = port or parts.port
    options, private = {"port": str(port)} if port else {}, {}
    if keyfile is not None:
        key = Path(os.path.abspath(typed_path(str(keyfile))))
        if not key.is_file():
            raise InputError(f"{key}: expected a private key, found no file")
        private["keyfile"] = str(key)  # of this machine
    with output(as_json) as out:
        out.say(host_key(parts.hostname or "", port), rest="  ")
        if password:
            private["password"] = _secret("password")
        _use(out, name, url, (options, private))


@remote_app.command("list")
def list_remotes(as_json: Json = False) -> None:
    """All remotes, the default one first."""
    from headstart.storage.remotes import places, without_password

    with output(as_json) as out:
        found = places(ROOT)
        out.found(
            remotes=[
                {"name": of.name, "url": without_password(of.url), "default": of.default, "verifies": of.verifies} for of in found
            ]
        )
        if not found:
            out.say("no remote yet; `headstart remote use` sets one")
        for place in found:
            out.say(f"{place.name}: {without_password(place.url)}{', the default' if place.default else ''}", rest="  ")
            if not place.verifies:
                out.say(NOT_HASHED.format(name=place.name), "  ")


@remote_app.command()
def check(
    name: Annotated[str | None, typer.Argument(help="Of a remote; else of the default one.")] = None, as_json: Json = False
) -> None:
    """See whether a remote answers, and may be read and written."""
    from headstart.storage.probe import host_key, require_extra
    from headstart.storage.remotes import configuration, place_named

    place, config = place_named(ROOT, name), configuration(ROOT)
    require_extra(place.url)
    options, parts = config["remote"][place.name], urlsplit(place.url)
    if fault := away(place.url):
        raise InputError(f"remote {place.name}: {fault}, and `dvc push` makes the folder")
    with output(as_json) as out:
        if parts.scheme == "ssh":
            out.say(host_key(parts.hostname or "", parts.port or options.get("port")), rest="  ")
        _say(out, place.name, place.url, _probed(config, place.name))
        out.found(verifies=place.verifies)
        if not place.verifies:
            out.say(NOT_HASHED.format(name=place.name), rest="  ")


@remote_app.command("push-all")
def push_all(
    name: Annotated[str | None, typer.Argument(help="Of a remote; else to the default one.")] = None, as_json: Json = False
) -> None:
    """Push what every commit, experiment, release and catalogue entry needs; `dvc push` takes what this commit needs.

    `dvc push --all-commits` goes to the remote that each commit names itself, which is another one after a change.
    """
    from headstart.storage.probe import require_extra
    from headstart.storage.remotes import place_named
    from headstart.storage.unneeded import open_project, push_needed

    place = place_named(ROOT, name)
    require_extra(place.url)
    with output(as_json) as out, open_project(ROOT) as repo:
        count = push_needed(ROOT, repo, place.name)
        out.found(name=place.name, pushed=count)
        out.say(f"{place.name}: {count} objects pushed")


def _use(out: Output, name: str, url: str, settings: tuple[dict[str, str], dict[str, str]], typed: str = "") -> None:
    """Try a remote, then write it. `settings`: options, and what git must not see. `typed`: a folder as it was typed, which is written so if it
    is relative.
    """
    from headstart.storage.remotes import (
        CONFIG,
        LOCAL,
        merged,
        move_secrets,
        require_name,
        require_plain,
        require_unseen,
        write_remote,
    )

    name, (options, private) = require_name(name), settings
    require_plain(url, *options.values(), *private.values())
    require_unseen(ROOT)
    for option, known in move_secrets(ROOT).items():
        after = "; git has it in its history: replace it where it was issued" if known else ""
        out.say(f"{option} was in {CONFIG}, and is in {LOCAL} now{after}", rest="  ")
    access = _probed(merged(ROOT, name, {"url": url, **options}, private), name)
    write_remote(ROOT, name, {"url": _written(url, typed), **options}, private)
    _say(out, name, url, access)
    if private:
        out.say(f"{', '.join(private)}: in {LOCAL}, which git ignores")
    out.say(f"it is the default: commit {CONFIG}; then `dvc push`, or `dvc pull`")


def _secret(what: str) -> str:
    """Ask for something that no one may see; where nobody sits at a terminal, the first line of the input is it."""
    asked = typer.prompt(what, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not asked:
        raise InputError(f"{what}: expected a line with it, got nothing")
    return str(asked)


def _written(url: str, typed: str) -> str:
    from dvc.config_schema import RelPath

    return RelPath(url) if typed and not os.path.isabs(os.path.expanduser(typed)) else url


def _probed(config: dict[str, object], name: str) -> "Access":
    from headstart.storage.probe import probe

    return probe(config, name)


def _say(out: Output, name: str, url: str, access: "Access") -> None:
    from headstart.storage.remotes import without_password

    out.found(name=name, url=without_password(url), writes=access.writes, says=access.says)
    out.say(f"{name}: {url}: {access.says}", rest="  ")


def _require_apart(folder: Path) -> None:
    """InputError for a folder that git would track, or that DVC keeps for itself."""
    from headstart.cli.programs import answer

    root = Path.cwd()
    if not folder.is_relative_to(root):
        return
    within = folder.relative_to(root)
    if within == Path() or within.parts[0] in (".dvc", ".git"):
        raise InputError(f"{folder}: expected a folder outside of the project, which is lost with it")
    if answer("git", "check-ignore", "--quiet", "--", f"{within}/x", folder=root).returncode:
        raise InputError(
            f"{folder}: expected a folder that git ignores, or one outside of the project; add /{within}/ to .gitignore"
        )
