"""`headstart gc` keeps what anything needs, of each kind that can need something, and takes the rest; DVC and git are real."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from dvc.repo import Repo
from tests.released import Ended, Project, copy_of

from headstart.cli import main as cli
from headstart.config.history import HISTORY, Release, Swapped, next_line
from headstart.core.errors import Busy, InputError, IntegrityError
from headstart.core.strict_json import canonical_json
from headstart.storage import unneeded
from headstart.storage.needed import named_in, needed
from headstart.storage.sizes import shown

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
PIPELINE = """stages:
  walk:
    cmd: mkdir -p models/walk && echo ${steps} > models/walk/steps && echo same > models/walk/same
    deps: [src]
    params: [steps]
    outs: [models/walk]
"""


class Walks(Project):
    """A project whose one stage writes what params.yaml says; `make` runs it as `dvc repro` does, and says what hash it left."""

    def make(self, steps: object) -> str:
        self.set_params(lambda params: params.update(steps=steps))
        with chdir(self.root), Repo() as repo:
            repo.reproduce()
        return self.hash_here()

    def hash_here(self) -> str:
        *_, line = (line for line in (self.root / "dvc.lock").read_text().splitlines() if ".dir" in line)
        return line.split()[-1]

    def objects(self) -> set[str]:
        with Repo(str(self.root)) as repo:
            return set(unneeded.look(repo.cache.local).objects)

    def headstart(self, *arguments: str) -> Ended:
        """A command, in this process."""
        out, err = StringIO(), StringIO()
        with chdir(self.root), redirect_stdout(out), redirect_stderr(err), patch("sys.argv", ["headstart", *arguments]):
            try:
                cli.main()
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
        return Ended(code, out.getvalue(), err.getvalue())

    def gc(self, *arguments: str) -> str:
        done = self.headstart("gc", *arguments)
        assert done.code == 0, done.err
        return done.out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A project in which every kind of thing needs a version of its own, and nothing needs one; the hash of each."""
    project = Walks(tmp_path_factory.mktemp("walks"))
    project.git("init", "--quiet", "--initial-branch", "main")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.org")
    with chdir(project.root):
        Repo.init(".").close()
    (project.root / "params.yaml").write_text("scenarios: []\nsteps: 0\n")
    (project.root / "dvc.yaml").write_text(PIPELINE)
    (project.root / "src").mkdir()
    (project.root / "src/rule.py").write_text("a folder of source code, which DVC hashes and no store has\n")
    (project.root / ".gitignore").write_text("/models/*/\n.headstart/\n")
    hashes = {"an old commit": project.make(1)}
    project.commit()
    hashes["a tag"] = project.make(2)
    _leave(project, "tag", "kept")
    hashes["a branch"] = project.make(3)
    _leave(project, "branch", "other")
    hashes["a release"] = project.make(4)
    release = _leave(project, None)
    hashes["a catalogue entry"] = project.make(5)
    project.git("checkout", "--quiet", ".")
    _describe(project, release, hashes["a catalogue entry"])
    for number, name in ((6, "a stash"), (7, "the last stash")):
        hashes[name] = project.make(number)
        project.git("stash", "--quiet")
    hashes["nothing"] = project.make(8)
    _experiments(project, hashes)
    hashes["the working tree"] = project.make(11)
    return project.root, hashes


def _leave(project: Walks, kind: str | None, *name: str) -> str:
    """Commit, give the commit to a tag, a branch or nothing, and go back."""
    project.commit()
    commit = project.git("rev-parse", "HEAD").strip()
    if kind:
        project.git(kind, *name)
    project.git("reset", "--quiet", "--hard", "HEAD~1")
    return commit


def _describe(project: Walks, release: str, md5: str) -> None:
    """A history that names a commit which no branch has any more, and a catalogue that names data which no commit has."""
    kept = Release(
        arm="tiny", seed=3, checkpoint="models/walk", weights_sha256="1" * 64, card_sha256="2" * 64, git_revision=release
    )
    line = next_line((), Swapped(scenario="walk", release=kept, baseline=None), "Ada", "by hand")
    (project.root / HISTORY).parent.mkdir()
    (project.root / HISTORY).write_bytes(canonical_json(line.model_dump(mode="json")) + b"\n")
    (project.root / "data/catalogue").mkdir(parents=True)
    (project.root / "data/catalogue/walk.json").write_text(json.dumps({"entries": [{"md5": md5}]}))
    project.commit()


def _experiments(project: Walks, hashes: dict[str, str]) -> None:
    """Two that wait, the first of which is no reference by itself, and one that ran."""
    for number, name in ((9, "a queued experiment"), (10, "the last queued experiment")):
        hashes[name] = project.make(number)
        with chdir(project.root), Repo() as repo:
            repo.experiments.run(params=[f"steps=9{number}"], queue=True)
    with chdir(project.root), Repo() as repo:
        repo.experiments.run(params=["steps=99"], name="mine")
    hashes["an experiment"] = project.hash_here()
    project.git("checkout", "--quiet", ".")


@pytest.fixture
def walks(made: tuple[Path, dict[str, str]], tmp_path: Path) -> tuple[Walks, dict[str, str]]:
    """A copy of it."""
    root, hashes = made
    return Walks(copy_of(root, tmp_path / "walks").root), hashes


def test_what_anything_needs_stays_and_what_nothing_needs_goes(walks: tuple[Walks, dict[str, str]]) -> None:
    project, hashes = walks
    assert len(set(hashes.values())) == len(hashes) == 12
    before = project.objects()
    said = project.gc()
    assert f"  {hashes['nothing']}  " in said and "nothing was removed" in said
    assert project.objects() == before  # a dry run
    project.gc("--yes")
    lost = sorted(name for name, md5 in hashes.items() if md5 not in project.objects())
    assert lost == ["nothing"]
    assert len(before - project.objects()) == 2  # the folder and its one file that no other one shares
    assert "; 0 would go, 0 B" in project.gc()
    project.git("checkout", "--quiet", "--force", "other")
    with chdir(project.root), Repo() as repo:
        repo.checkout(force=True)
    assert (project.root / "models/walk/steps").read_text() == "3\n"


@pytest.mark.parametrize("after", [1, 2])
def test_killed_while_it_removes_it_has_lost_nothing_that_is_needed(walks: tuple[Walks, dict[str, str]], after: int) -> None:
    project, hashes = walks
    folder = hashes["nothing"]
    child = os.fork()
    if child == 0:  # remove as many things as that, and die
        with chdir(project.root), unneeded.project(Path()) as repo:
            store = unneeded.look(repo.cache.local)
            things = unneeded.unneeded(store, unneeded.needed_of(Path(), repo))
            unneeded.remove(store, things[:after])
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert folder not in project.objects()  # folders go first: none is left without its files
    project.gc("--yes")
    assert sorted(name for name, md5 in hashes.items() if md5 not in project.objects()) == ["nothing"]
    with chdir(project.root), Repo() as repo:
        assert needed(project.root, repo.cache.local).unknown == frozenset()


def test_a_remote_is_cleaned_with_the_same_care_and_of_old_objects_only(walks: tuple[Walks, dict[str, str]]) -> None:
    project, hashes = walks
    assert project.headstart("remote", "use", "dir", str(project.root.parent / "store")).code == 0
    with chdir(project.root), Repo() as repo:
        store = repo.cloud.get_remote_odb()
        store.add(repo.cache.local.oid_to_path(hashes["nothing"]), repo.cache.local.fs, hashes["nothing"])
    pushed = project.headstart("remote", "push-all")
    assert (pushed.code, pushed.out) == (0, "store: 23 objects pushed\n"), pushed.err
    with chdir(project.root), Repo() as repo:
        there = set(repo.cloud.get_remote_odb().all())
    assert there >= set(hashes.values())  # of commits from before the remote too
    assert "0 would go" in project.gc("--remote", "store")  # another clone may be pushing it now
    project.gc("--remote", "store", "--older-than", "0", "--yes")
    with chdir(project.root), Repo() as repo:
        assert set(repo.cloud.get_remote_odb().all()) == there - {hashes["nothing"]}
    assert hashes["nothing"] in project.objects()  # the cache is not what was asked for
    project.git("init", "--quiet", "--bare", str(project.root.parent / "hub"))
    project.git("remote", "add", "hub", str(project.root.parent / "hub"))
    project.git("push", "--quiet", "hub", "main")
    other = Project(project.root.parent / "other")
    project.git("clone", "--quiet", str(project.root.parent / "hub"), str(other.root), "--branch", "main")
    (other.root / "note").write_text("of somebody else")
    other.git("add", "note")
    other.git("-c", "user.name=Bo", "-c", "user.email=bo@example.org", "commit", "--quiet", "--message", "Note")
    other.git("push", "--quiet", "origin", "HEAD:refs/exps/12/34/theirs")
    refused = project.headstart("gc", "--remote", "store")
    assert refused.code == 3 and "refs/exps/12/34/theirs is not" in refused.err


def test_the_files_of_a_folder_are_kept_where_only_a_remote_lists_them(walks: tuple[Walks, dict[str, str]]) -> None:
    project, hashes = walks
    assert project.headstart("remote", "use", "dir", str(project.root.parent / "store")).code == 0
    assert project.headstart("remote", "push-all").code == 0
    with chdir(project.root), Repo() as repo:
        cache = repo.cache.local
        folder = hashes["a branch"]
        (steps,) = (
            entry["md5"] for entry in json.loads(cache.fs.cat_file(cache.oid_to_path(folder))) if entry["relpath"] == "steps"
        )
        cache.fs.remove(cache.oid_to_path(folder))
    project.gc("--yes")
    assert steps in project.objects()
    with Repo(str(project.root)) as repo:
        path = Path(repo.cloud.get_remote_odb().oid_to_path(folder))
    path.unlink()
    assert "not here: 1 folder of older or other commits, neither in this cache nor in a remote" in project.gc()
    path.parent.mkdir(exist_ok=True)
    path.write_text("[]")
    damaged = project.headstart("gc", "--yes")
    assert damaged.code == IntegrityError.exit_code and "found other bytes" in damaged.err


def test_a_shallow_clone_is_refused(walks: tuple[Walks, dict[str, str]], tmp_path: Path) -> None:
    project, _ = walks
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", project.root.as_uri(), str(tmp_path / "shallow")], check=True)
    with pytest.raises(InputError, match="`git fetch --unshallow`"):
        named_in(tmp_path / "shallow")


def test_a_cache_that_others_may_share_is_refused(walks: tuple[Walks, dict[str, str]], tmp_path: Path) -> None:
    project, _ = walks
    with chdir(project.root), Repo() as repo, repo.config.edit() as config:
        config["cache"]["dir"] = str(tmp_path / "shared")
    refused = project.headstart("gc", "--yes")
    assert refused.code == 3 and "it lies outside and others may use it" in refused.err


def test_while_dvc_or_a_stage_works_there_nothing_is_removed(walks: tuple[Walks, dict[str, str]]) -> None:
    project, hashes = walks
    waiting = [sys.executable, "-c", "input()", "headstart.stages.capture", "walk"]
    with subprocess.Popen(waiting, cwd=project.root, stdin=subprocess.PIPE) as stage:
        while Path(f"/proc/{stage.pid}/cmdline").read_bytes().count(b"\0") < 4:
            time.sleep(0.01)
        busy = project.headstart("gc", "--yes")
        assert stage.stdin is not None
        stage.stdin.write(b"\n")
    assert busy.code == Busy.exit_code and f"found process {stage.pid}" in busy.err
    assert hashes["nothing"] in project.objects()


def test_work_folders_and_half_written_files_go_when_they_are_old(walks: tuple[Walks, dict[str, str]]) -> None:
    project, _ = walks
    root, old = project.root, time.time() - 8 * 86400
    stale = [root / name for name in (".headstart/arms/walk-tiny-0123", "models/.walk.tmp-0123456789ab")]
    kept = [
        root / name
        for name in (".headstart/arms/walk-tiny-4567", ".headstart/releases/tiny-3-111111111111", "models/.lost.tmp-0123456789ab")
    ]
    for folder in (*stale, *kept):
        folder.mkdir(parents=True)
        (folder / "state").write_bytes(b"12345")
        for path in (folder / "state", folder):
            os.utime(path, (old, old))
    os.utime(kept[0] / "state")  # somebody wrote to it just now
    said = project.gc("--yes")
    assert "work folders and temporary files: 2 went" in said
    assert [folder.exists() for folder in (*stale, *kept)] == [
        False,
        False,
        True,
        True,
        True,
    ]  # the last one may be the only copy


def test_storage_says_what_lies_where_and_what_can_be_made_again(walks: tuple[Walks, dict[str, str]]) -> None:
    project, hashes = walks
    assert project.headstart("remote", "use", "dir", str(project.root.parent / "store")).code == 0
    with chdir(project.root), Repo() as repo:
        repo.push()
        sizes = unneeded.look(repo.cache.local).objects
    said = project.headstart("storage", "--remote", "store").out
    rows = {line.split("  ")[0]: line.split() for line in said.splitlines()}
    here = sum(size for name, size in sizes.items() if name in objects_of(project, hashes["the working tree"]))
    assert rows["walk"][1:] == [f"{size}" for size in (8, "B", here, "B")]
    gone = sum(sizes[name] for name in objects_of(project, hashes["nothing"]) - objects_of(project, hashes["a tag"]))
    assert f"nothing needs: {gone} B; `headstart gc`" in said
    rest = sum(sizes.values()) - here - gone
    assert f"cannot be made again from this commit: {shown(rest)}" in said and f"needed and only here: {shown(rest)}" in said


def objects_of(project: Project, folder: str) -> set[str]:
    """A folder in the cache, and its files."""
    path = project.root / ".dvc/cache/files/md5" / folder[:2] / folder[2:]
    return {folder, *(entry["md5"] for entry in json.loads(path.read_text()))}
