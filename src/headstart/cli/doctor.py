"""`headstart doctor`: what the commands need of this machine, line by line: ok, or missing with its cure."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import headstart
from headstart.cli.output import Json, output
from headstart.cli.programs import answer
from headstart.core.errors import HeadstartError, InputError
from headstart.core.provenance import package_version

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OK, MISSING, ABSENT = "ok", "MISSING", "--"  # ABSENT: something optional
FOR_DEVELOPERS = ("test", "bench")


class Line(NamedTuple):
    """One thing that was looked at."""

    mark: str
    name: str
    says: str
    cure: str = ""


def doctor(as_json: Json = False) -> None:
    """Say what this machine has and lacks for headstart; exit 3 if something that every project needs is missing."""
    found: list[Line] = []
    with output(as_json) as out:
        for look in (_python, _packages, _threads, _programs, _project, _dvc_files, _writable, _extras):
            for line in look():
                found.append(line)
                out.say(f"{line.says}; {line.cure}" if line.cure else line.says, f"{line.mark:<8}{line.name:<12}")
        missing = sum(line.mark == MISSING for line in found)
        marks = {OK: "ok", MISSING: "missing", ABSENT: "absent"}
        out.found(missing=missing, lines=[line._asdict() | {"mark": marks[line.mark]} for line in found])
        if missing:
            raise InputError(f"{missing} of these must be mended first")


def _python() -> Iterator[Line]:
    from importlib import metadata

    from packaging.specifiers import SpecifierSet

    wanted = metadata.metadata("headstart")["Requires-Python"]
    version = platform.python_version()
    if not SpecifierSet(wanted).contains(version):
        yield Line(MISSING, "python", f"{version}, expected {wanted}", "make a virtual environment with another Python")
    else:
        yield Line(OK, "python", f"{version}, {sys.executable}")
    yield Line(OK, "headstart", f"{headstart.__version__}, {Path(headstart.__file__).parent}")


def _packages() -> Iterator[Line]:
    needed = _requirements(None)
    wrong = [text for text, problem in needed.items() if problem]
    for text in wrong:
        yield Line(MISSING, "package", f"{text}: {needed[text]}", f"`pip install '{text}'`")
    if not wrong:
        there = {name: package_version(name) for name in ("torch", "numpy", "dvc")}
        named = ", ".join(f"{name} {version}" for name, version in there.items() if version)
        yield Line(OK, "packages", f"all {len(needed)} that it needs; {named}")


def _threads() -> Iterator[Line]:
    yield Line(
        OK,
        "threads",
        f"{os.cpu_count()} cores: as many seeds train side by side, each on one thread (`processes` in params.yaml)",
    )


def _programs() -> Iterator[Line]:
    here = Path(sys.executable).parent
    for program in ("python", "dvc"):
        found = shutil.which(program)
        if found is None:
            yield Line(MISSING, program, "not on the PATH", f"`source {here / 'activate'}`")
        elif Path(found).parent != here:
            yield Line(MISSING, program, f"{found} is of another environment than {here}", f"`source {here / 'activate'}`")
        else:
            yield Line(OK, program, found)
    git = shutil.which("git")
    if git is None:
        yield Line(MISSING, "git", "not on the PATH", "install git")
        return
    version = answer(git, "--version")
    if version.returncode or not version.stdout.split():
        yield Line(MISSING, "git", f"{git} answers `git --version` with {_said(version)}", "install git")
        return
    yield Line(OK, "git", f"{version.stdout.split()[-1]}, {git}")
    who = answer(git, "var", "GIT_COMMITTER_IDENT")
    if who.returncode:
        cure = "`git config --global user.name …` and `git config --global user.email …`; `dvc exp` commits"
        yield Line(MISSING, "identity", "git does not know who commits", cure)
    else:
        yield Line(OK, "identity", who.stdout.rpartition(">")[0] + ">")


def _project() -> Iterator[Line]:
    from headstart.config.params import load_params
    from headstart.core.closure import require_own_code

    here = Path()
    if not (here / "params.yaml").is_file():
        yield Line(ABSENT, "project", "none here or in a folder above", "`headstart init` makes one")
        return
    try:
        require_own_code(here)
        scenarios = ", ".join(load_params().scenarios)
        yield Line(OK, "project", f"{here.resolve()}, with {scenarios}")
    except HeadstartError as error:
        yield Line(MISSING, "project", str(error))
    if not (here / ".dvc").is_dir():
        yield Line(MISSING, "dvc project", "no folder .dvc", "`dvc init`, in a folder below that of git `dvc init --subdir`")
    elif (here / "dvc.lock").is_file():
        yield from _data(here)
    head = answer("git", "rev-parse", "--verify", "HEAD")
    yield _no_commit(_said(head), here) if head.returncode else Line(OK, "commit", head.stdout[:12])


def _dvc_files() -> Iterator[Line]:
    """The two files that DVC writes in place: one that was killed may leave half of them, and then DVC refuses every command."""
    lock, locks = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
    if locks.is_file() and not _is_json(locks):
        yield Line(
            MISSING, "rwlock", f"{locks} was left half written by a DVC that was killed", f"where no DVC runs: `rm {locks}`"
        )
    if lock.is_file():
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            Repo(".").index.stages  # noqa: B018
        except DvcException as error:
            said = " ".join(str(error).split())
            cure = "`git checkout dvc.lock`, then `dvc repro`, which takes from its cache what was made since"
            yield Line(MISSING, "dvc.lock", f"DVC cannot read the pipeline: {said}", cure)


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _data(here: Path) -> Iterator[Line]:
    from headstart.storage.missing import absent, how_to_fetch

    try:
        lacking, known = absent(here)
        there = f"{known - len(lacking)} of the {known} outputs in dvc.lock are here"
        yield (
            Line(ABSENT, "data", f"{there}; {how_to_fetch(here)}; `dvc repro` computes them")
            if lacking
            else Line(OK, "data", there)
        )
    except HeadstartError as error:
        yield Line(MISSING, "data", str(error))


def _no_commit(said: str, here: Path) -> Line:
    """What keeps git from naming a commit. `said`: its own words."""
    if "dubious ownership" in said:
        found = re.search(r"safe\.directory (.+)", said)
        cure = f"`git config --global --add safe.directory {found[1] if found else here.resolve()}`, if you trust it"
        return Line(MISSING, "commit", "unknown: the repository belongs to another user, and git does not read it", cure)
    if "not a git repository" in said:
        return Line(
            MISSING, "commit", "no git repository, and `dvc exp` needs one", "`git init`, then `git add --all && git commit`"
        )
    if "single revision" in said:
        return Line(MISSING, "commit", "none, and `dvc exp` needs one", "`git add --all && git commit -m 'begin'`")
    return Line(MISSING, "commit", f"unknown, git says: {said}")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).split())[:200] or "nothing"


def _writable() -> Iterator[Line]:
    folders = {"folder": Path.cwd()}
    try:
        folders["cache"] = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError as error:  # neither HOME nor an entry for this user
        yield Line(MISSING, "cache", str(error), "`export HOME=…` or `export XDG_CACHE_HOME=…`, a folder for compiled code")
    for name, folder in folders.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                free = shutil.disk_usage(folder).free
            yield Line(OK, name, f"{folder} can be written, {free / 1e9:.0f} GB are free")
        except OSError as error:
            cure = (
                "`export XDG_CACHE_HOME=…`, a folder for compiled code"
                if name == "cache"
                else "mend its permissions, or go to another"
            )
            yield Line(MISSING, name, f"{folder}: {error.strerror or error}", cure)


def _extras() -> Iterator[Line]:
    from importlib import metadata

    for extra in sorted(metadata.metadata("headstart").get_all("Provides-Extra") or ()):
        if extra in FOR_DEVELOPERS:
            continue
        purpose = f"for {PURPOSE.get(extra, extra)}"
        wrong = [f"{text}: {problem}" for text, problem in _requirements(extra).items() if problem]
        if wrong:
            yield Line(ABSENT, extra, f"{purpose}; {', '.join(wrong)}", f"`pip install 'headstart[{extra}]'`")
        else:
            yield Line(OK, extra, purpose)


PURPOSE = {
    "train": "training networks, and letting them act",
    "view": "figures and GIFs",
    "pettingzoo": "environments of several agents",
    "minari": "Minari datasets",
    "lerobot": "LeRobot datasets",
    "onnx": "experts in ONNX files",
    "sb3": "experts of Stable-Baselines3, and policies for it",
    "tune": "headstart tune",
    "mp4": "films of episodes",
    "box2d": "LunarLander and other environments of Box2D",
    "minigrid": "MiniGrid environments",
    "mujoco": "MuJoCo environments",
    "s3": "a remote in S3",
    "ssh": "a remote behind SSH",
}


def _requirements(extra: str | None) -> dict[str, str]:
    """Requirement of this package, or of one of its extras → what is wrong with it; empty: nothing."""
    return {str(one): _problem(one) for one in _needed("headstart", extra)}


def _needed(distribution: str, extra: str | None) -> "Iterator[Requirement]":
    """What a distribution needs here, by itself or for one of its extras, without the conditions."""
    from importlib import metadata

    from packaging.requirements import Requirement

    for text in metadata.requires(distribution) or ():
        one = Requirement(text)
        always = one.marker is None or one.marker.evaluate({"extra": ""})
        if always if extra is None else not always and one.marker is not None and one.marker.evaluate({"extra": extra}):
            one.marker = None
            yield one


def _problem(one: "Requirement") -> str:
    """What is wrong with a requirement; empty: nothing. Those of its own extras count, as of gymnasium[mujoco]."""
    version = package_version(one.name)
    if version is None:
        return "not installed"
    if not one.specifier.contains(version, prereleases=True):
        return f"{version} is here"
    lacking = [str(part) for extra in sorted(one.extras) for part in _needed(one.name, extra) if _problem(part)]
    return f"{', '.join(lacking)} not installed" if lacking else ""
