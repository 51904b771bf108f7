"""What holds a verdict, what fails it and what only warns: one finding at a time."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tests.shifts import MIX, arm_with, clone_run, clone_runs, clone_sha256, data_states, facts, states

from headstart.compare.arm_runs import Agreement, CloneRun, ShiftFacts
from headstart.compare.shift import ShiftFindings, find_shift, shift_checks
from headstart.core.errors import InputError
from headstart.core.verdict import Outcome

Clone = Callable[[int], CloneRun]


def find(
    ours: Callable[[int], ShiftFacts] = lambda seed: facts(90 + seed % 2),
    theirs: Callable[[int], ShiftFacts] = lambda seed: facts(89 + seed % 3),
    clone: Clone = clone_run,
    seeds: Iterable[int] = range(10),
) -> ShiftFindings:
    """The findings, where something differs from ten quiet seeds of both arms, each with a quiet clone."""
    candidate, scratch = arm_with("pretrained", ours, seeds), arm_with("scratch", theirs, seeds, "random")
    return find_shift(candidate, [scratch], clone_runs(map(clone, seeds)))


def reasons(found: ShiftFindings) -> dict[str, Outcome]:
    """Name → outcome of every check that did not pass."""
    return {check.name: check.outcome for check in shift_checks(found) if not check.passed}


def test_without_a_shift_every_check_passes_and_nothing_warns() -> None:
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
        "shift-dense-harm-scratch",
        "shift-dense-harm-clone",
    ]


def test_worlds_that_begin_otherwise_hold() -> None:
    found = find(ours=lambda seed: facts(90 + seed % 2, starts=states(1, shift=1.5)))

    assert reasons(found) == {"shift-starts": Outcome.HOLD}
    assert "speed (D 0." in next(check.text for check in shift_checks(found) if check.name == "shift-starts")


def test_a_policy_that_goes_elsewhere_is_a_warning_and_no_more() -> None:
    moved, apart = states(2, shift=1.5), Agreement(decisions=1000, agreed=200)
    found = find(ours=lambda seed: facts(90 + seed % 2, visited=moved, agreement=apart))

    assert reasons(found) == {}
    assert "pretrained sees other values than the data in 1 of 2 features, most in speed" in found.warnings
    assert "pretrained agrees with the expert in 0.200 of its own decisions" in found.warnings


def test_rows_beyond_the_vocabulary_hold() -> None:
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
    mix: dict[str, int], expected: dict[str, Outcome], warns: bool
) -> None:
    found = find(clone=lambda seed: clone_run(seed, data=data_states(seed, mix=mix)))

    assert reasons(found) == expected
    assert any("mix of situations" in warning for warning in found.warnings) == warns


def test_a_clone_that_leaves_the_expert_where_it_leads_itself_holds() -> None:
    apart = facts(agreement=Agreement(decisions=1000, agreed=840))

    assert reasons(find(clone=lambda seed: clone_run(seed, apart))) == {"shift-agreement": Outcome.HOLD}


def test_an_agreement_that_nobody_measured_holds() -> None:
    assert reasons(find(clone=lambda seed: clone_run(seed, facts(agreement=None)))) == {"shift-agreement": Outcome.HOLD}


# --- what a shift costs in held-out variants -----------------------------------------------------------------------------


@pytest.mark.parametrize(("scratch", "outcome"), [(92, None), (98, Outcome.HOLD), (100, Outcome.HOLD)])
def test_success_that_does_not_carry_over_holds(scratch: int, outcome: Outcome | None) -> None:
    found = find(theirs=lambda seed: facts(scratch))

    assert reasons(found) == ({} if outcome is None else {"shift-dense-scratch": outcome})


def test_success_that_is_lost_by_far_fails() -> None:
    found = find(ours=lambda seed: facts(70 + seed % 2))

    assert reasons(found) == {"shift-dense-scratch": Outcome.FAIL, "shift-dense-clone": Outcome.FAIL}
    assert found.variants[0].success.minus_clone.mean == pytest.approx(-0.195)


def test_harm_that_rises_from_a_fifteenth_to_a_sixth_does_not_pass() -> None:
    """The clone harms in 0.066 of the episodes, the candidate in 0.173, scratch more often than both; success is kept."""

    def of(harm: int) -> ShiftFacts:
        return facts(950, harm, 1000)

    found = find(
        ours=lambda seed: of(170 + seed % 2 * 6),
        theirs=lambda seed: of(280),
        clone=lambda seed: clone_run(seed, of(64 + seed % 2 * 4)),
    )

    harm = found.variants[0].harm
    assert (harm.clone, harm.candidate) == (pytest.approx(0.066), pytest.approx(0.173))
    assert reasons(found) == {"shift-dense-harm-clone": Outcome.HOLD}
    (check,) = (check for check in shift_checks(found) if not check.passed)
    assert check.text.startswith("harm on dense, pretrained − clone: +0.107 over 10 replicates; bound +0.10")


def test_harm_beyond_the_larger_margin_fails() -> None:
    found = find(ours=lambda seed: facts(90, 30 + seed % 2))

    assert reasons(found) == {"shift-dense-harm-scratch": Outcome.FAIL, "shift-dense-harm-clone": Outcome.FAIL}


def test_harm_that_falls_passes() -> None:
    assert reasons(find(ours=lambda seed: facts(90, seed % 2))) == {}


def test_each_run_is_compared_with_its_own_clone() -> None:
    """Clones of very different quality, each kept by its run: the pairs leave no spread, two unpaired groups would not show it."""
    quality = [95, 60, 90, 70, 80, 65, 85, 75, 92, 68]

    found = find(
        ours=lambda seed: facts(quality[seed] + 1),
        theirs=lambda seed: facts(50),
        clone=lambda seed: clone_run(seed, facts(quality[seed])),
    )

    assert found.variants[0].success.minus_clone.bound == pytest.approx(0.01)
    assert reasons(found) == {}


def test_seeds_that_only_share_their_number_do_not_pair_the_arms() -> None:
    """Both arms have the same two-peaked rates by chance in the same order; paired, the difference would have no spread."""
    found = find(
        ours=lambda seed: facts(60 + 40 * (seed % 2)),
        theirs=lambda seed: facts(60 + 40 * (seed % 2)),
        clone=lambda seed: clone_run(seed, facts(60 + 40 * (seed % 2))),
    )

    assert found.variants[0].success.minus_scratch.mean == 0
    assert reasons(found) == {"shift-dense-scratch": Outcome.FAIL}


def test_too_few_seeds_for_a_bound_hold() -> None:
    everything = ("shift-dense-scratch", "shift-dense-clone", "shift-dense-harm-scratch", "shift-dense-harm-clone")

    assert reasons(find(seeds=range(4))) == dict.fromkeys(everything, Outcome.HOLD)


def test_runs_that_share_a_clone_count_as_one_replicate() -> None:
    """Ten runs of two clones are two replicates, too few for a bound."""
    candidate = arm_with("pretrained", lambda seed: facts(90 + seed % 2), range(10))
    runs = [run.model_copy(update={"clone_sha256": clone_sha256(run.seed % 2)}) for run in candidate.runs]
    candidate = candidate.model_copy(update={"runs": tuple(runs)})
    scratch = arm_with("scratch", lambda seed: facts(89), range(10), "random")

    found = find_shift(candidate, [scratch], clone_runs([clone_run(seed) for seed in range(2)]))

    success = found.variants[0].success
    assert (success.minus_clone.n, success.minus_clone.bound, success.candidate) == (2, None, pytest.approx(0.905))
    assert reasons(found)["shift-dense-clone"] == Outcome.HOLD


def test_a_scenario_without_variants_warns_that_no_consequence_was_measured() -> None:
    none = facts(variants={})
    found = find(ours=lambda seed: none, theirs=lambda seed: none, clone=lambda seed: clone_run(seed, none))

    assert reasons(found) == {}
    assert found.warnings == ("the scenario describes no held-out variants, so no consequence was measured",)


def test_every_baseline_is_a_measure_of_what_is_kept() -> None:
    """The second baseline is better on the variant than the candidate, the first is not."""
    candidate = arm_with("pretrained", lambda seed: facts(80 + seed % 2, 20 + seed % 2), range(10))
    scratch, matched = (
        arm_with(name, lambda seed, kept=kept: facts(kept, 100 - kept), range(10), "random")  # type: ignore[misc]
        for name, kept in (("scratch", 50), ("matched", 90))
    )
    clones = clone_runs(clone_run(seed, facts(80, 20)) for seed in range(10))

    found = find_shift(candidate, [scratch, matched], clones)

    assert reasons(found) == {"shift-dense-matched": Outcome.HOLD, "shift-dense-harm-matched": Outcome.HOLD}
    (variant,) = found.variants
    assert (variant.success.scratch, variant.success.minus_others["matched"].mean) == (0.5, pytest.approx(-0.095))
    assert reasons(find_shift(candidate, [scratch], clones)) == {}


def test_the_checks_name_the_arm_that_was_compared() -> None:
    candidate, matched = (arm_with(name, lambda seed: facts(), range(10)) for name in ("pretrained", "matched"))

    found = find_shift(candidate, [matched], clone_runs(map(clone_run, range(10))))

    names = [check.name for check in shift_checks(found)]
    assert "shift-dense-matched" in names and "shift-dense-harm-matched" in names


# --- the data and the clones of all replicates --------------------------------------------------------------------------


def test_the_data_are_the_blocks_of_all_clones_together() -> None:
    """One block in ten that begins elsewhere is a tenth of the data; blocks that all do so are another dataset."""
    apart = data_states(0, starts=states(100, shift=1.5), mix={"0": 0, "1": 100})
    one, every = (
        find(clone=lambda seed, n=n: clone_run(seed, data=apart if seed < n else None))
        for n in (1, 10)  # type: ignore[misc]
    )

    assert one.mix is not None and one.mix.data == {"0": pytest.approx(0.45), "1": pytest.approx(0.55)}
    assert reasons(one) == {}
    assert reasons(every).keys() == {"shift-starts", "shift-mix", "shift-mix-share"}


def test_accuracy_and_agreement_are_means_over_clones() -> None:
    def clone(seed: int) -> CloneRun:
        of = facts(agreement=Agreement(decisions=1000, agreed=800 + 20 * seed))
        return clone_run(seed, of, heldout_accuracy=0.9 + 0.01 * seed)

    found = find(clone=clone)

    assert (found.heldout_accuracy, found.clone_agreement) == (pytest.approx(0.945), pytest.approx(0.89))


def test_clones_of_which_no_run_started_do_not_count() -> None:
    far = clone_run(77, facts(1), data_states(77, starts=states(3, shift=3.0)))
    arms = (
        arm_with("pretrained", lambda seed: facts(), range(10)),
        [arm_with("scratch", lambda seed: facts(), range(10), "random")],
    )

    found = find_shift(*arms, clone_runs([*map(clone_run, range(10)), far]))

    assert found == find_shift(*arms, clone_runs(map(clone_run, range(10))))


# --- missing and contradicting evidence -------------------------------------------------------------------------------


def test_runs_without_facts_are_said_not_to_be_measured_and_hold() -> None:
    candidate, scratch = (arm_with(name, lambda seed: None, range(3)) for name in ("pretrained", "scratch"))

    (check,) = shift_checks(find_shift(candidate, [scratch], None))

    assert check.outcome == Outcome.HOLD
    assert "not measured: pretrained recorded no facts with seeds [0, 1, 2]; scratch recorded" in check.text
    assert "the clones recorded no facts" in check.text


@pytest.mark.parametrize("field", ["data", "shift"])
def test_a_clone_without_facts_is_named_and_holds(field: str) -> None:
    found = find(clone=lambda seed: clone_run(seed).model_copy(update={field: None} if seed in (3, 5) else {}))

    assert found.missing == ("the clones of seeds [3, 5] recorded no facts",)
    assert reasons(found) == {"shift": Outcome.HOLD}


def test_a_candidate_from_random_weights_has_no_clone_to_be_compared_with() -> None:
    candidate, scratch = (arm_with(name, lambda seed: facts(), range(2), "random") for name in ("other", "scratch"))

    found = find_shift(candidate, [scratch], clone_runs(map(clone_run, range(2))))

    assert found.missing[0] == "other did not start from a clone with seeds [0, 1]"


def test_a_run_that_started_from_a_clone_that_is_not_recorded_is_refused() -> None:
    arms = arm_with("pretrained", lambda seed: facts(), range(3)), [arm_with("scratch", lambda seed: facts(), range(3), "random")]

    with pytest.raises(
        InputError, match=r"walk: expected pretrained to start from the recorded clones, got others with seeds \[2\]"
    ):
        find_shift(*arms, clone_runs(map(clone_run, range(2))))


def test_data_that_do_not_name_their_situations_are_missing_evidence() -> None:
    found = find(clone=lambda seed: clone_run(seed, data=data_states(seed, mix={} if seed == 4 else MIX)))

    assert reasons(found) == {"shift": Outcome.HOLD}


@pytest.mark.parametrize("changes", [{"worlds": 99}, {"variants": {}}])
@pytest.mark.parametrize("whose", ["scratch", "clone"])
def test_policies_that_played_other_worlds_are_refused(changes: dict[str, Any], whose: str) -> None:
    other = facts(90, **changes)

    with pytest.raises(InputError, match="walk: expected one set of held-out variants"):
        if whose == "scratch":
            find(theirs=lambda seed: other)
        else:
            find(clone=lambda seed: clone_run(seed, other if seed == 9 else None))


def test_data_of_another_scenario_are_refused() -> None:
    other = data_states(9, scenario_sha256="6" * 64)

    with pytest.raises(InputError, match="the clones' data and pretrained are of different scenarios"):
        find(clone=lambda seed: clone_run(seed, data=other if seed == 9 else None))
