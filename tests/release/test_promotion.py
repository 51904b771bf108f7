"""The state machine: its table, and what no sequence of events can do."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import sha256_json
from headstart.release.history import Line, next_line
from headstart.release.history_kinds import AnyEvent, Drilled, Judged, RolledBack, Stored, Withdrawn
from headstart.release.promotion import Standing, effective, fold, promotion_of, rollback_target, swap_of
from headstart.release.releases import Release


def release(arm: str = "pretrained", seed: int = 0, passed: bool = False) -> Release:
    weights = sha256_json([arm, seed])
    return Release(
        id=f"{arm}-{seed}-{weights[:12]}",
        arm=arm,
        seed=seed,
        checkpoint=f"models/walk/{arm}/seed-{seed}",
        weights_sha256=weights,
        card_sha256=sha256_json(["card", arm, seed]),
        git_revision="0" * 40,
        dvc_out=None,
        verdict_sha256="e" * 64 if passed else None,
        verified=passed,
    )


def verdict(n: int, outcome: str = "PASS", **changes: Any) -> Judged:
    """The n-th run: by default nothing of it was seen before."""
    stored = Stored(path="a.json", sha256="e" * 64, copy_path="b.json")
    fields: dict[str, Any] = {
        "world": "toy",
        "scenario": "walk",
        "outcome": outcome,
        "arm": "pretrained",
        "target_sha256": "1" * 64,
        "design_sha256": "2" * 64,
        "schedule_sha256": "3" * 64,
        "dataset": "walk@1",
        "dataset_sha256": "4" * 64,
        "run_id": f"pretrained-{n}",
        "seeds": (n,),
        "checkpoints": (sha256_json(["checkpoint", n]),),
        "comparison": stored,
        "evidence": (stored,),
        "evidence_sha256": sha256_json(["evidence", n]),
        "anneal_cycles": 2,
        "candidate": release(seed=n, passed=outcome == "PASS"),
        "baseline": release("scratch"),
        "metrics": {},
        "required_passes": 2,
        "clean_tree": True,
        "loosened": (),
        "git_revision": "0" * 40,
        "process": sha256_json(["process", n]),
    }
    return Judged(**(fields | changes))


def lines_of(*records: AnyEvent) -> tuple[Line, ...]:
    lines: tuple[Line, ...] = ()
    for record in records:
        lines = (*lines, next_line(lines, record, "Ada", "because"))
    return lines


def after(*records: AnyEvent) -> Standing:
    return fold(lines_of(*records))["toy", "walk"]


WITHDRAWN = Withdrawn(world="toy", scenario="walk", cause="person")
NEW_DATA = {"dataset": "walk@2", "dataset_sha256": "5" * 64}


@pytest.mark.parametrize(
    ("events", "state", "streak"),
    [
        ([verdict(0)], "monitoring", 1),
        ([verdict(0), verdict(1)], "ready", 2),
        ([verdict(0), verdict(1), verdict(2)], "ready", 3),
        ([verdict(0), verdict(1, "HOLD")], "monitoring", 0),
        ([verdict(0), verdict(1, "FAIL")], "monitoring", 0),
        ([verdict(0), verdict(1, "HOLD"), verdict(2)], "monitoring", 1),
        ([verdict(0), verdict(1), verdict(2, "HOLD")], "monitoring", 0),
        ([verdict(0), verdict(1), verdict(2, "FAIL")], "monitoring", 0),
        ([verdict(0), verdict(1), WITHDRAWN], "monitoring", 0),
        ([verdict(0), verdict(1), verdict(2, **NEW_DATA)], "monitoring", 1),
        ([verdict(0), verdict(1, **NEW_DATA)], "monitoring", 1),
        ([verdict(0), verdict(1, schedule_sha256="6" * 64)], "monitoring", 1),
        ([verdict(0), verdict(1, target_sha256="6" * 64)], "monitoring", 1),
        ([verdict(0), verdict(1, design_sha256="6" * 64)], "monitoring", 1),
        ([verdict(0), verdict(1, arm="other")], "monitoring", 1),
        ([verdict(0, required_passes=1, anneal_cycles=3)], "ready", 1),
        ([verdict(0, required_passes=3), verdict(1, required_passes=3)], "monitoring", 2),
        ([verdict(0, anneal_cycles=1), verdict(1, anneal_cycles=1)], "monitoring", 2),  # two cycles
        ([verdict(0, anneal_cycles=1), verdict(1, anneal_cycles=1), verdict(2, anneal_cycles=1)], "ready", 3),
        ([verdict(0, "HOLD", anneal_cycles=1), verdict(1, anneal_cycles=1), verdict(2, anneal_cycles=1)], "ready", 2),
        # a PASS that does not count moves nothing
        ([verdict(0), verdict(0)], "monitoring", 1),
        ([verdict(0), verdict(1, evidence_sha256=verdict(0).evidence_sha256)], "monitoring", 1),
        ([verdict(0), verdict(1, run_id="pretrained-0")], "monitoring", 1),
        ([verdict(0), verdict(1, seeds=(1, 0))], "monitoring", 1),
        ([verdict(0), verdict(1, checkpoints=verdict(0).checkpoints)], "monitoring", 1),
        ([verdict(0), verdict(1, process=verdict(0).process)], "monitoring", 1),
        ([verdict(0), verdict(1, clean_tree=False)], "monitoring", 1),
        ([verdict(0), verdict(1, loosened=("max_ratio",))], "monitoring", 1),
        # what a HOLD judged cannot be picked from again
        ([verdict(0, "HOLD", seeds=(0, 1)), verdict(1, seeds=(1, 2)), verdict(3)], "monitoring", 1),
        # a PASS without effect may be recorded again
        ([verdict(0, clean_tree=False), verdict(0), verdict(1)], "ready", 2),
    ],
)
def test_the_table_of_transitions(events: list[AnyEvent], state: str, streak: int) -> None:
    found = after(*events)

    assert (found.state, found.pass_streak) == (state, streak)
    assert (found.candidate is None) == (streak == 0)
    assert found.current_release is None


def test_a_promotion_puts_the_candidate_to_use_and_begins_a_new_count() -> None:
    events = [verdict(0), verdict(1)]
    found = after(*events, promotion_of(after(*events), "walk@v1.0.0"))

    assert (found.state, found.pass_streak, found.candidate) == ("promoted", 0, None)
    assert found.current_release is not None
    assert found.current_release.weights_sha256 == release(seed=1).weights_sha256
    assert found.initial_release == found.previous_release == release("scratch")


def test_passes_after_a_promotion_lead_to_the_next_one() -> None:
    events: list[AnyEvent] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events), "walk@v1.0.0"))
    first = after(*events).current_release
    events += [verdict(2)]
    assert (after(*events).state, after(*events).pass_streak) == ("promoted", 1)
    events += [verdict(3)]
    assert after(*events).state == "ready"
    assert after(*events).current_release == first
    events.append(promotion_of(after(*events), "walk@v2.0.0"))

    assert after(*events).previous_release == first
    assert after(*events).initial_release == release("scratch")


def test_rollbacks_go_back_step_by_step_to_the_baseline() -> None:
    events: list[AnyEvent] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events), "walk@v1.0.0"))
    events += [verdict(2), verdict(3)]
    events.append(promotion_of(after(*events), "walk@v2.0.0"))
    seen = []
    for _ in range(2):
        target = rollback_target(after(*events))
        events.append(RolledBack(world="toy", scenario="walk", to=target.id))
        found = after(*events)
        assert (found.state, found.pass_streak, found.current_release) == ("monitoring", 0, target)
        seen.append((target.arm, target.seed))

    assert seen == [("pretrained", 1), ("scratch", 0)]
    with pytest.raises(InputError, match="nothing lies behind it"):
        rollback_target(after(*events))


def test_a_swap_is_unverified_unless_its_checkpoint_passed() -> None:
    judged = [verdict(0), verdict(1)]
    for seed, verified in ((0, True), (5, False)):
        line = swap_of(after(*judged), release(seed=seed), release("scratch"), effective(lines_of(*judged), "toy", "walk"))
        found = after(*judged, line)
        assert line.release.verified is verified
        assert (found.state, found.pass_streak, found.candidate) == ("monitoring", 0, None)
        assert found.current_release == line.release
        with pytest.raises(IntegrityError, match="marked verified only by its own PASS"):
            after(*judged, line.model_copy(update={"release": line.release.model_copy(update={"verified": not verified})}))


@pytest.mark.parametrize("events", [[verdict(0)], [verdict(0), verdict(1), verdict(2, "HOLD")], []])
def test_a_promotion_line_that_no_verdict_explains_is_refused(events: list[AnyEvent]) -> None:
    forged = promotion_of(after(verdict(0), verdict(1)), "walk@v1.0.0")

    with pytest.raises(IntegrityError, match=r"line .: promotion of walk: expected a candidate that is ready"):
        after(*events, forged)


def test_a_promotion_of_another_checkpoint_than_the_candidates_is_refused() -> None:
    good = promotion_of(after(verdict(0), verdict(1)), "walk@v1.0.0")
    forged = good.model_copy(update={"release": good.release.model_copy(update={"weights_sha256": "f" * 64})})

    with pytest.raises(IntegrityError, match="expected the release of the candidate that is ready"):
        after(verdict(0), verdict(1), forged)


def test_a_rollback_line_to_a_release_that_never_was_is_refused() -> None:
    events: list[AnyEvent] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events), "walk@v1.0.0"))

    with pytest.raises(IntegrityError, match="expected one of the releases"):
        after(*events, RolledBack(world="toy", scenario="walk", to="elsewhere"))


def test_scenarios_do_not_share_passes() -> None:
    found = fold(lines_of(verdict(0), verdict(1, scenario="run"), Drilled(passed=True, rounds=3, guardrails=())))

    assert {key: standing.pass_streak for key, standing in found.items()} == {("toy", "walk"): 1, ("toy", "run"): 1}


EVENTS = st.one_of(
    st.builds(
        verdict,
        st.integers(0, 6),
        st.sampled_from(["PASS", "PASS", "PASS", "HOLD", "FAIL"]),
        required_passes=st.just(2),
        schedule_sha256=st.sampled_from(["3" * 64, "6" * 64]),
        clean_tree=st.sampled_from([True, True, True, False]),
        process=st.integers(0, 6).map(lambda n: sha256_json(["process", n])),
    ),
    st.sampled_from(["promote", "rollback", "swap", WITHDRAWN]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=14))
def test_nothing_is_promoted_without_the_required_distinct_passes(events: list[Any]) -> None:
    """Whoever tries at every moment what a command would try."""
    done: list[AnyEvent] = []
    for event in events:
        before = fold(lines_of(*done)).get(("toy", "walk")) or Standing(world="toy", scenario="walk")
        try:
            if event == "promote":
                event = promotion_of(before, "walk@v1.0.0")
            elif event == "rollback":
                event = RolledBack(world="toy", scenario="walk", to=rollback_target(before).id)
            elif event == "swap":
                event = swap_of(before, release(seed=9), None, [])
        except InputError:
            continue
        done.append(event)
        now = after(*done)
        if event.kind == "promotion":
            streak = passes_in_a_row(done[:-1])
            assert len(streak) >= 2
            for fact in ("evidence_sha256", "run_id", "process"):
                assert len({getattr(v, fact) for v in streak}) == len(streak)
            assert len({seed for v in streak for seed in v.seeds}) == len(streak)
            assert len({v.candidate_key for v in streak}) == 1
            assert now.state == "promoted"
        if now.state == "promoted":
            assert now.current_release is not None
            assert now.current_release.verified


def passes_in_a_row(done: list[AnyEvent]) -> list[Judged]:
    """The last passes since anything that breaks a row, those of clean trees with facts not seen before: counted here by hand."""
    streak: list[Judged] = []
    seen: list[Judged] = []
    for event in done:
        if not isinstance(event, Judged):
            streak = []
            continue
        facts = [(v.evidence_sha256, v.run_id, v.process) for v in seen]
        fresh = all(not {event.evidence_sha256, event.run_id, event.process} & set(fact) for fact in facts)
        if event.outcome != "PASS":
            streak = []
            seen.append(event)
        elif event.clean_tree and fresh:
            streak = [*streak, event] if streak and streak[-1].candidate_key == event.candidate_key else [event]
            seen.append(event)
    return streak
