"""From verdicts to a release: the standing of a scenario, computed from the lines of the history and recorded nowhere else.

    monitoring ──passes in a row──▶ ready ──promote──▶ promoted ──passes in a row──▶ ready …
         ▲                            │                    │
         └── HOLD, FAIL, withdrawal ──┴───── rollback, swap ┘

The state is that of the candidate; the release in use is a separate field. A skipped step, in a command or in a line, is rejected by the
same function: `fold` takes every release from the verdicts before it and raises IntegrityError where a line does not follow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from headstart.config.history import Approved, Drilled, Judged, Line, Promoted, Release, RolledBack, Signed, Swapped, Withdrawn
from headstart.core.errors import GateFailed, Hold, InputError, IntegrityError

State = Literal["monitoring", "ready", "promoted"]
MIN_CYCLES = 3  # of annealing, recorded for the dataset, before a candidate can be ready


@dataclass(frozen=True)
class Standing:
    """The standing of one scenario."""

    scenario: str
    state: State = "monitoring"
    pass_streak: int = 0
    required_passes: int = 2
    passed: Judged | None = None  # the last of the passes in a row; its candidate is the scenario's
    passed_sha256: str | None = None  # of its line
    signatures: Mapping[str, Line] = field(default_factory=dict)  # role → the last line that signs for this candidate
    last_result: Literal["PASS", "HOLD", "FAIL"] | None = None
    current: Release | None = None
    initial: Release | None = None  # the baseline at the time of the first release
    releases: Mapping[str, Release] = field(default_factory=dict)  # by id: all that can be restored
    replaced: Mapping[str, Release | None] = field(default_factory=dict)  # id → the release that was in use before it
    versions: Mapping[str, str] = field(default_factory=dict)  # id → version in the registry, of promoted releases
    judged: tuple[Judged, ...] = ()  # every HOLD and FAIL, and every PASS that counted
    note: str = "nothing was judged yet"  # the reason for the state, as text

    @property
    def previous(self) -> Release | None:
        """The release that `headstart release rollback` restores."""
        return self.replaced.get(self.current.id) if self.current else None

    def verified(self, release: Release) -> bool:
        """Whether these weights had a PASS."""
        return any(j.outcome == "PASS" and j.candidate.weights_sha256 == release.weights_sha256 for j in self.judged)


def fold(lines: Sequence[Line]) -> dict[str, Standing]:
    """Scenario → its standing after all lines. Raises IntegrityError for a line that those before it do not allow."""
    standings: dict[str, Standing] = {}
    for line in lines:
        if isinstance(line.record, Approved | Drilled):
            continue
        scenario = line.record.scenario
        try:
            standings[scenario] = follow(standings.get(scenario) or Standing(scenario), line)
        except InputError as error:
            raise IntegrityError(f"history, line {line.seq + 1}: {line.record.kind} of {scenario}: {error}") from None
    return standings


def standing_of(lines: Sequence[Line], scenario: str) -> Standing:
    """The standing of a scenario after all lines."""
    return fold(lines).get(scenario) or Standing(scenario)


def follow(before: Standing, line: Line) -> Standing:
    """The standing after one line. Raises InputError if the line is not allowed from here."""
    why = f"by {line.actor}: {line.reason}"
    match line.record:
        case Judged() as record:
            return _after_verdict(before, record, line.sha256)
        case Signed() as record:
            require_ready(before)
            if record.verdict_sha256 != before.passed_sha256:
                raise InputError(
                    f"expected a signature of the last pass, {before.passed_sha256}, got one of {record.verdict_sha256}"
                )
            return replace(before, signatures={**before.signatures, record.role: line})
        case Promoted() as record:
            passed = require_ready(before)
            if record.release != passed.candidate.id:
                raise InputError(f"expected the candidate that is ready, {passed.candidate.id}, got {record.release}")
            after = _put_to_use(before, passed.candidate, passed.baseline)
            versions = {**before.versions, record.release: record.version}
            return replace(after, state="promoted", versions=versions, note=f"{record.release} was promoted {why}")
        case Swapped() as record:
            require_unused(before, record.release)
            after = _put_to_use(before, record.release, record.baseline)
            return replace(after, note=f"{record.release.id} was swapped in {why}")
        case RolledBack() as record:
            release = rollback_target(before, record.release)
            return replace(_begin_again(before, "monitoring"), current=release, note=f"rolled back to {release.id} {why}")
        case Withdrawn():
            return replace(_begin_again(before, _waiting(before)), note=f"the candidate was withdrawn {why}")
        case _:
            return before


def require_ready(standing: Standing) -> Judged:
    """The pass whose candidate is ready. Raises InputError in any other state."""
    if standing.state != "ready" or standing.passed is None:
        raise InputError(
            f"{standing.scenario}: expected {standing.required_passes} passes in a row, counted {standing.pass_streak}: {standing.note}"
        )
    return standing.passed


def ready_pass(standing: Standing) -> Judged:
    """The pass whose candidate is ready. Raises GateFailed after a FAIL and Hold in any other state but ready."""
    try:
        return require_ready(standing)
    except InputError as error:
        text = f"{error}; `headstart release record {standing.scenario}` records a verdict"
        raise (GateFailed if standing.last_result == "FAIL" else Hold)(text) from None


def require_unused(standing: Standing, release: Release) -> None:
    """Raise InputError if the release is in use."""
    if standing.current and standing.current.id == release.id:
        raise InputError(f"{standing.scenario}: {release.id} is in use already")


def rollback_target(standing: Standing, to: str | None = None) -> Release:
    """The release to restore: that with the id `to`, else the previous one. Raises InputError if there is none."""
    if standing.current is None:
        raise InputError(f"{standing.scenario}: expected a release to roll back, none was ever made")
    if to is not None and to not in standing.releases:
        raise InputError(f"{standing.scenario}: expected one of the releases {', '.join(standing.releases)}, got {to!r}")
    release = standing.releases[to] if to is not None else standing.previous
    if release is None:
        raise InputError(f"{standing.scenario}: {standing.current.id} is the first release, there is none before it")
    require_unused(standing, release)
    return release


def why_not_counted(record: Judged, earlier: Sequence[Judged]) -> str | None:
    """Why a PASS does not count; None: it counts. Every pass needs runs and seeds that no verdict had before."""
    if record.loosened:
        return f"looser than the default, or held by the check of its schedule: {', '.join(record.loosened)}"
    if known := {c for e in earlier for c in e.checkpoints} & set(record.checkpoints):
        return f"{len(known)} of its checkpoints were judged before"
    if seeds := {s for e in earlier if e.key == record.key for s in e.seeds} & set(record.seeds):
        return f"seeds {', '.join(map(str, sorted(seeds)))} were judged before; run others"
    return None


def _after_verdict(before: Standing, record: Judged, sha256: str) -> Standing:
    seen: dict[str, Any] = {"last_result": record.outcome, "judged": (*before.judged, record)}
    if record.outcome != "PASS":
        again = _begin_again(before, _waiting(before))
        note = f"{record.outcome}: the count of passes begins again"
        return replace(again, **seen, required_passes=record.required_passes, note=note)
    if reason := why_not_counted(record, before.judged):
        return replace(before, last_result="PASS", note=f"a PASS was not counted: {reason}")
    same = before.passed is not None and before.passed.key == record.key
    streak = before.pass_streak + 1 if same else 1
    cycles = sum(e.anneal_cycles for e in seen["judged"] if e.dataset_sha256 == record.dataset_sha256)
    missing = max(record.required_passes - streak, 0)
    ready = missing == 0 and cycles >= MIN_CYCLES
    if ready:
        note = f"{streak} passes in a row"
    elif missing:
        note = f"needs {missing} more pass{'es' if missing > 1 else ''} in a row"
    else:
        note = f"needs {MIN_CYCLES} cycles of annealing on {record.dataset}, {cycles} are recorded"
    return replace(
        before,
        **seen,
        state="ready" if ready else _waiting(before),
        pass_streak=streak,
        required_passes=record.required_passes,
        passed=record,
        passed_sha256=sha256,
        signatures={},
        note=note,
    )


def _put_to_use(before: Standing, release: Release, baseline: Release | None) -> Standing:
    """`release` in use; `baseline` is the release before a scenario's first one."""
    initial = before.initial or baseline
    new = {r.id: r for r in (initial, release) if r and r.id not in before.releases}
    return replace(
        _begin_again(before, "monitoring"),
        current=release,
        initial=initial,
        releases={**before.releases, **new},
        replaced={**before.replaced, release.id: before.current or initial},
    )


def _begin_again(before: Standing, state: State) -> Standing:
    return replace(before, state=state, pass_streak=0, passed=None, passed_sha256=None, signatures={})


def _waiting(before: Standing) -> State:
    return "monitoring" if before.state == "ready" else before.state
