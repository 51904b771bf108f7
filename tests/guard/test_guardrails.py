"""The truth table of every guardrail, with limits written out again by hand."""

import math
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.schedules import GOOD_EVALUATION, GOOD_UPDATE, REFERENCE, arm

from headstart.core.errors import InputError
from headstart.guard.guardrails import GUARDRAILS, METRICS, finding_of, kpi, limits, loosened, measure, metrics_of, swing

# guardrail, metric, an improvement, just quiet, flagged (None: has no flag), breached
TABLE = [
    ("nonfinite", "nonfinite", 0, 0, None, 1),
    ("policy_kl", "kl_divergence", 0.0, 0.05, None, 0.051),
    ("policy_kl_burst", "kl_divergence", 0.0, 0.2, None, 0.21),
    ("reference_kl", "kl_to_reference", 0.0, 0.5, 0.51, 1.01),
    ("grad_norm", "grad_norm", 0.0, 2.5, 2.6, 3.1),
    ("entropy", "entropy", 0.6, 0.7, 0.71, 0.81),
    ("entropy", "entropy", 0.6, 0.5, 0.49, 0.39),
    ("entropy_floor", "entropy", 1.9, 0.03, None, 0.029),
    ("loss_drift", "loss_total", -5.0, 0.8, 0.81, 1.21),
    ("return_drop", "return_normalised", 5.0, 0.765, 0.764, 0.63),
    ("kpi_drop", "kpi", 1.0, 0.68, 0.679, 0.56),
    ("success_drop", "success_rate", 1.0, 0.8, 0.799, 0.6),
    ("harm_rise", "harm_rate", 0.0, 0.1, 0.101, 0.2),
    ("queue_events", "queue_conflict_rate", 0.0, 11.5, 11.6, 12.1),
    ("queue_intensity", "queue_intensity_rate", 0.0, 4.7, 4.8, 5.1),
    ("oscillation", "swing", 0.0, 0.16, 0.161, 0.181),
    ("bc_accuracy", "bc_accuracy", 1.0, 0.9, None, 0.899),
]
GOOD = GOOD_EVALUATION | GOOD_UPDATE | {"grad_norm": 2.6}  # so that policy_kl has its second condition
rows = pytest.mark.parametrize(
    ("name", "metric", "better", "quiet", "flagged", "breached"), TABLE, ids=[f"{row[0]}-{row[5]}" for row in TABLE]
)


def level(name: str, **values: float | None) -> str:
    return measure(GUARDRAILS[name], GOOD | values, REFERENCE).level


def test_the_table_names_every_guardrail() -> None:
    assert {row[0] for row in TABLE} == set(GUARDRAILS)


@rows
def test_a_guardrail_flags_at_its_flag_and_breaks_at_its_breach(  # type: ignore[no-untyped-def]
    name, metric, better, quiet, flagged, breached
) -> None:
    assert level(name, **{metric: quiet}) == "quiet"
    if flagged is not None:
        assert level(name, **{metric: flagged}) == "flag"
    assert level(name, **{metric: breached}) == "breach"


@rows
def test_an_improvement_is_silent(name, metric, better, quiet, flagged, breached) -> None:  # type: ignore[no-untyped-def]
    assert level(name, **{metric: better}) == "quiet"


@rows
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_never_quiet(name, metric, better, quiet, flagged, breached, bad: float) -> None:  # type: ignore[no-untyped-def]
    assert level(name, **{metric: bad}) == "breach"


@rows
def test_what_is_not_measured_is_not_applicable(name, metric, better, quiet, flagged, breached) -> None:  # type: ignore[no-untyped-def]
    assert level(name, **{metric: None}) == "not applicable"
    missing = {key: value for key, value in GOOD.items() if key != metric}
    assert measure(GUARDRAILS[name], missing, REFERENCE).level == "not applicable"


@pytest.mark.parametrize("name", [name for name, rule in GUARDRAILS.items() if rule.measure != "absolute"])
def test_a_drift_without_a_reference_is_not_applicable_and_with_a_broken_one_a_breach(name: str) -> None:
    rule = GUARDRAILS[name]
    base = rule.metric
    assert measure(rule, GOOD, {}).level == "not applicable"
    assert measure(rule, GOOD, REFERENCE | {base: None}).level == "not applicable"
    assert measure(rule, GOOD, REFERENCE | {base: math.nan}).level == "breach"


def test_a_large_update_needs_a_large_gradient_to_break() -> None:
    assert level("policy_kl", kl_divergence=0.1, grad_norm=2.5) == "flag"
    assert level("policy_kl", kl_divergence=0.1, grad_norm=None) == "flag"
    assert level("policy_kl", kl_divergence=0.1, grad_norm=2.51) == "breach"
    assert level("policy_kl", kl_divergence=0.1, grad_norm=math.nan) == "breach"


@pytest.mark.parametrize(("base", "value", "found"), [(0.0, 0.05, "quiet"), (0.0, 0.06, "flag"), (-0.01, 0.1, "breach")])
def test_a_share_is_never_taken_of_less_than_the_floor(base: float, value: float, found: str) -> None:
    assert measure(GUARDRAILS["loss_drift"], {"loss_total": value}, {"loss_total": base}).level == found


def test_a_kpi_is_the_least_share_that_any_measure_keeps() -> None:
    assert kpi({"stl_bp": 6000.0, "path": 90.0}, {"stl_bp": 8000.0, "path": 100.0}) == 0.75
    assert kpi({"stl_bp": 6000.0}, {"stl_bp": 0.0}) is None and kpi({}, {}) is None


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ([], 0.0),
        ([0.9, 0.1, 0.9, 0.1, 0.9], 0.0),  # two falls
        ([0.9, 0.7, 0.9, 0.7, 0.9, 0.7], 0.2),
        ([0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3], 0.0),
        ([1.3, 1.1, 0.9, 0.7, 0.5, 0.3], 0.0),
        ([0.9, 0.9, 0.7, 0.9, 0.9, 0.7, 0.9, 0.9, 0.7], 0.2),  # every third
        ([0.2, 0.6, 0.3, 0.9, 0.6, 1.2, 0.9, 1.5], 0.3),  # while it rises
        ([0.9, 0.8, 0.9, 0.5, 0.9, 0.4], 0.1),  # the least move counts
    ],
)
def test_a_swing_is_the_least_of_three_falls_and_the_two_recoveries_between(values: list[float], size: float) -> None:
    assert swing(values) == pytest.approx(size)


@given(st.lists(st.integers(0, 20).map(lambda n: n / 10), max_size=9))
def test_a_swing_is_the_best_of_all_choices_of_six_values(values: list[float]) -> None:
    signs = (-1, 1, -1, 1, -1)
    choices = [
        min(sign * (after - before) for sign, (before, after) in zip(signs, pairwise(six), strict=True))
        for six in combinations(values, 6)
    ]
    assert swing(values) == pytest.approx(max([0.0, *choices]))


def test_queues_are_of_the_town() -> None:
    assert metrics_of("town") == METRICS
    assert METRICS - metrics_of("nav") == {"queue_conflict_rate", "queue_intensity_rate"}


def test_a_phase_overrides_the_arm_and_the_arm_the_default() -> None:
    own = arm(
        guardrails={"grad_norm": {"flag": 2.0, "breach": 2.2}, "entropy": {"enabled": False}},
        phases=[
            {"name": "a", "kind": "ppo", "env_steps": 10, "learning_rate": 0.1, "guardrails": {"grad_norm": {"hits": 1}}},
            {"name": "b", "kind": "ppo", "env_steps": 10, "learning_rate": 0.1, "guardrails": {"entropy": {"flag": 0.05}}},
        ],
    )
    first, second = (limits(own, phase) for phase in own.phases)

    assert (first["grad_norm"].flag, first["grad_norm"].breach, first["grad_norm"].hits) == (2.0, 2.2, 1)
    assert "entropy" not in first
    assert (second["entropy"].flag, second["entropy"].breach) == (0.05, 0.2)
    assert first.keys() | {"entropy"} == set(GUARDRAILS)


def test_an_unknown_guardrail_is_named_with_its_nearest_neighbour() -> None:
    own = arm(guardrails={"return_drops": {}})
    with pytest.raises(InputError, match=r"guardrails: unknown guardrail 'return_drops' \(did you mean 'return_drop'\?\)"):
        limits(own, own.phases[0])


@pytest.mark.parametrize(
    ("name", "change", "looser"),
    [
        ("grad_norm", {"breach": 3.1}, True),
        ("grad_norm", {"flag": 2.6}, True),
        ("grad_norm", {"hits": 4}, True),
        ("grad_norm", {"enabled": False}, True),
        ("grad_norm", {"breach": 2.9, "flag": 2.0, "hits": 1}, False),
        ("grad_norm", {"flag": 2.5}, False),
        ("bc_accuracy", {"breach": 0.85}, True),
        ("bc_accuracy", {"breach": 0.95}, False),
        ("return_drop", {"breach": 0.4}, True),
        ("return_drop", {"breach": 0.2}, False),
        ("policy_kl_burst", {"flag": 0.1}, False),
    ],
)
def test_what_lets_more_through_than_the_default_is_looser(name: str, change: dict[str, float], looser: bool) -> None:
    own = arm(guardrails={name: change})
    assert loosened(own, own.phases[0]) == ((name,) if looser else ())


def test_a_finding_names_no_number_that_is_not_finite_and_cuts_its_reason() -> None:
    rule = GUARDRAILS["return_drop"]
    seen = measure(rule, {"return_normalised": math.nan}, REFERENCE)
    found = finding_of(rule, seen, 1, "freeze", "x" * 300)

    assert (found.severity, found.value, found.baseline, found.threshold) == ("breach", None, 0.9, 0.3)
    assert len(found.reason) == 200
