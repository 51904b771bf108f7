"""A tiny project, and the three kinds of remote that its data goes to; a server starts once, when the first test asks for it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.released import Ended, Project
from tests.remote import servers

from headstart.cli import main as cli

KEYS = {"writer": ("writer", "writer-secret"), "reader": ("reader", "reader-secret"), "stranger": ("writer", "not-the-secret")}
BUCKET = "store"
Command = Callable[..., Ended]


class Remote(NamedTuple):
    """One kind of remote, and how its users say what they want."""

    kind: str
    arguments: tuple[str, ...]  # of `headstart remote use`
    away: tuple[str, ...]  # the same, of a server that is not there
    options: Callable[[str], tuple[str, ...]]  # further arguments of the user "writer", "reader" or "stranger"
    environment: Callable[[str], dict[str, str]]

    def use(self, command: Command, who: str = "writer", *more: str) -> Ended:
        """`headstart remote use …` as a user."""
        os.environ.update(self.environment(who))
        return command("remote", "use", *self.arguments, *self.options(who), *more)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3]:
    import s3fs

    with servers.s3(tmp_path_factory.mktemp("s3")) as server:
        s3fs.S3FileSystem(key="writer", secret="writer-secret", endpoint_url=server.endpoint).mkdir(BUCKET)
        yield server


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.SSH]:
    if servers.SSHD is None:
        pytest.skip("no sshd on this machine: `apt-get install openssh-server`")
    with servers.ssh(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture(params=["dir", "s3", "ssh"])
def remote(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """An empty remote of each kind."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.setenv(name, "")  # so that what a test sets is gone after it
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # boto waits longer and longer between them
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # neither keys nor known hosts of the person who tests
    if request.param == "s3":
        return _s3(request.getfixturevalue("s3_server"), tmp_path)
    if request.param == "ssh":
        return _ssh(request.getfixturevalue("ssh_server"), tmp_path)
    return Remote("dir", ("dir", str(tmp_path / "store")), ("dir", "/proc/nowhere"), lambda who: (), lambda who: {})


def _s3(server: servers.S3, folder: Path) -> Remote:
    def environment(who: str) -> dict[str, str]:
        return dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), KEYS[who], strict=True))

    there = ("s3", f"{BUCKET}/{folder.name}", "--endpoint")
    away = (*there, f"http://{servers.HOST}:{servers.free_ports(1)[0]}")
    return Remote("s3", (*there, server.endpoint), away, lambda who: (), environment)


def _ssh(server: servers.SSH, folder: Path) -> Remote:
    keys = {"writer": server.writer, "reader": server.reader, "stranger": server.stranger}
    there = ("ssh", f"{server.user}@{servers.HOST}:{server.folder / folder.name}", "--port")
    away = (*there, str(servers.free_ports(1)[0]))
    return Remote("ssh", (*there, str(server.port)), away, lambda who: ("--keyfile", str(keys[who])), lambda who: {})


@pytest.fixture(scope="session")
def with_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git and DVC with a folder of 16 files, committed."""
    from dvc.repo import Repo

    project = Project(tmp_path_factory.mktemp("with-data"))
    project.git("init", "--quiet", "--initial-branch", "main")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.org")
    (project.root / "params.yaml").write_text("scenarios: []\n")
    (project.root / "walks").mkdir()
    for number in range(16):
        (project.root / f"walks/{number}").write_bytes(number.to_bytes(2, "big") * 20_000)
    with chdir(project.root), Repo.init(".") as repo:
        repo.add("walks")
    project.commit()
    return project.root


@pytest.fixture
def project(with_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, as the working directory."""
    from tests.released import copy_of

    copy = copy_of(with_data, tmp_path / "project")
    monkeypatch.chdir(copy.root)
    return copy


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command of headstart, in this process: servers are asked over connections that are kept."""

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["headstart", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
            sys.exit(0)
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


def hashes(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "walks").iterdir()}
