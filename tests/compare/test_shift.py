"""What holds a verdict, what fails it and what only warns: one finding at a time."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.shifts import clone_facts, facts, states

from headstart.compare.arm_runs import Agreement, ArmRuns, CloneShift, ShiftFacts
from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.compare.shift import ShiftFindings, find_shift, shift_checks
from headstart.config.scenario import Target
from headstart.core.errors import InputError
from headstart.core.verdict import Outcome

MakeArm = Callable[..., ArmRuns]


def with_facts(arm: ArmRuns, make: Callable[[int], ShiftFacts]) -> ArmRuns:
    return arm.model_copy(update={"runs": tuple(run.model_copy(update={"shift": make(run.seed)}) for run in arm.runs)})


@pytest.fixture
def find(make_arm: MakeArm) -> Callable[..., ShiftFindings]:
    """A function: what differs from ten quiet seeds of both arms and a quiet clone → findings."""

    def found(
        ours: Callable[[int], ShiftFacts] = lambda seed: facts(90 + seed % 2),
        theirs: Callable[[int], ShiftFacts] = lambda seed: facts(89 + seed % 3),
        clone: CloneShift | None = None,
        n: int = 10,
    ) -> ShiftFindings:
        candidate, scratch = make_arm("pretrained", [2] * n), make_arm("scratch", [20] * n)
        arms = with_facts(candidate, ours), with_facts(scratch, theirs)
        return find_shift(*arms, clone or clone_facts(facts(90)))

    return found


def reasons(found: ShiftFindings) -> dict[str, Outcome]:
    """Name → outcome of every check that did not pass."""
    return {check.name: check.outcome for check in shift_checks(found) if not check.passed}


def test_without_a_shift_every_check_passes_and_nothing_warns(find: Callable[..., ShiftFindings]) -> None:
    found = find()

    assert reasons(found) == {}
    assert found.warnings == ()
    assert [check.name for check in shift_checks(found)] == [
        "shift-starts",
        "shift-outside",
        "shift-mix",
        "shift-mix-share",
        "shift-agreement",
        "shift-dense-scratch",
        "shift-dense-clone",
    ]


def test_worlds_that_begin_otherwise_hold(find: Callable[..., ShiftFindings]) -> None:
    found = find(ours=lambda seed: facts(90 + seed % 2, starts=states(1, shift=1.5)))

    assert reasons(found) == {"shift-starts": Outcome.HOLD}
    assert "speed (D 0." in next(check.text for check in shift_checks(found) if check.name == "shift-starts")


def test_a_policy_that_goes_elsewhere_is_a_warning_and_no_more(find: Callable[..., ShiftFindings]) -> None:
    moved, apart = states(2, shift=1.5), Agreement(decisions=1000, agreed=200)
    found = find(ours=lambda seed: facts(90 + seed % 2, visited=moved, agreement=apart))

    assert reasons(found) == {}
    assert "pretrained sees other values than the data in 1 of 2 features, most in speed" in found.warnings
    assert "pretrained agrees with the expert in 0.200 of its own decisions" in found.warnings


def test_rows_beyond_the_vocabulary_hold(find: Callable[..., ShiftFindings]) -> None:
    found = find(ours=lambda seed: facts(90 + seed % 2, visited=states(2, shift=4.0)))

    assert reasons(found) == {"shift-outside": Outcome.HOLD}


@pytest.mark.parametrize(
    ("mix", "expected", "warns"),
    [
        ({"0": 55, "1": 45}, {}, False),
        ({"0": 680, "1": 320}, {}, True),
        ({"0": 80, "1": 20}, {"shift-mix": Outcome.HOLD}, False),
        ({"0": 97, "1": 3}, {"shift-mix": Outcome.HOLD, "shift-mix-share": Outcome.HOLD}, False),
    ],
)
def test_another_mix_of_situations_warns_or_holds_by_its_distance(
    find: Callable[..., ShiftFindings], mix: dict[str, int], expected: dict[str, Outcome], warns: bool
) -> None:
    found = find(clone=clone_facts(facts(90), mix=mix))

    assert reasons(found) == expected
    assert any("mix of situations" in warning for warning in found.warnings) == warns


def test_a_clone_that_leaves_the_expert_where_it_leads_itself_holds(find: Callable[..., ShiftFindings]) -> None:
    found = find(clone=clone_facts(facts(90, agreement=Agreement(decisions=1000, agreed=840))))

    assert reasons(found) == {"shift-agreement": Outcome.HOLD}


def test_an_agreement_that_nobody_measured_holds(find: Callable[..., ShiftFindings]) -> None:
    assert reasons(find(clone=clone_facts(facts(90, agreement=None)))) == {"shift-agreement": Outcome.HOLD}


@pytest.mark.parametrize(("scratch", "outcome"), [(92, None), (98, Outcome.HOLD), (100, Outcome.HOLD)])
def test_success_that_does_not_carry_over_holds(
    find: Callable[..., ShiftFindings], scratch: int, outcome: Outcome | None
) -> None:
    found = find(theirs=lambda seed: facts(scratch))

    assert reasons(found) == ({} if outcome is None else {"shift-dense-scratch": outcome})


def test_success_that_is_lost_by_far_fails(find: Callable[..., ShiftFindings]) -> None:
    found = find(ours=lambda seed: facts(70 + seed % 2))

    assert reasons(found) == {"shift-dense-scratch": Outcome.FAIL, "shift-dense-clone": Outcome.FAIL}
    assert found.variants[0].minus_clone.mean == pytest.approx(-0.195)


def test_too_few_seeds_for_a_bound_hold(find: Callable[..., ShiftFindings]) -> None:
    assert reasons(find(n=4)) == {"shift-dense-scratch": Outcome.HOLD, "shift-dense-clone": Outcome.HOLD}


def test_a_scenario_without_variants_warns_that_no_consequence_was_measured(find: Callable[..., ShiftFindings]) -> None:
    none = facts(variants={})
    found = find(ours=lambda seed: none, theirs=lambda seed: none, clone=clone_facts(none))

    assert reasons(found) == {}
    assert found.warnings == ("the scenario describes no held-out variants, so no consequence was measured",)


# --- missing and contradicting evidence -------------------------------------------------------------------------------


def test_runs_without_facts_are_said_not_to_be_measured_and_hold(make_arm: MakeArm) -> None:
    found = find_shift(make_arm("pretrained", [2] * 3), make_arm("scratch", [20] * 3), None)

    (check,) = shift_checks(found)
    assert check.outcome == Outcome.HOLD
    assert "not measured: pretrained recorded no facts with seeds [0, 1, 2]; scratch recorded" in check.text
    assert "the clone recorded no facts" in check.text


def test_data_that_do_not_name_their_situations_are_missing_evidence(find: Callable[..., ShiftFindings]) -> None:
    assert reasons(find(clone=clone_facts(facts(90), mix={}))) == {"shift": Outcome.HOLD}


@pytest.mark.parametrize("changes", [{"worlds": 99}, {"variants": {}}])
def test_policies_that_played_other_worlds_are_refused(find: Callable[..., ShiftFindings], changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="walk: expected one set of held-out variants"):
        find(theirs=lambda seed: facts(90, **changes))


def test_data_of_another_scenario_are_refused(find: Callable[..., ShiftFindings]) -> None:
    with pytest.raises(InputError, match="the clone's data and pretrained are of different scenarios"):
        find(clone=clone_facts(facts(90), scenario_sha256="6" * 64))


# --- the verdict ------------------------------------------------------------------------------------------------------


def test_the_verdict_of_a_comparison_rests_on_shift_too(make_arm: MakeArm, find: Callable[..., ShiftFindings]) -> None:
    candidate, scratch = make_arm("pretrained", [2] * 10), make_arm("scratch", [20] * 10)
    target = Target(name="reliable", success_rate=0.9, harm_rate=0.05, consecutive=3)
    limits = ComparisonLimits(resamples=200)

    outcomes = {
        name: compare(candidate, scratch, target, limits, (), shift).verdict.outcome
        for name, shift in {
            "not asked": None,
            "quiet": find(),
            "held": find(clone=clone_facts(facts(90), mix={"0": 80, "1": 20})),
            "lost": find(ours=lambda seed: facts(70 + seed % 2)),
        }.items()
    }

    assert outcomes == {"not asked": Outcome.PASS, "quiet": Outcome.PASS, "held": Outcome.HOLD, "lost": Outcome.FAIL}


def test_the_verdict_keeps_the_limits_that_were_applied(make_arm: MakeArm, find: Callable[..., ShiftFindings]) -> None:
    candidate, scratch = make_arm("pretrained", [2] * 10), make_arm("scratch", [20] * 10)
    target = Target(name="reliable", success_rate=0.9, consecutive=3)

    verdict = compare(candidate, scratch, target, ComparisonLimits(resamples=200), (), find()).verdict

    assert verdict.thresholds["shift_success_fail"] == 0.15
    assert verdict.thresholds["shift_max_outside"] == 0.01
