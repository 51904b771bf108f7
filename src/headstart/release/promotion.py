"""From verdicts to a release: what state a scenario's policy is in, as a fold over the lines of the history.

    monitoring ──passes in a row──▶ ready ──promote──▶ promoted ──passes in a row──▶ ready …
         ▲                            │                    │
         └── HOLD, FAIL, withdrawal ──┴───── rollback, swap ┘

The state speaks of the candidate; which release is in use stands beside it. Whoever skips a step, in a command or by writing a line, is refused
by the same function: `fold` derives every release from the verdicts before it and raises IntegrityError where the line says otherwise.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from headstart.core.errors import InputError, IntegrityError
from headstart.core.record import Count, Record, UtcTime
from headstart.release.history import Line
from headstart.release.history_kinds import Judged, PassesNeeded, Promoted, RolledBack, Swapped, Withdrawn
from headstart.release.releases import Release

MIN_CYCLES = 3  # of annealing, recorded for the dataset, before anything is ready
DEFAULT_PASSES = 2

Key = tuple[str, str]  # world, scenario


class Candidate(Record):
    """What the passes in a row are about."""

    key: tuple[str, ...]  # Judged.candidate_key
    run_id: str  # of the last pass
    release: Release  # the checkpoint that `promote` would put to use
    baseline: Release
    schedule_sha256: str
    dataset: str
    dataset_sha256: str
    metrics: dict[str, float | None]
    ready_at: UtcTime | None


class Standing(Record):
    """Where one scenario stands."""

    world: str
    scenario: str
    state: Literal["monitoring", "ready", "promoted"] = "monitoring"
    pass_streak: Count = 0
    required_passes: PassesNeeded = DEFAULT_PASSES
    candidate: Candidate | None = None
    last_result: Literal["PASS", "HOLD", "FAIL"] | None = None
    last_evaluated_at: UtcTime | None = None
    current_release: Release | None = None
    previous_release: Release | None = None
    initial_release: Release | None = None
    releases: tuple[Release, ...] = ()  # all that can be gone back to; the last of an id counts
    note: str = "nothing was judged yet"  # why it stands there, for people


def fold(lines: Sequence[Line]) -> dict[Key, Standing]:
    """World and scenario → where it stands after all lines. Raises IntegrityError for a release that no verdict explains."""
    standings: dict[Key, Standing] = {}
    judged: dict[Key, list[Judged]] = defaultdict(list)
    for line in lines:
        record = line.record
        if record.kind == "drill":
            continue
        key = (record.world, record.scenario)
        before = standings.get(key) or Standing(world=record.world, scenario=record.scenario)
        try:
            standings[key] = follow(before, line, judged[key])
        except InputError as error:
            raise IntegrityError(f"history, line {line.seq + 1}: {record.kind} of {record.scenario}: {error}") from None
        if isinstance(record, Judged) and has_effect(record, judged[key]):
            judged[key].append(record)
    return standings


def follow(before: Standing, line: Line, earlier: Sequence[Judged]) -> Standing:
    """The standing after one line; `earlier`: the verdicts before it that had an effect. InputError: not allowed from here."""
    match line.record:
        case Judged() as record:
            return _after_verdict(before, record, line.at, earlier)
        case Promoted() as record:
            if record != promotion_of(before, record.registry):
                raise InputError("expected the release of the candidate that is ready, got another")
            return _in_use(before, record.release, record.initial, "promoted", f"{record.release.id} was promoted")
        case Swapped() as record:
            if record != swap_of(before, record.release, record.initial, earlier):
                raise InputError("expected a swap that is marked verified only by its own PASS, got another")
            return _in_use(before, record.release, record.initial, "monitoring", f"{record.release.id} was swapped in by hand")
        case RolledBack() as record:
            release = rollback_target(before, record.to)
            return _in_use(before, release, None, "monitoring", f"rolled back to {release.id}")
        case Withdrawn() as record:
            note = f"the candidate was withdrawn: {record.cause}"
            return before.model_copy(update=_fallen_back(before) | {"note": note})
        case _:
            return before


def has_effect(record: Judged, earlier: Sequence[Judged]) -> bool:
    """A HOLD or FAIL always has, a PASS if it counts."""
    return record.outcome != "PASS" or why_not_counted(record, earlier) is None


def why_not_counted(record: Judged, earlier: Sequence[Judged]) -> str | None:
    """Why a PASS does not count; None: it counts. Every pass needs runs, seeds, evidence and a process that no verdict had before."""
    if not record.clean_tree:
        return "the git tree had changes"
    if record.loosened:
        return f"looser than the default, or held by the check of its schedule: {', '.join(record.loosened)}"
    if record.evidence_sha256 in {e.evidence_sha256 for e in earlier}:
        return "the same evidence was judged before"
    if record.run_id in {e.run_id for e in earlier}:
        return f"run {record.run_id} was judged before"
    if record.process in {e.process for e in earlier}:
        return "the same process recorded a verdict before; every verdict is recorded by a command of its own"
    if known := {c for e in earlier for c in e.checkpoints} & set(record.checkpoints):
        return f"{len(known)} of its checkpoints were judged before"
    same = [e for e in earlier if e.candidate_key == record.candidate_key]
    if seeds := {s for e in same for s in e.seeds} & set(record.seeds):
        return f"seeds {', '.join(map(str, sorted(seeds)))} were judged before; run others"
    return None


def promotion_of(standing: Standing, registry: str) -> Promoted:
    """The line that promotes the candidate. Raises InputError unless it is ready."""
    candidate = standing.candidate
    if standing.state != "ready" or candidate is None:
        raise InputError(f"expected a candidate that is ready, {standing.scenario} is {standing.state} ({standing.note})")
    initial = None if standing.initial_release else candidate.baseline
    return Promoted(
        world=standing.world,
        scenario=standing.scenario,
        release=candidate.release.model_copy(update={"replaces": _replaced(standing, initial)}),
        initial=initial,
        registry=registry,
    )


def swap_of(standing: Standing, release: Release, initial: Release | None, earlier: Sequence[Judged]) -> Swapped:
    """The line that puts `release` to use by hand; verified only if it was the candidate of a PASS."""
    if standing.current_release and standing.current_release.id == release.id:
        raise InputError(f"{release.id} is in use already")
    passed = [e for e in earlier if e.outcome == "PASS" and e.candidate.weights_sha256 == release.weights_sha256]
    initial = None if standing.initial_release else initial
    marks = {
        "verified": bool(passed),
        "verdict_sha256": passed[-1].comparison.sha256 if passed else None,
        "replaces": _replaced(standing, initial),
    }
    return Swapped(world=standing.world, scenario=standing.scenario, release=release.model_copy(update=marks), initial=initial)


def rollback_target(standing: Standing, to: str | None = None) -> Release:
    """The release to go back to: that with the id `to`, else the previous one. Raises InputError if there is none."""
    if standing.current_release is None:
        raise InputError(f"{standing.scenario}: expected a release to roll back, none was ever made")
    known = {release.id: release for release in standing.releases}
    if to is None:
        if standing.previous_release is None:
            raise InputError(f"{standing.scenario}: {standing.current_release.id} is the first release, nothing lies behind it")
        return standing.previous_release
    if to not in known:
        raise InputError(f"{standing.scenario}: expected one of the releases {', '.join(known)}, got {to!r}")
    if to == standing.current_release.id:
        raise InputError(f"{standing.scenario}: {to} is in use already")
    return known[to]


def effective(lines: Sequence[Line], world: str, scenario: str) -> list[Judged]:
    """The verdicts of a scenario that had an effect: every HOLD and FAIL, and every PASS that counted."""
    found: list[Judged] = []
    for line in lines:
        record = line.record
        if isinstance(record, Judged) and (record.world, record.scenario) == (world, scenario) and has_effect(record, found):
            found.append(record)
    return found


def _after_verdict(before: Standing, record: Judged, at: str, earlier: Sequence[Judged]) -> Standing:
    seen = {"last_result": record.outcome, "last_evaluated_at": at}
    if record.outcome != "PASS":
        needed = {"required_passes": record.required_passes, "note": f"{record.outcome}: the count of passes begins again"}
        return before.model_copy(update=_fallen_back(before) | seen | needed)
    if reason := why_not_counted(record, earlier):
        return before.model_copy(update=seen | {"note": f"a PASS was not counted: {reason}"})
    same = before.candidate is not None and before.candidate.key == record.candidate_key
    streak = before.pass_streak + 1 if same else 1
    cycles = sum(e.anneal_cycles for e in (*earlier, record) if e.dataset_sha256 == record.dataset_sha256)
    missing = max(record.required_passes - streak, 0)
    ready = missing == 0 and cycles >= MIN_CYCLES
    if ready:
        note = f"{streak} passes in a row"
    elif missing:
        note = f"needs {missing} more pass{'es' if missing > 1 else ''} in a row"
    else:
        note = f"needs {MIN_CYCLES} cycles of annealing on {record.dataset}, {cycles} are recorded"
    since = before.candidate.ready_at if same and before.candidate else None
    candidate = Candidate(
        key=record.candidate_key,
        run_id=record.run_id,
        release=record.candidate,
        baseline=record.baseline,
        schedule_sha256=record.schedule_sha256,
        dataset=record.dataset,
        dataset_sha256=record.dataset_sha256,
        metrics=record.metrics,
        ready_at=(since or at) if ready else None,
    )
    state = "ready" if ready else _waiting(before)
    counted = {"state": state, "pass_streak": streak, "candidate": candidate, "required_passes": record.required_passes}
    return before.model_copy(update=seen | counted | {"note": note})


def _in_use(before: Standing, release: Release, initial: Release | None, state: str, note: str) -> Standing:
    added = [r for r in (initial, release) if r is not None and r not in before.releases]
    releases = (*before.releases, *added)
    known = {r.id: r for r in releases}
    return before.model_copy(
        update={
            "state": state,
            "pass_streak": 0,
            "candidate": None,
            "current_release": release,
            "previous_release": known.get(release.replaces or ""),
            "initial_release": before.initial_release or initial,
            "releases": releases,
            "note": note,
        }
    )


def _replaced(standing: Standing, initial: Release | None) -> str | None:
    before = standing.current_release or standing.initial_release or initial
    return before.id if before else None


def _waiting(before: Standing) -> str:
    return "monitoring" if before.state == "ready" else before.state


def _fallen_back(before: Standing) -> dict[str, object]:
    return {"state": _waiting(before), "pass_streak": 0, "candidate": None}
