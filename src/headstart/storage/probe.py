"""Does a remote answer, and may it be read and written? Asked of the remote itself, with a file of a few bytes."""

import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from headstart.core.errors import HeadstartError, InputError, IntegrityError, MissingExtra
from headstart.storage.remotes import without_password

EXTRAS = {"s3": ("s3", "dvc_s3", "s3fs"), "ssh": ("ssh", "dvc_ssh", "sshfs")}  # scheme → extra, and the modules that it brings
KNOWN_HOSTS = Path("~/.ssh/known_hosts")
PATIENCE_S = 40


class Access(NamedTuple):
    """What a remote lets these credentials do."""

    writes: bool
    says: str


def require_extra(url: str) -> None:
    """MissingExtra where the packages for the scheme of an address are not installed."""
    extra, *modules = EXTRAS.get(urlsplit(url).scheme, ("",))
    if not all(find_spec(module) for module in modules):
        raise MissingExtra(f"{without_password(url)}: this remote needs `pip install 'headstart[{extra}]'`")


def probe(config: Mapping[str, Any], name: str) -> Access:
    """Write a small file, read it back, and remove it; where writing is refused, look whether reading is allowed.

    Raises InputError, naming the address, where the remote does not answer or refuses both, and MissingExtra.
    """
    url = str(config["remote"][name]["url"])
    require_extra(url)
    with answering(without_password(url)), _patience():
        return _try(config, name)


@contextmanager
def answering(whose: str) -> Iterator[None]:
    """Errors of a remote as InputError, which names it: of boto, asyncssh or the kernel, which have no common class."""
    try:
        yield
    except HeadstartError:
        raise
    except Exception as error:
        cause = " ".join((str(error).strip() or type(error).__name__).split())[:300]
        raise InputError(f"{whose}: expected a remote that answers, got: {cause}") from None


def _try(config: Mapping[str, Any], name: str) -> Access:
    from dvc.fs import get_cloud_fs

    kind, options, path = get_cloud_fs(config, name=name)
    files = kind(**options)
    if files.protocol == "s3":
        files.fs_args.setdefault("config_kwargs", {})["retries"] = {"total_max_attempts": 2}
        files.fs.retries = 1  # s3fs repeats beside boto
    file, said = files.join(path, f".headstart-probe-{secrets.token_hex(8)}"), secrets.token_bytes(16)
    try:
        if files.protocol != "s3":  # there it would make a bucket
            files.makedirs(path)
        files.pipe_file(file, said)
    except Exception as error:
        if not _refused(error):
            raise
        try:
            files.ls(path)  # raises where that is refused too
        except FileNotFoundError:
            if files.protocol != "s3":
                raise
            files.ls(files.parts(path)[0])  # a prefix is there once something has it
        return Access(False, "it can be read, and not be written: `dvc pull` works, `dvc push` will not")
    if files.cat_file(file) != said:
        raise IntegrityError(f"{file}: read back other bytes than were written")
    with suppress(PermissionError):
        files.rm_file(file)
        return Access(True, "it can be read and written")
    return Access(True, f"it can be read and written, and nothing be removed: {file} stays")


@contextmanager
def _patience() -> Iterator[None]:
    """TimeoutError after PATIENCE_S: of the libraries, each has limits of its own, and repeats."""

    def end(*_: object) -> None:
        raise TimeoutError(f"no answer within {PATIENCE_S} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _refused(error: Exception) -> bool:
    """Whether an error says that the credentials are good, and not for this."""
    return isinstance(error, PermissionError) or type(error).__name__ == "SFTPPermissionDenied" or "Read-only file" in str(error)


def host_key(host: str, port: int | None) -> str:
    """What is known of the host key of an SSH server; DVC itself does not check it. IntegrityError where it is not the known one."""
    import asyncio

    import asyncssh

    async def ask() -> Any:
        return await asyncio.wait_for(asyncssh.get_server_host_key(host, port or ()), 20)

    file = KNOWN_HOSTS.expanduser()
    with answering(host):
        key = asyncio.run(ask())
        known = asyncssh.read_known_hosts([str(file)]).match(host, "", port or 22)[0] if file.is_file() else []
    print_of = f"host key {key.get_fingerprint()}"
    if key in known or key.public_data in [one.public_data for one in known]:
        return f"{print_of} is the one in {KNOWN_HOSTS}"
    if known:
        raise IntegrityError(
            f"{host}: expected the host key in {file}, got another, {key.get_fingerprint()}: it may be another server"
        )
    return f"{print_of} is not in {KNOWN_HOSTS}, and DVC does not check it: compare it with the server's"
