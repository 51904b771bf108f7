"""What the page says of a run is what its log says: phases, guardrails, alerts, a clone, numbers; and it ends at the golden state."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.goldens import same_as_golden
from tests.logged import social
from tests.view.observed import ARM, FIELDS, Event, evaluation, finding, lines, log_folder, story, update, write

from headstart.guard.guardrails import GUARDRAILS
from headstart.telemetry.follow import Unreadable, parsed
from headstart.telemetry.kinds import ANY_LINE
from headstart.telemetry.social import EVENTS
from headstart.view.observe import watch_of
from headstart.view.observe_panels import panels
from headstart.view.observe_runs import chosen
from headstart.view.observe_state import MAX_ALERTS, Seen, take
from headstart.view.observe_tables import duration, number


def after(events: list[Event], **envelope: Any) -> Seen:
    seen = Seen()
    for line in lines(events, **envelope):
        take(seen, ANY_LINE.validate_json(line, strict=True))
    return seen


def text(cell: Any) -> str:
    return cell if isinstance(cell, str) else cell["t"]


def shown(seen: Seen, panel: str) -> list[list[str]]:
    return [[text(cell) for cell in row] for row in panels(seen)[panel]["rows"]]


def column(seen: Seen, panel: str, name: str) -> dict[str, Any]:
    """First cell of a row → its cell in a column."""
    table = panels(seen)[panel]
    return {text(row[0]): row[table["head"].index(name)] for row in table["rows"]}


def until(kind: str, nth: int = 1) -> list[Event]:
    """The story up to the nth event of a kind."""
    places = [place for place, event in enumerate(story()) if event[0] == kind]
    return story()[: places[nth - 1] + 1]


def test_a_log_that_was_read_to_its_end_gives_the_golden_panels_however_it_is_read(tmp_path: Path) -> None:
    write(log_folder(tmp_path), lines(story()))
    found = []
    for speed in (None, 1e6):
        feed = watch_of(tmp_path, chosen(tmp_path, None), speed).feed("walk/tiny/seed-3")
        while feed.advance() or not feed.seen.ended:
            pass
        message = feed.message(None, {})
        message["panels"].pop("runs")  # has the time at which the test wrote the file
        found.append(message)
    assert found[0] == found[1]
    same_as_golden(json.loads(json.dumps(found[0], sort_keys=True)), "observed.json")


def test_phases_wait_run_and_end_and_a_rollback_stays_in_sight() -> None:
    assert column(after(until("run_started")), "cycles", "Outcome") == {
        "clone": {"t": "waiting", "c": ""},
        "tune": {"t": "waiting", "c": ""},
    }
    cloning = after(until("bc_epoch"))
    assert [text(cell) for cell in column(cloning, "cycles", "Progress").values()] == [
        "1 of 2 epochs (50%)", "0 of 12,000 env steps (0%)"
    ]  # fmt: skip
    tuning = after(until("update", 2))
    assert column(tuning, "cycles", "Outcome")["clone"] == {"t": "completed", "c": "ok"}
    assert column(tuning, "cycles", "Outcome")["tune"] == {"t": "running", "c": "ok"}
    assert column(tuning, "cycles", "BC weight")["tune"] == "0.4 → 0, now 0.2"
    assert text(column(tuning, "cycles", "Progress")["tune"]) == "2,000 of 12,000 env steps (17%)"
    assert column(after(until("rollback")), "cycles", "Outcome")["tune"] == {"t": "running, rolled back 1 ×", "c": "bad"}
    ended = column(after(story()), "cycles", "Outcome")["tune"]
    assert ended == {"t": "held, still open: harm_rise, rolled back 1 ×", "c": "bad"}


def test_a_guardrail_has_its_value_reference_change_limits_and_state() -> None:
    seen = after(story())
    table = panels(seen)["drift"]
    rows = {text(row[0]): dict(zip(table["head"], row, strict=True)) for row in table["rows"]}
    assert len(rows) == len(GUARDRAILS)
    harm = rows["harm_rise (harm_rate)"]
    assert [harm[name] for name in ("Value", "Reference", "Change", "Warns at", "Acts at")] == [
        "0.09", "0.01", "+0.08", "+0.05", "+0.15: freeze"
    ]  # fmt: skip
    assert harm["State"] == {"t": "warn", "c": "warn"}
    assert harm["Last values"]["spark"] == [0.01, 0.09]
    assert rows["return_drop (return_normalised)"]["Change"] == "+0.0 %"
    assert rows["entropy"]["Reference"] == "0.5"  # of the first update
    assert rows["loss_drift (loss_total)"]["Value"] == "0.2"  # the mean of the updates before the evaluation
    assert rows["bc_accuracy"]["State"] == {"t": "OK", "c": "ok"}
    assert rows["queue_events (queue_conflict_rate)"]["State"] == "not measured: the reference has no queue_conflict_rate"
    assert rows["queue_events (queue_conflict_rate)"]["Value"] == "–"


def test_a_breach_says_how_many_in_a_row_there_were() -> None:
    states = [
        column(after(until("reading", nth)), "drift", "State")["reference_kl (kl_to_reference)"] for nth in (2, 3, 4, 5, 6, 7)
    ]
    assert states == [
        {"t": "OK", "c": "ok"}, {"t": "warn", "c": "warn"}, {"t": "breach, 1 of 3 in a row", "c": "bad"},
        {"t": "breach, 2 of 3 in a row", "c": "bad"}, {"t": "breach", "c": "bad"}, {"t": "OK", "c": "ok"},
    ]  # fmt: skip


def test_alerts_are_counted_cleared_and_ordered_by_the_last() -> None:
    kl = shown(after(until("guardrail", 4)), "alerts")
    assert kl == [["acted on ×4", "reference_kl", "rollback: kl_to_reference 1.2 (limit > 1)", "2,000 env steps, 00:00:06 UTC"]]
    assert [row[1] for row in shown(after(until("rollback")), "alerts")] == ["rollback", "reference_kl"]
    ended = shown(after(story()), "alerts")
    assert [(row[0], row[1]) for row in ended] == [
        ("open", "run"), ("open", "harm_rise"), ("acted on", "rollback"), ("cleared ×4", "reference_kl")
    ]  # fmt: skip
    again = [*story()[:-2], finding("reference_kl", "hold", "again", 12000)]
    assert shown(after(again), "alerts")[0] == ["open ×5", "reference_kl", "hold: again", "12,000 env steps, 00:00:17 UTC"]


def test_what_cannot_be_checked_raises_no_alert() -> None:
    events = [*until("phase_started", 2), finding("kpi_drop", "continue", "not applicable: the reading has no kpi", 1000)]
    assert shown(after(events), "alerts") == []


def test_alerts_are_bounded() -> None:
    seen = after([*until("phase_started", 2), *(finding(f"rule_{i}", "hold", "why", i) for i in range(MAX_ALERTS + 30))])
    assert len(seen.alerts) == MAX_ALERTS
    assert shown(seen, "alerts")[0][1] == f"rule_{MAX_ALERTS + 29}"


def test_a_number_that_is_not_finite_and_a_line_that_is_no_record_are_alerts() -> None:
    seen = after([*until("phase_started", 2), ("update", {"phase": "tune", "loss_total": None, "nonfinite": ("loss_total",)})])
    take(seen, Unreadable(7, "why"))
    assert [(row[0], row[1], row[2]) for row in shown(seen, "alerts")] == [
        ("open", "log", "line 7 is no record: why"), ("open", "nonfinite", "not finite: loss_total")
    ]  # fmt: skip


def test_a_run_that_failed_says_so() -> None:
    failed = ("run_ended", {"status": "failed", "error_type": "MemoryError", "censored": True, "verdict": None})
    seen = after([*until("update"), failed])
    assert panels(seen)["run"]["rows"][0] == ["State", {"t": "failed: MemoryError", "c": "bad"}]
    assert shown(seen, "alerts")[0][2] == "the run ended failed by MemoryError"


def test_the_gauge_of_a_clone_has_its_limit_the_constant_action_and_the_weakest_frequent_action() -> None:
    low, high = (after(until("bc_epoch", nth)) for nth in (1, 2))
    row = panels(high)["cloning"]["rows"][0]
    assert row[0] == "this run, epoch 2"
    assert row[1] == {"t": "0.93, high enough", "c": "ok", "gauge": {"value": 0.93, "marks": [0.9, 0.6]}}
    assert row[2:] == ["guardrail 0.9; constant action 0.6", "use: recall 0.810 of 300 held-out steps"]
    assert panels(low)["cloning"]["rows"][0][1]["c"] == "bad"
    alone = after([("bc_epoch", {"per_behaviour": {}, "accuracy_heldout": 0.7})], arm="bc", stage="bc_train")
    assert panels(alone)["cloning"]["rows"][0][1] == {"t": "0.7", "c": "", "gauge": {"value": 0.7, "marks": [0.3]}}
    assert panels(alone)["cloning"]["rows"][0][3] == "not measured: actions are continuous"


def test_the_gauge_of_a_run_without_a_bc_phase_is_that_of_its_clone(tmp_path: Path) -> None:
    arm = ARM | {"phases": ARM["phases"][1:]}
    started = story()[0][1] | {"params": arm}
    write(log_folder(tmp_path), lines([("run_started", started), *update(1000)]))
    watch = watch_of(tmp_path, chosen(tmp_path, None), None)

    def cloning() -> Any:
        feed = watch.make_feed("walk/tiny/seed-3")
        feed.advance()
        return feed.message(None, {})["panels"]["cloning"]

    assert cloning()["none"] == "Not measured in this run: it starts from clone 555555555555 and has no bc phase."
    clone = tmp_path / "reports/walk/bc_train/telemetry/seed-3"
    clone.mkdir(parents=True)
    ended = ("run_ended", {"status": "completed", "verdict": None, "steps_to_target": None})
    write(clone, lines([*until("bc_epoch", 2)[-2:], ended], arm="bc", stage="bc_train"))
    assert cloning()["rows"][0][:3] == [
        "walk/bc/seed-3, epoch 2", {"t": "0.93, high enough", "c": "ok", "gauge": {"value": 0.93, "marks": [0.9, 0.6]}},
        "guardrail 0.9; constant action 0.6",
    ]  # fmt: skip


def test_the_time_left_follows_from_the_last_updates() -> None:
    def left(events: list[Event]) -> str:
        return {row[0]: text(row[1]) for row in panels(after(events))["run"]["rows"]}["Time left"]

    assert left(until("update")) == "not known yet"
    assert left(until("update", 2)) == "10 s at 1,000 env steps a second"  # 1,000 in 1 s, 10,000 to go
    assert left(story()) == "none: the run has ended"
    assert [duration(s) for s in (0, 89, 90, 3599, 5400, 7260)] == ["0 s", "89 s", "2 min", "60 min", "1 h 30 min", "2 h 01 min"]


def test_a_target_is_reached_or_not_and_nothing_missing_is_zero() -> None:
    def reached(events: list[Event]) -> Any:
        return {row[0]: row[1] for row in panels(after(events))["run"]["rows"]}["Target reached"]

    assert reached(until("run_started")) == "not met by the last evaluation"
    met = [*until("phase_started", 2), *evaluation(6000, target_met=True, consecutive_met=1)]
    assert reached(met) == "met by the last 1"
    assert reached(story()) == {"t": "at 6,000 env steps", "c": "ok"}
    never = [*story()[:-1], ("run_ended", story()[-1][1] | {"steps_to_target": None, "censored": True})]
    assert reached(never) == {"t": "no", "c": "warn"}
    assert number(None) == "not measured"
    assert [number(x) for x in (0, 0.0, -0.001085, 12345, 1234567.0, 3)] == ["0", "0", "−0.001085", "12,345", "1,234,567", "3"]


def test_counters_are_those_of_the_world() -> None:
    town, other = after(until("update")), after(until("update"), world="gymnasium")
    assert "showers" in column(town, "counters", "Unit")
    assert {"showers", "queue conflicts", "shifts begun on time"}.isdisjoint(column(other, "counters", "Unit"))
    assert column(town, "counters", "Last update")["showers"] == "not measured"


def test_the_world_panel_shows_what_passed_between_agents_where_the_log_has_it() -> None:
    met = social(chats=5, chat_failures=2, chat_quality_mean=0.51, late_help=3)
    shown = column(after([*until("update"), ("update", FIELDS["update"] | {"social": met})]), "counters", "Last update")
    said = {shown[EVENTS[name]] for name in ("chat_failures", "late_help")}
    assert said == {"2", "3"}
    assert (shown[EVENTS["lateness_mean"]], shown[EVENTS["shared_meals"]]) == ("not measured", "0")
    assert EVENTS["late_help"] not in column(after(until("update")), "counters", "Last update")  # an earlier log


def test_a_run_from_random_weights_watches_numbers_that_are_not_finite() -> None:
    arm = ARM | {"start": "random", "phases": ARM["phases"][1:]}
    reading = ("reading", {"phase": "tune", "env_steps": 1000, "check": "update", "values": {"nonfinite": 0.0}})
    events = [
        ("run_started", story()[0][1] | {"params": arm, "inputs": {}}),
        ("phase_started", story()[7][1] | {"phase_index": 0}),
        reading,
    ]
    seen = after(events)
    assert [row[0] for row in shown(seen, "drift")] == ["nonfinite"]
    assert panels(seen)["cloning"]["none"] == "Not measured: this run clones nothing."


def test_an_arm_of_another_version_is_said_and_the_rest_is_shown() -> None:
    seen = after([("run_started", story()[0][1] | {"params": {"start": "new"}}), *story()[7:]])
    assert shown(seen, "alerts")[-1][1] == "log"
    assert panels(seen)["cycles"]["rows"] == []
    assert shown(seen, "numbers")[0][0] == "at 12,000 env steps"


@pytest.mark.parametrize("line", lines(story()))
def test_any_record_may_be_the_only_one(line: bytes) -> None:
    seen, record = Seen(), parsed(line, 1)
    take(seen, record)
    assert panels(seen)["run"]["rows"]
