"""Outputs of stages that dvc.lock names and that are not on this machine: where they may be had, in one line."""

from pathlib import Path

from headstart.core.dvc_lock import read_lock
from headstart.core.errors import HeadstartError
from headstart.core.files import read_record
from headstart.core.remote_folder import away
from headstart.core.run_record import RUN, RunRecord
from headstart.storage.remotes import places


def absent(root: Path) -> tuple[list[str], int]:
    """The outputs of dvc.lock that are not here, and how many there are in all."""
    outs = sorted({path for stage in read_lock(root) for path in stage.outs})
    return [path for path in outs if not (root / path).exists() or _only_failed(root / path)], len(outs)


def how_to_fetch(root: Path, what: str = "") -> str:
    """What brings outputs from the remote, or why there is nothing to bring them from. `what`: their paths; without, all."""
    default = next((place for place in places(root) if place.default), None)
    in_the_way = any(_only_failed(root / path) for path in absent(root)[0] if not what or path == what)
    pull = " ".join(["`dvc pull", *["--force"] * in_the_way, what]).strip() + "`"
    if default is None:
        return f"there is no default remote; `headstart remote use` sets one that has it, then {pull}"
    if fault := away(default.url):
        return f"remote {default.name}: {fault}, then {pull}"
    return f"{pull} brings what was pushed to the remote {default.name}, {default.url}"


def _only_failed(path: Path) -> bool:
    """Whether a folder of reports holds no more than the record of a stage that failed, which `dvc pull` does not replace unasked."""
    if not path.is_dir() or [file.name for file in path.rglob("*") if file.is_file()] != [RUN]:
        return False
    try:
        return read_record(path / RUN, RunRecord).status == "failed"
    except HeadstartError:
        return True


def told(root: Path, error: HeadstartError) -> str:
    """The text of an error; if it names an output that is not here, with the way to have it."""
    try:
        lacking, _ = absent(root)
        out = max((path for path in lacking if path in str(error)), key=len, default=None)
        return str(error) if out is None else f"{error}; or fetch it: {how_to_fetch(root, out)}"
    except HeadstartError:  # of dvc.lock or .dvc/config, while another one is told
        return str(error)
