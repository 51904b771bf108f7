"""`headstart remote`: what it writes, what it keeps out of git, and what it refuses. tests/remote asks real servers."""

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.released import Project, copy_of, new_project

from headstart.core.errors import IntegrityError

Command = Callable[..., tuple[int, str, str]]
CONFIG, LOCAL = Path(".dvc/config"), Path(".dvc/config.local")
SECRET = "wJalrXUtnFEMI-K7MDENG"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = new_project(tmp_path_factory.mktemp("empty"))
    made.commit()
    return made.root


@pytest.fixture
def project(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without data, as the working directory."""
    made = copy_of(empty, tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every remote answers; what is tested is what is written."""
    from headstart.storage import probe

    monkeypatch.setattr(probe, "probe", lambda config, name: probe.Access(True, "it can be read and written"))
    monkeypatch.setattr(probe, "host_key", lambda host, port: "a host key")


def test_a_folder_is_written_as_it_was_typed_and_becomes_the_default(project: Project, command: Command) -> None:
    assert command("remote", "use", "dir", "../store")[0] == 0
    assert "url = ../../store" in CONFIG.read_text()
    assert command("remote", "use", "dir", str(project.root.parent / "other"), "--name", "second")[0] == 0
    code, out, _ = command("remote", "list")
    assert code == 0
    assert out.splitlines() == [
        f"second: {project.root.parent / 'other'}, the default",
        f"store: {project.root.parent / 'store'}",
    ]
    assert list((project.root.parent / "store").iterdir()) == []  # the probe is gone


@pytest.mark.usefixtures("answering")
def test_a_secret_is_asked_for_and_never_reaches_git(
    project: Project, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "typed").write_text(f"{SECRET}\n")
    with (tmp_path / "typed").open() as typed:
        monkeypatch.setattr("sys.stdin", typed)
        code, out, _ = command("remote", "use", "s3", "bucket/prefix", "--endpoint", "https://example.org", "--key-id", "AKIA")
    assert code == 0 and SECRET not in out
    assert f"secret_access_key = {SECRET}" in LOCAL.read_text() and "access_key_id = AKIA" in LOCAL.read_text()
    assert stat.S_IMODE(LOCAL.stat().st_mode) == 0o600
    assert "url = s3://bucket/prefix" in CONFIG.read_text() and "verify = true" in CONFIG.read_text()
    project.commit()
    assert SECRET not in project.git("log", "-p", "--all")


@pytest.mark.usefixtures("answering")
def test_a_secret_that_stands_in_the_config_of_git_is_moved_and_told_if_git_has_it(project: Project, command: Command) -> None:
    CONFIG.write_text(f"['remote \"old\"']\n    url = s3://old\n    secret_access_key = {SECRET}\n")
    code, out, _ = command("remote", "use", "s3", "bucket")
    assert code == 0 and SECRET not in CONFIG.read_text() and SECRET in LOCAL.read_text()
    assert "old.secret_access_key was in .dvc/config, and is in .dvc/config.local now\n" in out
    project.commit()
    assert SECRET not in project.git("log", "-p", "--all")
    CONFIG.write_text(CONFIG.read_text() + f"['remote \"far\"']\n    url = ssh://ada:{SECRET}2@example.org/store\n")
    project.commit()
    code, out, _ = command("remote", "use", "s3", "bucket")
    assert "far.password was in .dvc/config, and is in .dvc/config.local now; git has it in its history: replace it" in out
    assert "url = ssh://ada@example.org/store" in CONFIG.read_text() and f"password = {SECRET}2" in LOCAL.read_text()


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(
    "arguments",
    [("s3", "bucket", "--endpoint", f"https://AKIA:{SECRET}@example.org"), ("ssh", f"ada:{SECRET}@example.org:/store")],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    arguments: tuple[str, ...], project: Project, command: Command
) -> None:
    before = CONFIG.read_bytes()
    code, out, err = command("remote", "use", *arguments)
    assert code == 2 and "expected an address without a password" in err
    assert SECRET not in out + err and CONFIG.read_bytes() == before


@pytest.mark.usefixtures("answering")
def test_private_settings_are_refused_a_file_that_git_tracks_and_ignored_where_they_are_not(
    project: Project, command: Command, tmp_path: Path
) -> None:
    Path(".dvc/.gitignore").write_text("/tmp\n/cache\n")
    (tmp_path / "key").write_text("key")
    assert command("remote", "use", "ssh", "ada@example.org:/store", "--keyfile", str(tmp_path / "key"))[0] == 0
    assert Path(".dvc/.gitignore").read_text() == "/tmp\n/cache\n/config.local\n"
    assert "keyfile" in LOCAL.read_text() and "keyfile" not in CONFIG.read_text()
    project.git("add", "--force", str(LOCAL))
    code, _, err = command("remote", "use", "s3", "bucket")
    assert code == 3 and "`git rm --cached .dvc/config.local`" in err


@pytest.mark.usefixtures("answering")
def test_settings_of_another_remote_of_the_same_name_do_not_stay(project: Project, command: Command, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("key")
    assert command("remote", "use", "ssh", "ada@example.org:/store", "--keyfile", str(tmp_path / "key"))[0] == 0
    assert command("remote", "use", "ssh", "ada@example.org:/store", "--port", "2222")[0] == 0
    assert "keyfile" in LOCAL.read_text()  # the same place: it is still the key for it
    assert command("remote", "use", "s3", "bucket")[0] == 0
    assert "keyfile" not in LOCAL.read_text() and "port" not in CONFIG.read_text()
    assert command("remote", "list")[1] == "store: s3://bucket, the default\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("dir", "."), 3, "expected a folder outside of the project"),
        (("dir", ".dvc/cache"), 3, "expected a folder outside of the project"),
        (("dir", "store"), 3, "add /store/ to .gitignore"),
        (("dir", "../x", "--name", "a b"), 2, "--name 'a b': expected lower-case letters"),
        (("dir", "../x", "--name", "../../x"), 2, "expected lower-case letters"),
        (("ssh", "example.org"), 2, "expected USER@HOST:/PATH"),
        (("ssh", "a@[b:/x"), 2, "expected an address, got one that cannot be read"),
        (("ssh", "a@b:port:/x"), 2, "expected an address, got one that cannot be read"),
        (("s3", ""), 2, "expected an address, got one without a name"),
        (("s3", "b", "--endpoint", "http://[x"), 2, "expected an address, got one that cannot be read"),
        (("dir", "params.yaml/x"), 3, "add /params.yaml/x/ to .gitignore"),
        (("dir", "../stüre"), 2, "expected an address or a path of ASCII characters"),
        (("dir", "../a\nb"), 2, "expected an address or a path of ASCII characters"),
        (("dir", "/proc/x"), 3, "/proc/x: expected a remote that answers"),
        (("ssh", "a@b:/x", "--keyfile", "nokey"), 3, "expected a private key, found no file"),
        (("s3", "b", "--key-id", "AKIA"), 3, "secret of AKIA: expected a line with it, got nothing"),
    ],
)
def test_what_cannot_be_a_remote_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], code: int, says: str, project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = CONFIG.read_bytes()
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        ended, _, err = command("remote", "use", *arguments)
    assert (ended, says in err, err.count("\n")) == (code, True, 1), err
    assert CONFIG.read_bytes() == before


@pytest.mark.parametrize(("kind", "extra", "module"), [("s3", "s3", "dvc_s3"), ("ssh", "ssh", "dvc_ssh")])
def test_the_extra_that_is_missing_is_named(
    kind: str, extra: str, module: str, project: Project, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.storage import probe

    monkeypatch.setattr(probe, "find_spec", lambda name: None if name == module else object())
    code, _, err = command("remote", "use", kind, "ada@example.org:/store" if kind == "ssh" else "bucket")
    assert code == 9 and f"`pip install 'headstart[{extra}]'`" in err


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_folder_that_cannot_be_written_is_told_so(project: Project, command: Command, open_folder: Path) -> None:
    from headstart.storage.probe import probe

    open_folder.chmod(0o555)
    if os.geteuid() == 0:  # may write everywhere, so become somebody
        os.seteuid(65534)
    try:
        access = probe({"remote": {"store": {"url": str(open_folder)}}}, "store")
    finally:
        os.seteuid(os.getuid())
    assert not access.writes and "`dvc pull` works, `dvc push` will not" in access.says


def test_the_remote_of_a_fresh_clone_is_checked_before_it_is_there(project: Project, command: Command) -> None:
    assert command("remote", "check")[2] == (
        "error: .dvc/config: expected a default remote, it has none; `headstart remote use` sets one\n"
    )
    CONFIG.write_text("[core]\n    remote = store\n['remote \"store\"']\n    url = ../.dvc-remote\n")
    code, _, err = command("remote", "check")
    assert code == 3 and f"remote store: the folder {project.root / '.dvc-remote'} is not on this machine" in err
    (project.root / ".dvc-remote").mkdir()
    code, out, _ = command("remote", "check")
    assert code == 0 and "it can be read and written" in out and "`dvc remote modify store verify true`" in out
    code, _, err = command("remote", "check", "stor")
    assert code == 2 and "expected a remote 'stor' (did you mean 'store'?)" in err


def test_another_host_key_than_the_known_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncssh

    from headstart.storage import probe

    ours, other = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))

    async def key_of_server(*_: object) -> asyncssh.SSHKey:
        return ours

    monkeypatch.setattr(asyncssh, "get_server_host_key", key_of_server)
    hosts = tmp_path / "known_hosts"
    monkeypatch.setattr(probe, "KNOWN_HOSTS", hosts)

    def asked() -> str:
        """In a thread of its own: in this one the loop of other tests' browser may run."""
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(probe.host_key, "example.org", 2222).result()

    assert "is not in" in asked()
    hosts.write_text(f"[example.org]:2222 {ours.export_public_key().decode()}")
    assert "is the one in" in asked()
    hosts.write_text(f"[example.org]:2222 {other.export_public_key().decode()}")
    with pytest.raises(IntegrityError, match="got another"):
        asked()


def test_the_configuration_is_replaced_as_a_whole_or_stays(project: Project, command: Command, tmp_path: Path) -> None:
    from headstart.storage.remotes import configuration, edited

    assert command("remote", "use", "dir", str(tmp_path / "store"))[0] == 0
    before = CONFIG.read_bytes()
    with pytest.raises(UnicodeEncodeError), edited(configuration(Path()), "repo") as content:  # of DVC, which writes ASCII
        content["remote"]["other"] = {"url": "/stüre"}
    assert CONFIG.read_bytes() == before
    assert [path.name for path in CONFIG.parent.glob(".config*")] == []
