"""Damage in the workspace, the cache and a remote of a small DVC project: it is named, moved away, and the recorded bytes come back."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.forked import command

from headstart.config.project import LOCKS
from headstart.core.errors import Busy, InputError, UsageError
from headstart.release.faults import Findings, lines
from headstart.release.quarantine import QUARANTINE
from headstart.release.repair import repair
from headstart.release.verify import Scope, scope_of, verify

EVERYTHING = Scope(cache=True, remote="store", complete=True)
FILES = {
    "data/words/a.txt": b"alpha\n",
    "data/words/deep/b.txt": b"beta\n",
    "data/words/same.txt": b"alpha\n",
    "data/one.txt": b"one\n",
}
MAKE = "import pathlib; [(pathlib.Path(n).parent.mkdir(parents=True, exist_ok=True), pathlib.Path(n).write_bytes(b)) for n, b in {}.items()]"


def dvc(root: Path, *arguments: str, ok: bool = True) -> str:
    done = command(root, "dvc", *arguments)
    assert not ok or done.code == 0, done.err
    return done.out + done.err


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project `here`, made by `dvc repro`, with a folder that `dvc add` follows, and its remote `store`."""
    home = tmp_path_factory.mktemp("made")
    root = home / "here"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "config", "user.name", "Ada")
    git(root, "config", "user.email", "ada@example.org")
    dvc(root, "init", "--quiet")
    dvc(root, "remote", "add", "--default", "store", "../store")
    (root / "make.py").write_text(MAKE.format(FILES))
    (root / "params.yaml").write_text("scenarios: [words]\nrate: 0.25\n")
    outs = "  outs: [data/words, data/one.txt]"
    (root / "dvc.yaml").write_text(
        f"stages:\n  make:\n    cmd: python make.py\n    deps: [make.py]\n    params: [rate]\n  {outs}\n"
    )
    (root / "brought").mkdir()
    (root / "brought/file.txt").write_bytes(b"brought\n")
    dvc(root, "add", "--quiet", "brought")
    dvc(root, "repro")
    dvc(root, "push")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "made")
    return home


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    """A copy of the project beside a copy of its remote."""
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy/here"


def cached(root: Path, path: str) -> Path:
    """The object of a file, or of the folder data/words, in the cache."""
    recorded = dict(re.findall(r"path: (\S+)\n\s+hash: md5\n\s+md5: (\S+)", (root / "dvc.lock").read_text()))
    md5 = recorded.get(path) or hashlib.md5(FILES[path]).hexdigest()
    return root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def sent(root: Path, path: str) -> Path:
    """The object of a file in the remote."""
    return root.parent / "store" / cached(root, path).relative_to(root / ".dvc/cache")


def flip(path: Path) -> bytes:
    """Flip a bit of the first byte in place; times and mode stay, as on a disk that forgets. Returns what is there now."""
    about, data = path.stat(), path.read_bytes()
    os.chmod(path, 0o644)
    with path.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))
    os.chmod(path, about.st_mode)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    return path.read_bytes()


def faults(root: Path, scope: Scope = EVERYTHING) -> list[str]:
    return lines([fault for found in verify(root, scope).values() for fault in found.faults])


def quarantined(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in (root / QUARANTINE).rglob("*") if path.is_file()]


def test_everything_is_counted_where_everything_is_there(here: Path) -> None:
    found = {name: str(findings) for name, findings in verify(here, EVERYTHING).items() if findings.checked}
    assert found == {
        "entries of dvc.lock": "1 checked",
        "outputs of stages": "3 checked",
        "objects in the cache": "6 checked",
        "runs that DVC remembers": "1 checked",
        "objects in remote store": "6 checked",
    }
    assert faults(here) == []


def test_a_flipped_byte_in_the_cache_is_found_and_comes_back_from_the_workspace_before_dvc_hands_it_out(here: Path) -> None:
    bad = flip(cached(here, "data/words/a.txt"))
    assert faults(here, Scope()) == []  # nobody asked for the cache
    (fault,) = faults(here, Scope(cache=True))
    assert fault.startswith(
        f"data/words/a.txt in the cache: {cached(here, 'data/words/a.txt')}: expected the MD5 of its name, found "
    )
    assert fault.endswith("; `headstart verify --cache --repair` brings back what is recorded")

    (said,) = repair(here, Scope(cache=True))

    assert said == f"data/words/a.txt in the cache: {cached(here, 'data/words/a.txt')}: back from the workspace"
    assert quarantined(here) == [bad]
    assert faults(here) == []
    shutil.rmtree(here / "data")
    dvc(here, "checkout")
    assert (here / "data/words/a.txt").read_bytes() == b"alpha\n"


def test_what_is_damaged_in_workspace_and_cache_comes_back_from_the_remote(here: Path) -> None:
    bad = [flip(here / "data/one.txt"), flip(cached(here, "data/one.txt"))]

    said = repair(here, scope_of(here, cache=False, remote=None, everything=True))

    assert said[0] == "data/one.txt: back from remote store"
    assert (here / "data/one.txt").read_bytes() == b"one\n"
    assert sorted(quarantined(here)) == sorted(bad)
    assert faults(here) == []
    assert "up to date" in dvc(here, "status")


def test_a_corrupt_object_of_the_remote_is_found_and_written_anew_so_that_a_clone_can_pull(here: Path) -> None:
    bad = flip(sent(here, "data/words/deep/b.txt"))
    (fault,) = faults(here, Scope(remote="store"))
    assert fault.startswith("data/words/deep/b.txt in remote store: ")

    (said,) = repair(here, Scope(remote="store"))

    assert said.endswith("back from the cache")
    assert quarantined(here) == [bad]
    assert faults(here) == []
    git(here.parent, "clone", "--quiet", str(here), "clone")
    dvc(here.parent / "clone", "pull")
    assert {name: (here.parent / "clone" / name).read_bytes() for name in FILES} == FILES


def test_a_lost_object_of_the_remote_is_sent_again_though_dvc_believes_that_it_is_there(here: Path) -> None:
    lost = sent(here, "data/words/a.txt")
    lost.unlink()
    dvc(here, "push")
    assert not lost.exists()  # DVC has noted that the folder was sent, and looks no further
    (fault,) = faults(here, Scope(remote="store"))
    assert "expected an object, found none" in fault

    repair(here, Scope(remote="store"))

    assert lost.read_bytes() == b"alpha\n"


def test_a_second_remote_gives_back_what_cache_workspace_and_first_remote_have_lost(here: Path) -> None:
    shutil.copytree(here.parent / "store", here.parent / "other")
    dvc(here, "remote", "add", "other", "../other")
    git(here, "commit", "--quiet", "--all", "--message", "other")
    (here / "data/one.txt").unlink()
    cached(here, "data/one.txt").unlink()
    flip(sent(here, "data/one.txt"))

    said = repair(here, EVERYTHING, "other")

    assert "data/one.txt: back from remote other" in said
    assert sent(here, "data/one.txt").read_bytes() == b"one\n"
    assert faults(here) == []


def test_what_no_store_has_is_computed_again_by_the_command_that_is_named(here: Path) -> None:
    shutil.rmtree(here.parent / "store")
    flip(here / "data/words/a.txt")
    flip(here / "data/words/same.txt")
    flip(cached(here, "data/words/a.txt"))

    said = repair(here, Scope(cache=True))

    assert all("found no good copy" in line and line.endswith("`dvc repro make` computes it again") for line in said)
    assert len(quarantined(here)) == 3
    dvc(here, "repro", "make")
    assert (
        here / "data/words/a.txt"
    ).read_bytes() == b"alpha\n"  # neither the run cache nor the index vouched for what was there
    assert faults(here, Scope(cache=True)) == []


def test_an_exchange_of_two_objects_is_undone_from_the_two_alone(here: Path) -> None:
    one, other = cached(here, "data/one.txt"), cached(here, "data/words/deep/b.txt")
    shutil.rmtree(here.parent / "store")
    shutil.rmtree(here / "data")
    one.rename(one.with_suffix(".x"))
    other.rename(one)
    one.with_suffix(".x").rename(other)
    assert len(faults(here, Scope(cache=True))) == 2

    repair(here, Scope(cache=True))

    assert (one.read_bytes(), other.read_bytes()) == (b"one\n", b"beta\n")


def test_a_lost_listing_is_written_again_from_the_folder(here: Path) -> None:
    shutil.rmtree(here.parent / "store")
    listing = cached(here, "data/words")
    before = listing.read_bytes()
    listing.unlink()
    assert len(faults(here, Scope(cache=True))) == 1
    repair(here, Scope(cache=True))
    assert listing.read_bytes() == before


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "copy"])
def test_links_into_the_cache_are_mended_as_links(here: Path, kind: str) -> None:
    dvc(here, "config", "cache.type", kind)
    git(here, "commit", "--quiet", "--all", "--message", kind)
    dvc(here, "checkout", "--relink")
    assert faults(here) == []
    flip(cached(here, "data/one.txt"))
    assert any(line.startswith("data/one.txt: expected MD5") for line in faults(here)) == (kind != "copy")

    repair(here, EVERYTHING)

    assert (here / "data/one.txt").read_bytes() == b"one\n"
    assert (here / "data/one.txt").is_symlink() == (kind == "symlink")
    assert (here / "data/one.txt").stat().st_nlink == (2 if kind == "hardlink" else 1)
    assert faults(here) == []


def test_a_file_that_was_added_to_an_output_is_moved_away_and_one_that_is_gone_comes_back(here: Path) -> None:
    (here / "data/words/new.txt").write_bytes(b"new\n")
    (here / "data/words/deep/b.txt").unlink()
    gone, new = faults(here, Scope())
    assert gone.startswith("data/words/deep/b.txt: expected a file with MD5 ")
    assert new.startswith("data/words/new.txt: expected no such file in the output of make, found one; ")

    repair(here, Scope())

    assert quarantined(here) == [b"new\n"]
    assert faults(here) == []


def test_what_is_not_here_is_counted_and_is_a_fault_only_where_all_is_asked_for(here: Path) -> None:
    shutil.rmtree(here / "data")
    found = verify(here, Scope(cache=True))
    assert found["outputs of stages"] == Findings(1, (), "2 not here (`dvc pull` or `dvc repro` brings what is not here)")
    assert faults(here, Scope(cache=True)) == []
    assert any(line.startswith("data/one.txt: expected a file or folder, found none") for line in faults(here))

    repair(here, EVERYTHING)

    assert {name: (here / name).read_bytes() for name in FILES} == FILES


def test_an_empty_cache_is_one_line(here: Path) -> None:
    shutil.rmtree(here / ".dvc/cache")
    shutil.rmtree(here.parent / "store")
    found = faults(here, Scope(cache=True))
    assert len(found) <= 8
    assert all("in the cache: " in line and "expected an object, found none" in line for line in found)


def test_what_dvc_add_follows_is_checked_too(here: Path) -> None:
    flip(here / "brought/file.txt")
    (fault,) = faults(here, Scope())
    assert fault.startswith("brought/file.txt: expected MD5 ")
    repair(here, Scope())
    assert (here / "brought/file.txt").read_bytes() == b"brought\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rate: 0.25", "rate: 0.35"),
        ("size: 4", "size: 5"),
        ("nfiles: 3", "nfiles: 2"),
        ("python make.py", "python fake.py"),
        ("\n", "\n\n"),
    ],
)
def test_any_change_of_the_lock_file_is_found_and_undone(here: Path, old: str, new: str) -> None:
    path = here / "dvc.lock"
    good = path.read_text()
    assert old in good
    path.write_text(good.replace(old, new, 1))
    (fault,) = (line for line in faults(here, Scope()) if line.startswith("dvc.lock: "))
    assert "`git checkout HEAD -- dvc.lock` brings back what is committed" in fault

    repair(here, Scope())

    assert path.read_text() == good
    assert faults(here) == []


def test_a_lock_file_that_a_run_has_just_written_is_none_of_these(here: Path) -> None:
    (here / "params.yaml").write_text("scenarios: [words]\nrate: 0.5\n")
    dvc(here, "repro")
    assert faults(here, Scope()) == []
    shutil.rmtree(here / ".dvc/cache/runs")
    assert faults(here, Scope()) == []  # DVC remembers no run, but this is what is here
    (here / "dvc.lock").write_text((here / "dvc.lock").read_text().replace("rate: 0.5", "rate: 0.75"))
    (fault,) = faults(here, Scope())
    assert fault.startswith("dvc.lock: make: expected the entry that HEAD holds, or a run that DVC remembers, found another")


def test_a_run_that_dvc_remembers_wrongly_is_moved_away(here: Path) -> None:
    (run,) = (path for path in (here / ".dvc/cache/runs").rglob("*") if path.is_file())
    run.write_text(run.read_text().replace("python make.py", "python fake.py"))
    (fault,) = faults(here)
    assert fault.startswith(f"a run that DVC remembers: {run}: expected the content of its name")
    repair(here, EVERYTHING)
    assert not run.exists()
    assert faults(here) == []


def test_nothing_is_repaired_while_a_stage_of_dvc_runs(here: Path) -> None:
    bad = flip(here / "data/one.txt")
    holder = {"pid": os.getppid(), "cmd": "dvc repro"}
    (here / ".dvc/tmp/rwlock").write_text(json.dumps({"write": {str(here / "data/one.txt"): holder}, "read": {}}))
    with pytest.raises(Busy, match=rf"PID {os.getppid()}\): dvc repro"):
        repair(here, Scope())
    assert (here / "data/one.txt").read_bytes() == bad


def test_nothing_is_repaired_while_a_command_holds_its_lock(here: Path) -> None:
    wait = "with held(Path(sys.argv[1]), 'headstart capture x'): print(flush=True); input()"
    wait = f"import sys; from pathlib import Path; from headstart.core.lock import held\n{wait}"
    holder = [sys.executable, "-c", wait, str(here / LOCKS / "capture-x")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(Busy, match=f"process {process.pid} has run `headstart capture x` since"):
            repair(here, Scope())
        process.communicate("\n")
    assert repair(here, Scope()) == []


def test_a_remote_that_refuses_is_named_and_keeps_what_it_has(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc_objects.fs.local import LocalFileSystem

    def refuse(self: object, path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    bad = flip(sent(here, "data/one.txt"))
    monkeypatch.setattr(LocalFileSystem, "remove", refuse)
    (said,) = repair(here, Scope(remote="store"))
    assert "not mended: remote store (" in said
    assert "expected to take the object away: PermissionError" in said
    assert sent(here, "data/one.txt").read_bytes() == bad


def test_an_unknown_remote_is_refused_with_those_that_there_are(here: Path) -> None:
    with pytest.raises((UsageError, InputError), match="store"):
        repair(here, Scope(cache=True), "stare")
    with pytest.raises(UsageError, match="did you mean 'store'"):
        verify(here, Scope(remote="stare"))


def test_a_remote_that_is_not_on_this_machine_is_named_with_what_sets_another(here: Path) -> None:
    store = here.parent / "store"
    store.rename(store.with_name("away"))
    (fault,) = faults(here, Scope(remote="store"))
    assert "is not on this machine; `headstart remote use` sets a remote that is" in fault


def test_what_the_remote_has_for_other_commits_is_hashed_too(here: Path) -> None:
    md5 = hashlib.md5(b"of another commit\n").hexdigest()
    other = sent(here, "data/one.txt").parents[1] / md5[:2] / md5[2:]
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(b"of another commit\n")
    assert faults(here, Scope(remote="store")) == []
    bad = flip(other)
    (fault,) = faults(here, Scope(remote="store"))
    assert fault.startswith("an object that dvc.lock does not need in remote store: ")

    (said,) = repair(here, Scope(remote="store"))

    assert "found no good copy" in said
    assert quarantined(here) == [bad]
    assert not other.exists()  # so that nobody takes it for whole
    assert faults(here) == []


def test_the_command_says_what_it_did_and_ends_with_4_until_all_is_whole(here: Path) -> None:
    flip(cached(here, "data/one.txt"))
    code, out, err = command(here, "headstart", "verify", "--all")
    assert (code, "MISS objects in the cache: 6 checked" in out) == (4, True)
    assert "error: 1 problem\n  data/one.txt in the cache: " in err
    code, out, err = command(here, "headstart", "verify", "--repair")
    assert (code, err) == (0, "")
    assert "back from the workspace" in out
    assert "none history lines: 0 checked" in out
    assert command(here, "headstart", "verify", "--from", "store")[0] == 2
