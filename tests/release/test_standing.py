"""The state machine: its table, and what no sequence of events can do."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.histories import lines_of, release, verdict

from headstart.config.history import Drilled, Event, Judged, Promoted, RolledBack, Signed, Swapped, Withdrawn, next_line
from headstart.core.errors import InputError, IntegrityError
from headstart.release.standing import Standing, fold, require_ready, require_unused, rollback_target, standing_of


def promotion_of(standing: Standing, version: str = "v1.0.0") -> Promoted:
    return Promoted(scenario="walk", release=require_ready(standing).candidate.id, version=version)


def after(*records: Event) -> Standing:
    return standing_of(lines_of(*records), "walk")


WITHDRAWN = Withdrawn(scenario="walk")
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
        ([verdict(0), verdict(1, baselines_sha256="6" * 64)], "monitoring", 1),
        ([verdict(0), verdict(1, candidate=release("other", 1))], "monitoring", 1),
        ([verdict(0, required_passes=1, anneal_cycles=3)], "ready", 1),
        ([verdict(0, required_passes=3), verdict(1, required_passes=3)], "monitoring", 2),
        ([verdict(0, anneal_cycles=1), verdict(1, anneal_cycles=1)], "monitoring", 2),  # two cycles
        ([verdict(0, anneal_cycles=1), verdict(1, anneal_cycles=1), verdict(2, anneal_cycles=1)], "ready", 3),
        ([verdict(0, "HOLD", anneal_cycles=1), verdict(1, anneal_cycles=1), verdict(2, anneal_cycles=1)], "ready", 2),
        # a PASS that does not count moves nothing
        ([verdict(0), verdict(0)], "monitoring", 1),
        ([verdict(0), verdict(1, seeds=(1, 0))], "monitoring", 1),
        ([verdict(0), verdict(1, checkpoints=verdict(0).checkpoints)], "monitoring", 1),
        ([verdict(0), verdict(1, loosened=("max_ratio",))], "monitoring", 1),
        # what a HOLD judged cannot be picked from again
        ([verdict(0, "HOLD", seeds=(0, 1)), verdict(1, seeds=(1, 2)), verdict(3)], "monitoring", 1),
        # a PASS without effect may be recorded again
        ([verdict(0, loosened=("max_ratio",)), verdict(0), verdict(1)], "ready", 2),
    ],
)
def test_the_table_of_transitions(events: list[Event], state: str, streak: int) -> None:
    found = after(*events)

    assert (found.state, found.pass_streak) == (state, streak)
    assert (found.passed is None) == (streak == 0)
    assert found.current is None


def test_a_promotion_puts_the_candidate_to_use_and_begins_a_new_count() -> None:
    events = [verdict(0), verdict(1)]
    found = after(*events, promotion_of(after(*events)))

    assert (found.state, found.pass_streak, found.passed) == ("promoted", 0, None)
    assert found.current is not None
    assert found.current.weights_sha256 == release(seed=1).weights_sha256
    assert found.initial == found.previous == release("scratch")


def test_passes_after_a_promotion_lead_to_the_next_one() -> None:
    events: list[Event] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events)))
    first = after(*events).current
    events += [verdict(2)]
    assert (after(*events).state, after(*events).pass_streak) == ("promoted", 1)
    events += [verdict(3)]
    assert after(*events).state == "ready"
    assert after(*events).current == first
    events.append(promotion_of(after(*events), "v2.0.0"))

    assert after(*events).previous == first
    assert after(*events).initial == release("scratch")


def test_rollbacks_go_back_step_by_step_to_the_baseline() -> None:
    events: list[Event] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events)))
    events += [verdict(2), verdict(3)]
    events.append(promotion_of(after(*events), "v2.0.0"))
    seen = []
    for _ in range(2):
        target = rollback_target(after(*events))
        events.append(RolledBack(scenario="walk", release=target.id))
        found = after(*events)
        assert (found.state, found.pass_streak, found.current) == ("monitoring", 0, target)
        seen.append((target.arm, target.seed))

    assert seen == [("pretrained", 1), ("scratch", 0)]
    with pytest.raises(InputError, match="there is none before it"):
        rollback_target(after(*events))


def test_a_swap_is_unverified_unless_its_checkpoint_passed() -> None:
    judged = [verdict(0), verdict(1), verdict(2, "FAIL")]
    for seed, verified in ((0, True), (2, False), (5, False)):
        found = after(*judged, Swapped(scenario="walk", release=release(seed=seed), baseline=release("scratch")))
        assert (found.state, found.pass_streak, found.passed) == ("monitoring", 0, None)
        assert (found.current, found.previous) == (release(seed=seed), release("scratch"))
        assert found.verified(release(seed=seed)) is verified


def test_a_promoted_release_that_is_swapped_in_again_keeps_its_version_and_revision() -> None:
    events: list[Event] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events)))
    events.append(Swapped(scenario="walk", release=release(seed=7), baseline=None))
    again = release(seed=1).model_copy(update={"git_revision": "1" * 40})
    found = after(*events, Swapped(scenario="walk", release=again, baseline=None))

    assert found.releases[again.id] == release(seed=1)
    assert found.versions[again.id] == "v1.0.0"
    assert found.previous == release(seed=7)


@pytest.mark.parametrize("events", [[verdict(0)], [verdict(0), verdict(1), verdict(2, "HOLD")], []])
def test_a_promotion_line_that_no_verdict_explains_is_refused(events: list[Event]) -> None:
    forged = promotion_of(after(verdict(0), verdict(1)))

    with pytest.raises(IntegrityError, match=r"line .: promotion of walk: walk: expected 2 passes in a row"):
        after(*events, forged)


def test_a_promotion_of_another_checkpoint_than_the_candidates_is_refused() -> None:
    good = promotion_of(after(verdict(0), verdict(1)))
    forged = good.model_copy(update={"release": release(seed=0).id})

    with pytest.raises(IntegrityError, match=r"expected the candidate that is ready, pretrained-1-.*, got pretrained-0-"):
        after(verdict(0), verdict(1), forged)


def test_a_rollback_line_to_a_release_that_never_was_is_refused() -> None:
    events: list[Event] = [verdict(0), verdict(1)]
    events.append(promotion_of(after(*events)))

    with pytest.raises(IntegrityError, match="expected one of the releases"):
        after(*events, RolledBack(scenario="walk", release="elsewhere"))


def test_scenarios_do_not_share_passes() -> None:
    found = fold(lines_of(verdict(0), verdict(1, scenario="run"), Drilled(passed=True, rounds=3, guardrails=())))

    assert {scenario: standing.pass_streak for scenario, standing in found.items()} == {"walk": 1, "run": 1}


EVENTS = st.one_of(
    st.builds(
        verdict,
        st.integers(0, 6),
        st.sampled_from(["PASS", "PASS", "PASS", "HOLD", "FAIL"]),
        required_passes=st.just(2),
        schedule_sha256=st.sampled_from(["3" * 64, "6" * 64]),
        loosened=st.sampled_from([(), (), (), ("max_ratio",)]),
    ),
    st.sampled_from(["promote", "rollback", "swap", WITHDRAWN]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(EVENTS, max_size=14))
def test_nothing_is_promoted_without_the_required_distinct_passes(events: list[Any]) -> None:
    """Whoever tries at every moment what a command would try."""
    done: list[Event] = []
    for event in events:
        before = after(*done)
        try:
            if event == "promote":
                event = promotion_of(before)
            elif event == "rollback":
                event = RolledBack(scenario="walk", release=rollback_target(before).id)
            elif event == "swap":
                require_unused(before, release(seed=9))
                event = Swapped(scenario="walk", release=release(seed=9), baseline=None)
        except InputError:
            continue
        done.append(event)
        now = after(*done)
        if event.kind == "promotion":
            streak = passes_in_a_row(done[:-1])
            assert len(streak) >= 2
            assert len({checkpoint for v in streak for checkpoint in v.checkpoints}) == len(streak)
            assert len({seed for v in streak for seed in v.seeds}) == len(streak)
            assert len({v.key for v in streak}) == 1
            assert now.state == "promoted"
        if now.state == "promoted":
            assert now.current is not None
            assert now.verified(now.current)


def passes_in_a_row(done: list[Event]) -> list[Judged]:
    """The last passes since anything that breaks a row, those of clean trees with facts not seen before: counted here by hand."""
    streak: list[Judged] = []
    seen: list[Judged] = []
    for event in done:
        if not isinstance(event, Judged):
            streak = []
            continue
        fresh = not {checkpoint for v in seen for checkpoint in v.checkpoints} & set(event.checkpoints)
        if event.outcome != "PASS":
            streak = []
            seen.append(event)
        elif fresh and not event.loosened:
            streak = [*streak, event] if streak and streak[-1].key == event.key else [event]
            seen.append(event)
    return streak


def test_a_signature_stands_for_the_pass_that_it_names_and_for_no_other() -> None:
    lines = lines_of(verdict(0), verdict(1))
    signed = Signed(scenario="walk", role="operations", decision="GO", verdict_sha256=lines[1].sha256)
    lines = (*lines, next_line(lines, signed, "Grace", "fine"))
    found = standing_of(lines, "walk")
    assert (found.state, found.signatures) == ("ready", {"operations": lines[2]})

    for later in (verdict(2), verdict(2, "HOLD"), WITHDRAWN, promotion_of(found)):
        assert not standing_of((*lines, next_line(lines, later, "Ada", "because")), "walk").signatures
    uncounted = (*lines, next_line(lines, verdict(1), "Ada", "again"))
    assert standing_of(uncounted, "walk").signatures  # the candidate is the same

    with pytest.raises(IntegrityError, match="line 4: signature of walk: expected a signature of the last pass"):
        standing_of((*lines, next_line(lines, signed.model_copy(update={"verdict_sha256": "0" * 64}), "Ada", "no")), "walk")
    with pytest.raises(IntegrityError, match="signature of walk: walk: expected 2 passes in a row, counted 1"):
        standing_of((*(first := lines_of(verdict(0))), next_line(first, signed, "Ada", "too early")), "walk")
