"""A remote in DVC's configuration: its place in .dvc/config, which git tracks, its secrets in .dvc/config.local, which git never sees."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit, urlunsplit

from headstart.core.errors import InputError, UsageError, nearest, shown
from headstart.core.files import fresh_file, write_bytes
from headstart.core.git import accepts, versions

CONFIG, LOCAL, IGNORED = Path(".dvc/config"), Path(".dvc/config.local"), Path(".dvc/.gitignore")
SECRETS = frozenset([
    "password", "passphrase", "token", "secret_access_key", "access_key_id", "session_token", "sse_customer_key", "account_key",
    "sas_token", "connection_string", "client_secret", "gdrive_client_secret", "oss_key_id", "oss_key_secret", "custom_auth_header",
])  # fmt: skip
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# DVC's own limits are half an hour for SSH, and a minute for each of many tries for S3
TIMEOUTS = {"s3": {"connect_timeout": "5", "read_timeout": "30"}, "ssh": {"timeout": "20"}}


class Place(NamedTuple):
    """A remote as a line of `headstart remote list` shows it."""

    name: str
    url: str
    default: bool
    verifies: bool  # DVC takes the hash of what it fetches


def configuration(root: Path) -> Any:
    """DVC's configuration of the project. InputError where there is none, or DVC cannot read it."""
    from dvc.config import Config, ConfigError

    if not (root / ".dvc").is_dir():
        raise InputError(f"{root.resolve()}: expected a project of DVC, found no folder .dvc; `dvc init` makes one")
    try:
        return Config(str((root / ".dvc").resolve()))
    except ConfigError as error:
        raise InputError(f"{root / CONFIG}: {' '.join(str(error).split())}") from None


def places(root: Path) -> list[Place]:
    """All remotes of a project, the default one first."""
    config = configuration(root)
    default = config["core"].get("remote")
    found = [Place(name, str(one["url"]), name == default, bool(one.get("verify"))) for name, one in config["remote"].items()]
    return sorted(found, key=lambda place: (not place.default, place.name))


def place_named(root: Path, name: str | None) -> Place:
    """A remote by its name; None: the default one. UsageError where none has the name, InputError where none is the default."""
    known = places(root)
    found = next((place for place in known if place.name == name or (name is None and place.default)), None)
    if found is None:
        names = [place.name for place in known]
        there = f"it has {', '.join(names) or 'none'}; `headstart remote use` sets one"
        if name is None:
            raise InputError(f"{root / CONFIG}: expected a default remote, {there}")
        raise UsageError(f"{root / CONFIG}: expected a remote {name!r}{nearest(name, names)}, {there}")
    return found


def require_name(name: str) -> str:
    """A name as DVC keeps it. UsageError for one that is no name."""
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name!r}: expected lower-case letters, digits, - and _, a letter or digit first")
    return name


def require_plain(*texts: str) -> None:
    """UsageError for what DVC's configuration file cannot hold: it takes ASCII alone, and a line for each value."""
    for text in texts:
        if not (text.isascii() and text.isprintable()):
            raise UsageError(
                f"{shown(text)}: expected an address or a path of ASCII characters, which is all that {CONFIG} can hold"
            )


def require_open(url: str, cure: str) -> SplitResult:
    """An address, in parts.

    UsageError for one with a password in it, which would stand in git, in the history of the shell and in the list of processes, and for
    one that cannot be read.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{url.rpartition('@')[2]}: expected an address, got one that cannot be read: {error}") from None
    if parts.password is not None:
        raise UsageError(f"{without_password(url)}: expected an address without a password; {cure}")
    if not parts.hostname and url:
        raise UsageError(f"{url}: expected an address, got one without a name of a machine or bucket")
    return parts


def without_password(url: str) -> str:
    """An address that can be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.netloc.rpartition('@')[2]}")) if parts.password else url


def merged(root: Path, name: str, options: Mapping[str, str], private: Mapping[str, str]) -> dict[str, Any]:
    """DVC's configuration as it would be with the remote: for a trial, before anything is written."""
    config = configuration(root)
    kept = config.read("local")["remote"].get(name, {}) if _same_place(config, name, options["url"]) else {}
    return {**config, "remote": {**config["remote"], name: {**_limited(options), **kept, **private}}}


def write_remote(root: Path, name: str, options: Mapping[str, str], private: Mapping[str, str]) -> None:
    """Write the remote and make it the default; what is private goes where git does not look."""
    config = configuration(root)
    if (root / LOCAL).exists():
        with edited(config, "local") as local:
            if not _same_place(config, name, options["url"]):
                local["remote"].pop(name, None)  # options of another remote that had this name
            local["core"].pop("remote", None)  # would hide the new default
    with edited(config, "repo", validate=True) as repo:
        repo["remote"][name] = {**_limited(options), "verify": "true"}
        repo["core"]["remote"] = name
    if private:
        _keep(root, config, {name: dict(private)})


@contextmanager
def edited(config: Any, level: str, validate: bool = False) -> Iterator[Any]:
    """A file of the configuration, to be changed; it is replaced as a whole or stays, where DVC would empty it before it writes."""
    path = Path(config.files[level])
    with fresh_file(path) as copy:
        if path.exists():
            shutil.copy2(path, copy)
        config.files[level] = str(copy)
        try:
            with config.edit(level, validate=validate) as content:
                yield content
        finally:
            config.files[level] = str(path)


def move_secrets(root: Path) -> dict[str, bool]:
    """Move what must stay secret out of .dvc/config; names of what was moved, as remote.option → whether git has it already."""
    config = configuration(root)
    found = {name: _secrets_of(section) for name, section in config.read("repo")["remote"].items()}
    found = {name: secrets for name, secrets in found.items() if secrets}
    if not found:
        return {}
    known = config.read("local")["remote"]  # hides what .dvc/config says
    fresh = {name: {o: value for o, value in secrets.items() if o not in known.get(name, {})} for name, secrets in found.items()}
    committed = _committed(root)
    with edited(config, "repo") as repo:
        for name, secrets in found.items():
            section = repo["remote"][name]
            for option in secrets:
                section.pop(option, None)
            section["url"] = without_password(str(section["url"]))
    _keep(root, config, fresh)
    moved = {f"{name}.{option}": value for name, secrets in found.items() for option, value in secrets.items()}
    return {option: value.encode() in committed for option, value in moved.items()}


def require_unseen(root: Path) -> None:
    """See that git ignores .dvc/config.local. InputError where it tracks the file."""
    if not accepts(root, "rev-parse", "--git-dir"):
        return
    if accepts(root, "ls-files", "--error-unmatch", "--", str(LOCAL)):
        raise InputError(f"{LOCAL}: expected a file that git does not track, it is in git; `git rm --cached {LOCAL}`")
    if not accepts(root, "check-ignore", "--quiet", "--", str(LOCAL)):
        path = root / IGNORED
        now = path.read_text() if path.exists() else ""
        write_bytes(path, f"{now.rstrip()}\n/{LOCAL.name}\n".lstrip().encode())


def _limited(options: Mapping[str, str]) -> dict[str, str]:
    return {**options, **TIMEOUTS.get(urlsplit(options["url"]).scheme, {})}


def _secrets_of(section: Mapping[str, Any]) -> dict[str, str]:
    """The options of a remote that are secret; a password in its address is one, as is an address of a server with one."""
    found = {option: str(value) for option, value in section.items() if option in SECRETS}
    if password := urlsplit(str(section.get("url", ""))).password:
        found.setdefault("password", password)
    if urlsplit(str(section.get("endpointurl", ""))).password:
        found["endpointurl"] = str(section["endpointurl"])
    return found


def _keep(root: Path, config: Any, secrets: Mapping[str, Mapping[str, str]]) -> None:
    """Put secrets of remotes into .dvc/config.local, which only its owner can read."""
    require_unseen(root)
    path = root / LOCAL
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    path.chmod(0o600)
    with edited(config, "local") as local:
        for name, options in secrets.items():
            local["remote"].setdefault(name, {}).update(options)


def _same_place(config: Any, name: str, url: str) -> bool:
    """Whether the remote of this name is at this address already, so that its secrets stay its secrets."""
    known = config["remote"].get(name, {}).get("url")
    return known is not None and str(known) == url


def _committed(root: Path) -> bytes:
    """All that .dvc/config ever said in the commits below HEAD."""
    try:
        return b"".join(content for _, content in versions(root, CONFIG.as_posix()))
    except InputError:  # no repository, or no commit yet
        return b""
