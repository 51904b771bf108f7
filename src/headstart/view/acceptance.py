"""The page on which a release is decided: every criterion with its evidence and who recorded it, what is open, who signed, GO or NO-GO.

A criterion is met by what is on record and by nothing else: what is missing makes it NO-GO. What `headstart promote` asks is asked by its own
functions, so the page cannot say GO where the command would refuse.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from headstart.compare.arm_runs import CLONES, CloneRuns
from headstart.compare.comparison import Comparison, judged_for_shift
from headstart.config.history import HISTORY, Drilled, Judged, Line, Promoted, read_history
from headstart.config.params import Params, headline_target
from headstart.config.project import COMPARISONS, MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import HeadstartError, Hold, IntegrityError
from headstart.core.files import read_record, sha256_file
from headstart.core.run_record import RUN, RunRecord
from headstart.core.verdict import Outcome, Verdict
from headstart.release.faults import lines as fault_lines
from headstart.release.promote import require_committed, require_drill, require_unchanged, require_way_back
from headstart.release.record import settings
from headstart.release.signing import approve_command, decision_of
from headstart.release.standing import Standing, ready_pass, standing_of
from headstart.release.verify import verify
from headstart.view.blocks import counted
from headstart.view.judged import sentence

DIGITS = 12
GO, NO_GO = "GO", "NO-GO"
SHIFT = "shift-"  # how the names of its checks begin


class Criterion(NamedTuple):
    """What a release asks for."""

    name: str
    met: bool
    found: str  # what fulfils it, or what is missing and what brings it
    evidence: str  # a file with the first digits of its hash, or lines of the history
    by: str  # who recorded it, and when


class Acceptance(NamedTuple):
    """The decision on the candidate that waits, or on the release in use, as it was when it was promoted."""

    scenario: str
    candidate: str  # its id; empty: there is none
    criteria: tuple[Criterion, ...]
    promoted: Line | None

    @property
    def open(self) -> list[Criterion]:
        """What stands in the way."""
        return [one for one in self.criteria if not one.met]

    @property
    def decision(self) -> str:
        """GO or NO-GO."""
        return NO_GO if self.open else GO


def read_acceptance(root: Path, scenario: str) -> Acceptance:
    """UsageError for an unknown scenario, IntegrityError for a broken history; all else that is wrong is a criterion that is not met."""
    params, described = settings(root, scenario)
    lines = read_history(root / HISTORY)
    standing, promoted = standing_of(lines, scenario), None
    if standing.passed is None and standing.current is not None and standing.current.id in standing.versions:
        ours = (line for line in lines if isinstance(line.record, Promoted) and line.record.scenario == scenario)
        promoted = next(line for line in ours if line.record.release == standing.current.id)  # type: ignore[union-attr]
        lines = lines[: promoted.seq]
        standing = standing_of(lines, scenario)
    candidate = standing.passed.candidate.id if standing.passed else ""
    criteria = (
        *_passes(lines, standing),
        *_records(root, params, described, standing.passed),
        _drill(lines, params, promoted),
        *_signatures(lines, standing, () if promoted else params.promotion.approvals),
        *([_promotion(promoted)] if promoted else _now(root, params, standing)),
    )
    return Acceptance(scenario, candidate, criteria, promoted)


def _asked(name: str, check: Callable[[], tuple[str, str]], by: str = "", there: str = "") -> Criterion:
    """`check` returns what it found and the evidence, or raises what is missing; `there`: what it reads, if that is here."""
    try:
        found, evidence = check()
    except HeadstartError as error:
        return Criterion(name, False, str(error), there, by)
    return Criterion(name, True, found, evidence, by)


def _who(line: Line) -> str:
    return f"{line.actor}, {line.at[:10]}"


def _passes(lines: Sequence[Line], standing: Standing) -> Iterator[Criterion]:
    """The passes in a row that counted, and whether they are enough."""
    passed = standing.passed
    same = [
        (line, record)
        for line in lines
        if passed and isinstance(record := line.record, Judged) and record in standing.judged and record.key == passed.key
    ]
    for number, (line, record) in enumerate(same[-standing.pass_streak :], start=1):
        seeds = f"seeds {', '.join(map(str, record.seeds))}"
        found = f"{record.outcome} on {seeds}, {record.dataset}, commit {record.candidate.git_revision[:DIGITS]}"
        yield Criterion(f"pass {number}", True, found, _line(line), _who(line))
    yield _asked("passes in a row", lambda: (f"{ready_pass(standing).required_passes} asked for: {standing.note}", "as above"))


def _line(line: Line) -> str:
    return f"`{HISTORY}`, line {line.seq + 1} ({line.sha256[:DIGITS]})"


def _file(root: Path, path: Path) -> str:
    return f"`{path}` ({sha256_file(root / path)[:DIGITS]})"


def _there(root: Path, path: Path) -> str:
    return _file(root, path) if (root / path).is_file() else ""


def _records(root: Path, params: Params, described: Scenario, passed: Judged | None) -> Iterator[Criterion]:
    """The comparison with its shift, the dataset and the clones: as the last pass names them, or, without one, those that are here."""
    scenario = described.name
    path = Path(passed.comparison.path) if passed else COMPARISONS / scenario / f"{headline_target(params, described)}.json"
    evaluated, there = _ran(root / path.parent), _there(root, path)
    yield _asked("comparison", partial(_comparison, root, path, passed), evaluated, there)
    yield _asked("distribution shift", partial(_shift, root, path), evaluated, there)
    yield _asked("dataset", partial(_dataset, root, scenario, passed), _ran(root / REPORTS / scenario / "validate"))
    yield _asked("clones", partial(_clones, root, scenario, path), _ran(root / REPORTS / scenario / "bc_train"))


def _ran(folder: Path) -> str:
    """The stage that left what is judged, and when it began; empty: it left no record that can be read."""
    try:
        run = read_record(folder / RUN, RunRecord)
    except HeadstartError:
        return ""
    return f"`{run.stage}`, {run.circumstances.started_at[:10]}"


def _read(root: Path, path: Path) -> Comparison:
    return read_record(root / path, Comparison, made_by=stage_command("evaluate", path.parent.name))


def _comparison(root: Path, path: Path, passed: Judged | None) -> tuple[str, str]:
    found = _read(root, path)
    if passed is not None and sha256_file(root / path) != passed.comparison.sha256:
        cure = f"`dvc get . {path} --rev {passed.candidate.git_revision[:DIGITS]}` brings it, into a folder of its own"
        raise IntegrityError(f"{path}: expected the comparison that was judged, found another; {cure}")
    if found.verdict.outcome is not Outcome.PASS:
        reasons = [check.text for check in found.verdict.reasons if not check.name.startswith(SHIFT)]
        raise Hold(f"{found.verdict.outcome}: {'; '.join(reasons) or 'because of its distribution shift'}")
    return f"PASS, {len(found.verdict.checks)} checks on {found.target.name}. {sentence(found)}", _file(root, path)


def _shift(root: Path, path: Path) -> tuple[str, str]:
    found = _read(root, path)
    if not judged_for_shift(found):
        raise Hold("expected it measured, it was not; set `evaluation.variant_worlds`, and train")
    if missed := [check.text for check in found.verdict.reasons if check.name.startswith(SHIFT)]:
        raise Hold("; ".join(missed))
    checks = [check for check in found.verdict.checks if check.name.startswith(SHIFT) and check.applies]
    variants = ", ".join(sorted({check.about.variant for check in checks if check.about}))
    return f"{len(checks)} checks hold" + (f"; held-out variants: {variants}" if variants else ""), _file(root, path)


def _dataset(root: Path, scenario: str, passed: Judged | None) -> tuple[str, str]:
    path = REPORTS / scenario / "validate/verdict.json"
    found = read_record(root / path, Verdict, made_by=stage_command("validate", scenario))
    if passed is not None and found.subject.id != passed.dataset:
        raise IntegrityError(
            f"{path}: expected the verdict on {passed.dataset}, which the candidate learned from, found that on {found.subject.id}"
        )
    if found.outcome is not Outcome.PASS:
        raise Hold(f"{found.subject.id}: {found.outcome}: " + "; ".join(check.text for check in found.reasons))
    applied = [check for check in found.checks if check.applies]
    others = f"; {len(found.checks) - len(applied)} do not apply" if len(found.checks) > len(applied) else ""
    return f"{found.subject.id} passes {counted(len(applied), 'gate')}{others}", _file(root, path)


def _clones(root: Path, scenario: str, comparison: Path) -> tuple[str, str]:
    path = MODELS / scenario / "bc" / CLONES
    clones = read_record(root / path, CloneRuns, made_by=stage_command("bc_train", scenario)).clones
    compared = [evidence.sha256 for evidence in _read(root, comparison).verdict.evidence if Path(evidence.path).name == CLONES]
    if sha256_file(root / path) not in compared:
        raise IntegrityError(
            f"{path}: expected the clones that were compared, found others; `dvc checkout` brings those of the commit"
        )
    if refused := [clone.seed for clone in clones if clone.outcome != "PASS"]:
        raise Hold(f"expected clones that pass their gate, those of seeds {', '.join(map(str, refused))} do not")
    accuracy = [clone.heldout_accuracy for clone in clones]
    return f"{len(clones)} of {len(clones)} pass; held-out accuracy {min(accuracy):.3f} to {max(accuracy):.3f}", _file(root, path)


def _drill(lines: Sequence[Line], params: Params, promoted: Line | None) -> Criterion:
    """Of a release, the last one before its promotion."""
    drills = [line for line in lines if isinstance(line.record, Drilled)]
    last = drills[-1] if drills else None

    def found() -> tuple[str, str]:
        line = last if promoted and last else require_drill(lines, params.promotion.drill_days)
        record = line.record
        assert isinstance(record, Drilled)
        return f"passed: {counted(len(record.guardrails), 'guardrail')}, {counted(record.rounds, 'run')} each", _line(line)

    return _asked("rollback drill", found, _who(last) if last else "")


def _signatures(lines: Sequence[Line], standing: Standing, asked: Sequence[str]) -> Iterator[Criterion]:
    """A line for each role; `asked`: those that must sign."""
    recorded = {line.actor for line in lines if isinstance(line.record, Judged) and line.record == standing.passed}
    for role in dict.fromkeys((*asked, *standing.signatures)):
        if (line := standing.signatures.get(role)) is None:
            found = (
                f"did not sign; `{approve_command(standing.scenario, role)}`"
                if standing.passed
                else "there is no candidate to sign for"
            )
            yield Criterion(f"signature: {role}", False, found, "", "")
            continue
        own = " (who recorded the verdict, too)" if line.actor in recorded else ""
        decision = decision_of(line)
        yield Criterion(f"signature: {role}", decision == GO, f"{decision}{own}: {line.reason}", _line(line), _who(line))


def _now(root: Path, params: Params, standing: Standing) -> Iterator[Criterion]:
    """What must hold at the moment of the promotion; nothing of it is asked while there is no candidate."""
    passed = standing.passed
    if passed is None:
        return
    back = standing.current or standing.initial or passed.baseline
    asked: list[tuple[str, Callable[[], object], str, str]] = [
        (
            "unchanged",
            partial(require_unchanged, root, params, passed),
            "candidate, schedule, dataset and baselines are as judged",
            "",
        ),
        (
            "in git",
            partial(require_committed, root),
            "all lines of the history, and no change that no commit holds",
            "`git status`",
        ),
        ("way back", partial(require_way_back, root, back), f"{back.id} can be restored", f"`.headstart/releases/{back.id}`"),
    ]
    for name, require, found, evidence in asked:
        yield _asked(name, partial(_held, require, found, evidence))
    yield _asked("integrity", partial(_verified, root))


def _held(require: Callable[[], object], found: str, evidence: str) -> tuple[str, str]:
    require()
    return found, evidence


def _verified(root: Path) -> tuple[str, str]:
    found = verify(root)
    if faults := [fault for one in found.values() for fault in one.faults]:
        raise IntegrityError("; ".join(fault_lines(faults)))
    return f"{sum(one.checked for one in found.values()):,} hashes and records taken again, none differs", "`headstart verify`"


def _promotion(line: Line) -> Criterion:
    found = "`headstart promote` proved files, schedule, dataset, git, integrity and the way back, and wrote its line"
    return Criterion("promotion", True, found, _line(line), _who(line))
