"""Data goes to a folder, to S3 and to an SSH server and comes back whole; what cannot be is said in one line. The servers are real."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo
from tests.released import Project
from tests.remote.conftest import Command, Remote, hashes

CONFIG = Path(".dvc/config")
# DVC's libraries warn of each other, and leave connections to the interpreter's end
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::ResourceWarning")]


def push(root: Path) -> None:
    with Repo(str(root)) as repo:
        repo.push()


def store_of(root: Path) -> Any:
    with Repo(str(root)) as repo:
        return repo.cloud.get_remote_odb()


def clone(project: Project, name: str) -> Path:
    """What another person has after `git clone`; private settings are of that person."""
    project.commit()
    root = project.root.parent / name
    project.git("clone", "--quiet", str(project.root), str(root))
    private = project.root / ".dvc/config.local"
    if private.exists():
        (root / ".dvc/config.local").write_bytes(private.read_bytes())
    return root


def pull(root: Path) -> None:
    with Repo(str(root)) as repo:
        repo.pull()


def test_what_is_pushed_comes_back_in_a_fresh_clone(remote: Remote, project: Project, command: Command) -> None:
    used = remote.use(command)
    assert (used.code, used.err) == (0, "")
    assert "it can be read and written" in used.out
    assert "verify = true" in CONFIG.read_text() and "remote = store" in CONFIG.read_text()
    push(project.root)
    root = clone(project, "clone")
    pull(root)
    assert hashes(root) == hashes(project.root) and len(hashes(root)) == 16
    assert command("remote", "check").code == 0
    assert project.git("status", "--porcelain") == ""  # the probe and the keys left nothing that git would take


def test_a_push_that_is_killed_is_completed_by_the_next_one(remote: Remote, project: Project, command: Command) -> None:
    assert remote.use(command).code == 0
    store = store_of(project.root)
    pushing = subprocess.Popen([sys.executable, "-m", "dvc", "push", "--quiet", "--jobs", "1"], cwd=project.root)
    there = 0
    while not there and pushing.poll() is None:
        with suppress(FileNotFoundError):
            there = sum(1 for _ in store.fs.find(store.path))
        time.sleep(0.005)
    pushing.send_signal(signal.SIGKILL)
    pushing.wait()
    assert there, "nothing was pushed"
    push(project.root)
    root = clone(project, "clone")
    pull(root)
    assert hashes(root) == hashes(project.root)


def test_a_stranger_is_refused_in_one_line_and_nothing_is_written(remote: Remote, project: Project, command: Command) -> None:
    if remote.kind == "dir":
        pytest.skip("a folder knows no credentials")
    before = CONFIG.read_bytes()
    refused = remote.use(command, "stranger")
    assert refused.code == 3
    assert refused.err.startswith("error: ") and refused.err.count("\n") == 1
    assert CONFIG.read_bytes() == before and not Path(".dvc/config.local").exists()


def test_a_key_that_may_only_read_is_told_so_and_can_pull(remote: Remote, project: Project, command: Command) -> None:
    if remote.kind == "dir":
        pytest.skip("test_a_folder_that_cannot_be_written_is_told_so")
    assert remote.use(command).code == 0
    push(project.root)
    there = set(store_of(project.root).all())
    used = remote.use(command, "reader")
    assert used.code == 0
    assert "it can be read, and not be written: `dvc pull` works, `dvc push` will not" in used.out
    root = clone(project, "clone")
    pull(root)
    assert hashes(root) == hashes(project.root)
    (root / "walks/new").write_text("new")
    with Repo(str(root)) as repo:
        repo.add(str(root / "walks"))
        with pytest.raises(Exception, match=r"denied|failed"):  # of DVC, of SFTP
            repo.push()
    assert set(store_of(project.root).all()) == there


def test_a_server_that_is_away_is_named_in_one_line(remote: Remote, project: Project, command: Command) -> None:
    before = CONFIG.read_bytes()
    ended = command("remote", "use", *remote.away, *remote.options("writer"))
    assert ended.code in (3, 4)
    assert ended.err.startswith("error: ") and ended.err.count("\n") == 1
    assert CONFIG.read_bytes() == before
    if remote.kind != "dir":  # a folder that is not there is an empty remote
        _write_away(remote)
        ended = command("gc", "--remote", "store")
        assert (ended.code, ended.err.count("\n")) == (3, 1), ended


def _write_away(remote: Remote) -> None:
    """The remote that is away, in the config as `remote use` would write it."""
    kind, place, _, server = remote.away
    s3, ssh = (f"url = s3://{place}", f"endpointurl = {server}"), (f"url = ssh://{place.replace(':/', '/')}", f"port = {server}")
    lines = s3 if kind == "s3" else ssh
    CONFIG.write_text("[core]\nremote = store\n['remote \"store\"']\n" + "\n".join(lines) + "\n")


def test_a_damaged_object_is_never_checked_out_and_another_remote_has_it_whole(
    remote: Remote, project: Project, command: Command
) -> None:
    assert command("remote", "use", "dir", str(project.root.parent / "second"), "--name", "second").code == 0
    push(project.root)
    assert remote.use(command).code == 0
    assert command("remote", "push-all").out == "store: 17 objects pushed\n"
    store = store_of(project.root)
    victim = next(name for name in store.all() if not name.endswith(".dir"))
    whole = store.fs.cat_file(store.oid_to_path(victim))
    damaged = bytes([whole[0] ^ 1]) + whole[1:]
    if store.fs.protocol == "local":
        os.chmod(store.oid_to_path(victim), 0o644)
    store.fs.pipe_file(store.oid_to_path(victim), damaged)
    found = command("verify", "--remote", "store")
    assert found.code == 4 and f"{victim[:2]}/{victim[2:]}" in found.err
    root = clone(project, "clone")
    with pytest.raises(DvcException, match="walks"):
        pull(root)
    assert damaged not in ([path.read_bytes() for path in (root / "walks").iterdir()] if (root / "walks").exists() else [])
    with Repo(str(root)) as repo:
        repo.pull(remote="second")
    assert hashes(root) == hashes(project.root)


def test_a_damaged_object_is_named_and_written_anew_from_another_remote(
    remote: Remote, project: Project, command: Command
) -> None:
    assert command("remote", "use", "dir", str(project.root.parent / "second"), "--name", "second").code == 0
    push(project.root)
    assert remote.use(command).code == 0
    push(project.root)
    project.commit()
    assert command("verify", "--all").code == 0
    store = store_of(project.root)
    victim, lost = [name for name in store.all() if not name.endswith(".dir")][:2]
    whole = store.fs.cat_file(store.oid_to_path(victim))
    if store.fs.protocol == "local":
        os.chmod(store.oid_to_path(victim), 0o644)
    store.fs.pipe_file(store.oid_to_path(victim), whole[:-1])
    store.fs.remove(store.oid_to_path(lost))
    for folder in (".dvc/cache", "walks"):
        subprocess.run(["rm", "-r", folder], cwd=project.root, check=True)
    name = Repo(str(project.root)).config["core"]["remote"]

    ended = command("verify", "--remote", name)
    assert ended.code == 4
    assert f"MISS objects in remote {name}: 16 checked" in ended.out
    assert sorted(line.split(" in ")[0].split("/")[0].strip() for line in ended.err.splitlines()[1:]) == ["walks", "walks"]

    for who in ("reader",) if remote.kind == "s3" else ():
        assert remote.use(command, who).code == 0
        ended = command("verify", "--remote", name, "--repair", "--from", "second")
        assert (ended.code, ended.out.count("not mended: remote")) == (4, 2), ended.out[:900]
        assert remote.use(command).code == 0
    ended = command("verify", "--remote", name, "--repair", "--from", "second")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.count(": back from ") == 2
    assert store.fs.cat_file(store.oid_to_path(victim)) == whole
    pull(project.root)
    assert command("verify", "--all").code == 0


def test_a_server_that_is_away_when_it_is_verified_is_one_line(remote: Remote, project: Project, command: Command) -> None:
    assert remote.use(command).code == 0
    project.commit()
    name = Repo(str(project.root)).config["core"]["remote"]
    url = {"dir": "/proc/nowhere", "s3": "http://127.0.0.1:1", "ssh": "ssh://nobody@127.0.0.1:1/nowhere"}[remote.kind]
    project.dvc("remote", "modify", name, "endpointurl" if remote.kind == "s3" else "url", url)
    ended = command("verify", "--remote", name)
    assert ended.code == 4
    assert "Traceback" not in ended.err
    assert f"remote {name}" in ended.err and len(ended.err.splitlines()) <= 3
