"""Rules are read as they are written, hold where they should, and give one alert when they begin to hold and one when they no longer do."""

import json
from typing import Any

import pytest
from tests.logged import ROOT, SAMPLES, Written, nav

from headstart.core.errors import UsageError
from headstart.guard.guardrails import GUARDRAILS
from headstart.telemetry.kinds import ANY_LINE
from headstart.telemetry.logs import AnyRecord, read_log
from headstart.telemetry.rules import FLOOR, FLOORS, PRESETS, Alert, Watch, preset, rule_of, watch


def updates(name: str, *values: float | None, **base: float) -> list[AnyRecord]:
    """A run whose updates have these values of a field."""
    log = Written("town", "queue_conflict", "pretrained", "anneal")
    log.start([("learn", "ppo")])
    log.phase(0, "learn", "ppo", **base)
    for number, value in enumerate(values, start=1):
        log.update(number, **{name: value})
    return [ANY_LINE.validate_json(line) for line in log.data.splitlines()]


def seen(records: list[AnyRecord], *rules: str, **baseline: float) -> tuple[list[Alert], Watch]:
    watched = watch(rules, baseline)
    return [alert for record in records for alert in watched.see(record)], watched


def events(alerts: list[Alert]) -> list[tuple[str, float]]:
    return [(alert.event, alert.value) for alert in alerts]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kl_divergence > 0.05", ("kl_divergence", ">", 0.05, "", 1, "alert")),
        ("kl_divergence>=1e-3 warn", ("kl_divergence", ">=", 0.001, "", 1, "warn")),
        ("return_mean < -30%base for 2 alert", ("return_mean", "<", -0.3, "share", 2, "alert")),
        ("loss_total > +10 %base warn", ("loss_total", ">", 0.1, "share", 1, "warn")),
        ("evaluation.success_rate < -0.10base", ("evaluation.success_rate", "<", -0.1, "amount", 1, "alert")),
        ("entropy outside 0.1base WARN", ("entropy", "outside", 0.1, "amount", 1, "warn")),
        ("showers == 0 for 3", ("showers", "=", 0.0, "", 3, "alert")),
        ("rivalry.max_max > 1", ("rivalry.max_max", ">", 1.0, "", 1, "alert")),
    ],
)
def test_a_rule_is_read(text: str, expected: tuple[Any, ...]) -> None:
    assert rule_of(text)[1:] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kl_divergance > 1", "did you mean 'kl_divergence'?"),
        ("evaluation.sucess_rate < 1", "did you mean 'evaluation.success_rate'?"),
        ("kl_divergence", "expected FIELD OP NUMBER"),
        ("kl_divergence > 1.2.3", "expected FIELD OP NUMBER"),
        ("kl_divergence > high", "expected FIELD OP NUMBER"),
        ("kl_divergence > 1 for ever", "expected FIELD OP NUMBER"),
        ("run_id = 1", "expected a field of telemetry"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        rule_of(text)
    assert said in str(error.value)


def test_an_alert_begins_once_and_clears_once() -> None:
    alerts, watched = seen(updates("grad_norm", 1, 6, 7, 8, 1, 9), "grad_norm > 5")
    assert events(alerts) == [("starts", 6), ("clears", 1), ("starts", 9)]
    (rule,) = watched.rules
    assert (rule.alerts, rule.held, rule.measured, rule.worst, rule.active) == (2, 4, 6, 9, True)
    assert watched.fired("alert") == 2
    assert watched.fired("warn") == 0


def test_a_rule_for_several_in_a_row_waits_for_them_and_a_null_is_no_answer() -> None:
    alerts, _ = seen(updates("grad_norm", 6, 1, 6, None, 6, 6), "grad_norm > 5 for 2")
    assert events(alerts) == [("starts", 6)]
    assert alerts[0].seq == 12  # of the fifth update


def test_all_rules_are_held_to_each_record() -> None:
    alerts, _ = seen(updates("kl_divergence", 0.3), "kl_divergence > 0.05 warn", "kl_divergence > 0.2 alert")
    assert [alert.severity for alert in alerts] == ["warn", "alert"]


def test_a_base_is_that_of_the_log_before_that_of_the_file() -> None:
    records = updates("entropy", 1.05, 1.3, entropy=1.0)
    assert events(seen(records, "entropy outside 20%base")[0]) == [("starts", 1.3)]
    assert events(seen(records, "entropy outside 20%base", entropy=1.3)[0]) == [("starts", 1.3)]
    assert events(seen(updates("entropy", 1.05, 1.3), "entropy outside 20%base", entropy=1.3)[0]) == []


def test_without_a_base_the_rule_says_so() -> None:
    alerts, watched = seen(updates("entropy", 1.0, 2.0), "entropy outside 20%base")
    assert alerts == []
    assert (watched.rules[0].without_base, watched.rules[0].measured) == (2, 0)


def test_a_change_of_a_negative_base_is_measured_by_its_size() -> None:
    assert events(seen(updates("return_mean", -2.2, -2.8), "return_mean < -30%base", return_mean=-2.0)[0]) == [("starts", -2.8)]


def test_a_change_from_zero_is_measured_from_the_floor() -> None:
    assert events(seen(updates("loss_total", 0.04, 0.06), "loss_total > 100%base", loss_total=0.0)[0]) == [("starts", 0.06)]


def test_the_base_of_an_evaluation_is_that_of_the_phase() -> None:
    records = [ANY_LINE.validate_json(line) for line in nav("pretrained", (48, 40, 20), None).lines]
    alerts, _ = seen(records, "evaluation.success_rate < -0.10base warn", "evaluation.success_rate < -0.30base")
    assert [(alert.severity, alert.value, alert.base) for alert in alerts] == [("warn", 40 / 64, 0.75), ("alert", 20 / 64, 0.75)]


def test_an_imported_record_brings_its_own_base() -> None:
    records = list(read_log(ROOT / SAMPLES / "v1_2.ndjson").records)
    alerts, watched = seen(records, "loss_total < -50%base", "queue_conflict_events outside 15%base", "chat_quality_mean < 0.3")
    assert events(alerts) == [("starts", 0.25 / 3)]
    assert [rule.measured for rule in watched.rules] == [2, 2, 3]


def test_a_preset_for_anneal_has_the_rules_of_its_world() -> None:
    assert set(PRESETS["town"]) < set(preset("anneal", "town"))
    assert set(preset("anneal", "nav")) == set(PRESETS["anneal"])
    with pytest.raises(UsageError, match="--preset: expected one of common, town, nav, anneal, got 'twon'"):
        preset("twon", None)


def test_the_presets_have_the_limits_of_the_guardrails() -> None:
    rules = {(rule.field, rule.severity): rule for text in preset("anneal", "town") for rule in [rule_of(text)]}
    pairs = {
        "policy_kl_burst": "kl_divergence",
        "reference_kl": "kl_to_reference",
        "grad_norm": "grad_norm",
        "entropy": "entropy",
        "loss_drift": "loss_total",
        "success_drop": "evaluation.success_rate",
        "harm_rise": "evaluation.harm_rate",
        "queue_events": "evaluation.queue_conflict_rate",
        "queue_intensity": "evaluation.queue_intensity_rate",
        "bc_accuracy": "reading.bc_accuracy",
    }
    for name, field in pairs.items():
        guardrail, rule = GUARDRAILS[name], rules[field, "alert"]
        assert (abs(rule.limit), rule.hits) == (guardrail.breach, guardrail.hits), name
        if guardrail.flag is not None:
            assert abs(rules[field, "warn"].limit) == guardrail.flag, name
        if guardrail.measure == "relative":
            assert guardrail.floor == FLOORS.get(field, FLOOR), name


def test_a_log_of_a_whole_run_has_the_alerts_of_its_burst() -> None:
    alerts, _ = seen(list(read_log(ROOT / SAMPLES / "town_anneal.ndjson").records), *preset("anneal", "town"))
    assert [(alert.event, alert.rule) for alert in alerts] == [
        ("starts", "kl_divergence > 0.05 warn"),
        ("starts", "grad_norm > 2.5 warn"),
        ("clears", "kl_divergence > 0.05 warn"),
        ("clears", "grad_norm > 2.5 warn"),
    ]


def test_nothing_of_an_alert_is_lost_as_json() -> None:
    alerts, _ = seen(updates("grad_norm", 6), "grad_norm > 5")
    assert json.loads(json.dumps(alerts[0]._asdict())) == {
        "event": "starts", "rule": "grad_norm > 5", "severity": "alert", "value": 6, "base": None, "seq": 4, "env_steps": 1024,
    }  # fmt: skip
