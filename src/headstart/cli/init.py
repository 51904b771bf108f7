"""`headstart init`: a DVC project for one Gymnasium environment, in a folder of the user's own."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

import headstart
from headstart.cli.output import Json, output
from headstart.cli.programs import answer
from headstart.cli.project import typed_path
from headstart.core.errors import InputError, UsageError

TEMPLATE = Path(__file__).parent / "template"
USUAL = "CartPole-v1"
NEW = {"dvc.yaml": "pipeline.yaml", "params.yaml": "settings.yaml"}  # file of the project → of the template
LINES = {".gitignore": "gitignore", ".gitattributes": "gitattributes", ".dvcignore": "dvcignore"}  # what is missing is appended
KEPT = {"README.md": "readme.md", "Makefile": "makefile"}  # left alone where they are
DVC = {".dvc/.gitignore": "dvc_gitignore", ".dvc/config": "dvc_config"}  # the file last that every project of DVC has
PLOTS = {f".dvc/plots/{name}.json": f"plots/{name}.json" for name in ("curves", "losses")} | {
    ".dvc/plots/page.html": "plots/page.html"
}
FOLDERS = {  # DVC watches them
    "environments": "Modules with environments of your own: `setup: {id: environments.mine:MyEnv-v0}`.",
    "experts": "Files and modules of experts of your own: `expert: {policy: callable, call: experts.mine:act, …}`.",
    "demonstrations": "Recordings: `demonstrations: {format: npz, path: demonstrations/mine.npz}`. `headstart formats` lists the formats.",
    "flags": "Episodes that were looked at and rejected: `headstart inspect DATASET --flag EPISODE --reason TEXT` writes here.",
}
WRITTEN = ("data", "models", "reports")  # by the stages
MESSAGE = "Add a headstart project"  # of the commit
LARGE = 10_000_000  # bytes of a recording that git is not given


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Of the project; it may be your own repository.")] = Path(),
    env: Annotated[str | None, typer.Option(help="A Gymnasium id, or module:id.", show_default=USUAL)] = None,
    demonstrations: Annotated[Path | None, typer.Option(help="A recording, in place of an expert; it is copied.")] = None,
    as_json: Json = False,
) -> None:
    """Write a project: the pipeline, its settings with comments, and a scenario made from an environment."""
    here, root = (Path(os.path.abspath(typed_path(str(path)))) for path in (Path(), directory))
    recording = None if demonstrations is None else _recording(demonstrations)
    repository = _repository(root)
    words, place = _described(root, env, recording)
    texts = _texts(root, words)
    copies = recording is not None and place is not None and not _is_there(recording[1], root / place)
    if repository is None:
        _require_identity()
    _write(root, texts)
    if recording and place and copies:
        copy = shutil.copytree if recording[1].is_dir() else shutil.copy2
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        copy(recording[1], root / place)
    files = [*texts, *([str(place)] if place else [])]
    large, way = _too_large(root, files), os.path.relpath(root, here)
    tracked = [name for name in files if name not in large]
    commands = [f"cd {shlex.quote(way)}"] if way != "." else []
    if repository is None:
        _commit(root, tracked)
    else:
        commands += [f"git add {shlex.join(tracked)} && git commit -m '{MESSAGE}'"]
    commands += [f"dvc add {shlex.join(large)}    # too large for git"] if large else []
    commands += [] if find_spec("torch") else ["pip install 'headstart[train]'    # torch, to train"]
    commands += [f"headstart check {words['scenario']}", "dvc repro"]
    _say(root, files, commands, repository is None, as_json)


# --- what is written --------------------------------------------------------------------------------------------------


def _recording(demonstrations: Path) -> tuple[str, Path]:
    """Format of a recording, and its file or folder; the id of a Minari dataset is no path."""
    from headstart.runs.brought import found

    path = Path(os.path.abspath(typed_path(str(demonstrations))))
    return found(path if path.exists() else demonstrations)


def _is_there(recording: Path, place: Path) -> bool:
    """Whether a recording lies in its place already. InputError where another one does."""
    if place.exists() and not place.samefile(recording):
        raise InputError(
            f"{place}: expected nothing there yet, where {recording} would be copied, found another; rename one of them"
        )
    return place.exists()


def _described(root: Path, env: str | None, recording: tuple[str, Path] | None) -> tuple[dict[str, str], Path | None]:
    """What stands in the places of the templates, and where the recording will lie."""
    from headstart.runs.brought import brought, environment_of, place_of
    from headstart.runs.first_scenario import look_at, name_of, words_of

    named: tuple[str, Mapping[str, Any]] | None = (env or USUAL, {})
    if recording and env is None:
        named = environment_of(*recording)
    if named is None:
        raise UsageError("--demonstrations: this recording does not name its environment; add --env ID")
    what = brought(*recording) if recording else None
    if root.is_dir():  # where modules of the user lie
        os.chdir(root)
        sys.path.insert(0, str(root))
    seen = look_at(*named, least=what.longest if what else 1)
    about = {"scenario": name_of(named[0]), "version": headstart.__version__}
    return about | words_of(*named, seen, what), place_of(*recording) if recording else None


def _texts(root: Path, words: Mapping[str, str]) -> dict[str, bytes]:
    """File → content of all that is written, the marks of a project last; of files that lines are appended to, the whole.

    InputError lists files that are there already, unless they are what an interrupted command wrote, and names what would stand in the way.
    """
    scenario = f"scenarios/{words['scenario']}.yaml"
    folders = {f"{name}/README.md": f"{text}\n".encode() for name, text in FOLDERS.items()}
    optional = KEPT | ({} if (root / ".dvc/config").exists() else DVC) | PLOTS
    texts = {name: _filled(source, words) for name, source in optional.items()} | folders
    texts = {name: text for name, text in texts.items() if not (root / name).exists()}
    for name, source in LINES.items():
        now = (root / name).read_bytes() if (root / name).exists() else b""
        added = [line for line in _filled(source, words).splitlines() if line not in now.splitlines()]
        end = b"\r\n" if b"\r\n" in now else b"\n"
        if added:
            texts[name] = now + (end if now and not now.endswith(b"\n") else b"") + end.join(added) + end
    new = {name: _filled(source, words) for name, source in {scenario: "scenario.yaml", **NEW}.items()}
    there = [name for name in new if (root / name).exists()]
    if len(there) == len(new) or any((root / name).read_bytes() != new[name] for name in there):
        raise InputError(
            f"{root}: expected a folder without {', '.join(sorted(there))}, and nothing was written; name another folder, as "
            f"{root.name}/headstart"
        )
    _require_free(root)
    return texts | new


def _require_free(root: Path) -> None:
    """InputError for a file where a folder must be, and for a module that hides the installed package from the stages."""
    for name in (".", ".dvc", "scenarios", *WRITTEN, *FOLDERS):
        if (root / name).exists() and not (root / name).is_dir():
            raise InputError(f"{root / name}: expected a folder, or nothing, got a file")
    for name in ("headstart.py", "headstart/__init__.py"):
        if (root / name).exists():
            raise InputError(f"{root / name}: the stages would import it in place of the installed package; rename it")


def _filled(source: str, words: Mapping[str, str]) -> bytes:
    text = (TEMPLATE / source).read_text().replace("SCENARIO", words["scenario"])
    for key, value in words.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    return text.encode()


def _write(root: Path, texts: Mapping[str, bytes]) -> None:
    from headstart.core.files import write_bytes

    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(root / name, text)


# --- git ----------------------------------------------------------------------------------------------------------------


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("git") is None:
        raise InputError("git: expected this program, found none; install git, which DVC needs too")
    return answer("git", *arguments, folder=folder)


def _repository(root: Path) -> Path | None:
    """The git repository that a folder lies in, or would lie in. InputError where git refuses to say, as of another user's or a bare one."""
    there = next(folder for folder in (root, *root.parents) if folder.is_dir())
    found = _git(there, "rev-parse", "--show-toplevel")
    if found.returncode and "not a git repository" not in found.stderr:
        raise InputError(f"{there}: expected a folder that git can work in; git says: {' '.join(found.stderr.split())}")
    return Path(found.stdout.strip()) if found.returncode == 0 else None


def _require_identity() -> None:
    """The files are committed into a new repository. InputError where git would not know who commits."""
    if any(_git(Path("/"), "var", f"GIT_{who}_IDENT").returncode for who in ("AUTHOR", "COMMITTER")):
        raise InputError(
            "git: expected a name and an address to commit with, found none; `git config --global user.name NAME` and "
            "`git config --global user.email ADDRESS`, and then the same command again"
        )


def _commit(root: Path, files: list[str]) -> None:
    """Make a repository and its first commit. InputError with git's words, as of a hook that fails."""
    for arguments in (["init", "--quiet"], ["add", "--", *files], ["commit", "--quiet", "--message", MESSAGE]):
        done = _git(root, *arguments)
        if done.returncode:
            raise InputError(f"{root}: git {arguments[0]}: {' '.join(done.stderr.split())}; the files are written")


def _too_large(root: Path, files: list[str]) -> list[str]:
    """The recordings among the files, where they are too large for git."""
    size = sum(file.stat().st_size for file in (root / "demonstrations").rglob("*") if file.is_file())
    return [name for name in files if name.startswith("demonstrations/") and size > LARGE and not name.endswith("README.md")]


def _say(root: Path, files: list[str], commands: list[str], committed: bool, as_json: bool) -> None:
    """Print what was written, and the next commands."""
    with output(as_json) as out:
        out.found(folder=root, written=sorted(files), committed=committed, next=commands)
        out.say(f"{root}: wrote {', '.join(sorted(files))}", rest="  ")
        if committed:
            out.say("they are the first commit of a new git repository")
        if left := [name for name in KEPT if name not in files]:
            out.say(f"{' and '.join(left)} were there, and stay as they are")
        if taken := [f"{name}/" for name in WRITTEN if (root / name).is_dir()]:
            out.say(
                f"there already: {', '.join(taken)}; stages write into them, and .gitignore leaves all folders below them out"
            )
        out.verbatim("next:\n" + "\n".join(f"    {command}" for command in commands))
        out.verbatim("after a run:\n    headstart report\n    git add --all && git commit -m 'first run'")
