"""Before a stage reads: every folder below data/ and models/ is whole, in its own place, and what the last run of its stage left.

DVC orders stages by their deps, but nothing keeps a person from typing them in another order, or a file from being replaced in between. What
contents.json cannot tell, the record of the last run does: which inputs and settings the folder was made from. Where there is no such record, as
after a pull of the data alone, only the bytes are checked.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from headstart.config.params import Params
from headstart.config.project import DATA, MODELS, REPORTS
from headstart.config.settings import value_at
from headstart.config.stage_command import arm_command, stage_command
from headstart.core.contents import CONTENTS, require_listed, require_whole, sealed_below, tree_sha256
from headstart.core.errors import GateFailed, HeadstartError, IntegrityError
from headstart.core.files import read_record, sha256_file, sha256_tree
from headstart.core.run_record import RUN, RunRecord

T = TypeVar("T")
MADE_BY = {  # the last part of a path below data/<scenario> or models/<scenario> → the stage that leaves it
    "settings.json": "settings", "source": "source", "raw": "capture", "curated": "curate", "validated.json": "validate",
    "expert": "expert", "bc": "bc_train",
}  # fmt: skip


class Origin(NamedTuple):
    """Who leaves a file or folder below data/ or models/."""

    path: Path  # what the stage leaves as a whole
    stage: str
    scenario: str
    arm: str | None = None

    @property
    def record(self) -> Path:
        """Of its last run."""
        return REPORTS.joinpath(self.scenario, self.stage, *([self.arm] if self.arm else []), RUN)


def checked_inputs(deps: Iterable[str], params: Params, now: dict[str, Any]) -> dict[str, str]:
    """Path → SHA-256 of every input that exists; a stage names itself what it misses.

    `now` are the settings as the files have them. IntegrityError, with a cure, for what is not whole or was made from something else;
    GateFailed for what a run left that failed.
    """
    return {path.as_posix(): _checked(path, params, now) for path in map(Path, deps) if path.exists()}


def hashes(paths: Iterable[str]) -> dict[str, str]:
    """Path → SHA-256 of what exists; of a sealed folder, which was just written, by its contents.json."""
    return {path.as_posix(): _sha256(path) for path in map(Path, paths) if path.exists()}


def origin_of(path: Path) -> Origin | None:
    """Which stage leaves a path below data/ or models/; None: no stage does."""
    match path.parts:
        case ("models", scenario, ("baseline" | "anneal") as stage, arm, *_):
            return Origin(Path("models", scenario, stage, arm), stage, scenario, arm)
        case (("data" | "models") as top, scenario, last, *_) if last in MADE_BY:
            return Origin(Path(top, scenario, last), MADE_BY[last], scenario)
    return None


def _checked(path: Path, params: Params, now: dict[str, Any]) -> str:
    if path.parts[0] not in (DATA.name, MODELS.name):
        return _sha256(path)
    if path.is_file():
        if len(path.parts) > 3:  # data/<scenario>/<folder>/<file>
            _with_cure(require_listed, path, params)
        roots, sha256 = [path], sha256_file(path)
    else:
        roots, strays = sealed_below(path)
        for stray in strays[:1]:
            raise IntegrityError(f"{stray}: expected a {CONTENTS} that lists it, found none; {_cure(stray, params)}")
        for root in roots:
            _with_cure(require_whole, root, params)
        sha256 = tree_sha256(path, roots)
    for root in roots:
        _require_last_run(root, params, now, set())
    return sha256


def _with_cure(check: Callable[[Path], T], path: Path, params: Params) -> T:
    try:
        return check(path)
    except HeadstartError as error:
        raise IntegrityError(f"{error}; {_cure(path, params)}") from None


def _cure(path: Path, params: Params) -> str:
    """It is true whether DVC has the folder in its cache or not, and noticed the change or not."""
    if (origin := origin_of(path)) is None:
        return f"remove {path}, which no stage leaves"
    return f"remove {origin.path}, and `{_command(origin, params)}` brings it back or makes it again"


def _command(origin: Origin, params: Params) -> str:
    if origin.stage == "anneal" and origin.arm not in params.anneal.arms:
        return arm_command(origin.scenario, str(origin.arm))
    return stage_command(origin.stage, origin.scenario, origin.arm)


def _require_last_run(path: Path, params: Params, now: dict[str, Any], seen: set[Path]) -> None:
    """What the last run of its stage says, if it left a record: that it made this, with today's settings, of inputs that still are the same;
    and so on for these inputs.
    """
    origin = origin_of(path)
    if origin is None or origin.path in seen or not origin.record.exists() or not _is_compared(origin, params):
        return
    seen.add(origin.path)
    record, cure = read_record(origin.record, RunRecord), f"run `{_command(origin, params)}`"
    if record.status == "failed":
        raise GateFailed(f"{path}: expected what a completed run left, the last one failed: {record.diagnostics[0]}; {cure}")
    for key, value in record.parameters.items():
        if value_at(now, key) != value:
            raise IntegrityError(f"{path}: expected what {origin.stage} makes with today's {key}, got it with another; {cure}")
    if _with_cure(_sha256, origin.path, params) != record.outputs.get(origin.path.as_posix()):
        raise IntegrityError(
            f"{origin.path}: expected what the last run of {origin.stage} left, got another; {_cure(path, params)}"
        )
    for name, sha256 in record.inputs.items():
        if origin_of(Path(name)) and Path(name).exists():
            if _with_cure(_sha256, Path(name), params) != sha256:
                raise IntegrityError(f"{origin.path}: expected one that was made from {name} as it is now, got another; {cure}")
            _require_last_run(Path(name), params, now, seen)


def _is_compared(origin: Origin, params: Params) -> bool:
    """Arms that lie there from earlier settings are not."""
    return origin.arm is None or origin.arm in (*params.baselines, params.candidate)


def _sha256(path: Path) -> str:
    if path.is_file():
        return sha256_file(path)
    return tree_sha256(path, [path]) if (path / CONTENTS).is_file() else sha256_tree(path)
