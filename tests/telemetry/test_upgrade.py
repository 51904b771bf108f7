"""Logs of the versions 1.0 to 1.2 in today's names: what they must have, what may be missing, and what becomes of each value."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from tests.logged import ROOT, SAMPLES, bc_stage, version_1, with_health

from headstart.core.errors import IntegrityError
from headstart.telemetry.check import check, exit_code
from headstart.telemetry.imported import ImportedRun, ImportedUpdate
from headstart.telemetry.logs import Log, read_log
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.upgrade import ANNEAL, BASIC, LATER


def log_of(path: Path, *records: Any, assumed: str | None = None) -> Log:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_log(path, assumed)


def problems(log: Log) -> list[tuple[str, str]]:
    return [(problem.level, problem.field) for problem in log.problems]


def test_a_record_of_1_2_has_each_value_under_todays_name(tmp_path: Path) -> None:
    record = with_health(version_1(3, "1.2")) | {"baseline_sample_count": 24.0, "baseline_reward_mean": 0.5}
    log = log_of(tmp_path / "log.ndjson", record)

    run, update = log.records
    assert isinstance(run, ImportedRun)
    assert (run.run_type, run.upgraded_from, run.updates, run.arm, run.scenario, run.env_steps) == (
        "imported", ("1.2",), 1, "none", None, None,
    )  # fmt: skip
    assert run.run_id == f"v1-{run.source_sha256[:12]}"
    assert isinstance(update, ImportedUpdate)
    assert (update.iteration, update.transitions_total, update.learning_rate, update.wall.update_s) == (3, 384, 0.0003, 0.5)
    assert (update.entropy, update.entropy_std, update.kl_estimator) == (1.5, 0.0625, "k1")
    assert update.rivalry is not None
    assert update.rivalry.max_mean == 0.25
    assert update.baseline is not None
    assert (update.baseline.sample_count, update.baseline.reward_mean, update.baseline.reward_sum) == (24, 0.5, None)
    assert update.anneal is not None
    assert (update.anneal.stage, update.anneal.bc_passed, update.anneal.loss_flag, update.anneal.queue_baseline) == (
        "ppo", True, True, 32.0,
    )  # fmt: skip
    assert problems(log) == []


def test_counts_that_were_written_as_floats_are_integers(tmp_path: Path) -> None:
    update = log_of(tmp_path / "log.ndjson", version_1(1, "1.1")).records[1].model_dump(mode="json")
    for name in (
        "iteration",
        "updates",
        "transitions",
        "cycle_id",
        "rollout_ticks",
        "queue_conflict_events",
        "shared_meal_events",
    ):
        assert type(update[name]) is int, name
    log = log_of(tmp_path / "log.ndjson", version_1(1, "1.1") | {"updates": 1.5})
    assert problems(log) == [("invalid", "updates")]
    assert "expected a whole number, got 1.5" in log.problems[0].text


@pytest.mark.parametrize("stated", [1, 1.0, "1", "1.0"])
def test_a_version_is_compared_as_text(tmp_path: Path, stated: object) -> None:
    log = log_of(tmp_path / "log.ndjson", version_1(1, None) | {"telemetry_version": stated})
    assert problems(log) == []


@pytest.mark.parametrize("stated", ["1.10", "1.3", 2, None, True, [1]])
def test_another_version_is_refused(tmp_path: Path, stated: object) -> None:
    log = log_of(tmp_path / "log.ndjson", version_1(1, None) | {"telemetry_version": stated})
    assert problems(log) == [("invalid", "telemetry_version")]


@pytest.mark.parametrize(("version", "name"), [("1.0", name) for name in BASIC] + [("1.2", name) for name in LATER])
def test_a_field_that_a_version_requires_is_missed(tmp_path: Path, version: str, name: str) -> None:
    record = version_1(1, version)
    del record[name]
    assert problems(log_of(tmp_path / "log.ndjson", record)) == [("invalid", name)]


def test_without_a_version_only_the_divergence_may_be_missing(tmp_path: Path) -> None:
    record = version_1(1, None)
    del record["kl_divergence"]
    log = log_of(tmp_path / "log.ndjson", record, assumed="1.0")
    assert problems(log) == []
    assert isinstance(log.records[1], ImportedUpdate)
    assert log.records[1].kl_divergence is None
    del record["lr"]
    assert problems(log_of(tmp_path / "log.ndjson", record, assumed="1.0")) == [("invalid", "lr")]


@pytest.mark.parametrize("name", ["rollout_ticks", "shared_meal_events", "anneal_cycle"])
def test_a_field_of_a_later_version_is_an_error(tmp_path: Path, name: str) -> None:
    log = log_of(tmp_path / "log.ndjson", version_1(1, "1.0") | {name: 1.0})
    assert problems(log) == [("invalid", name)]


@pytest.mark.parametrize("name", ANNEAL)
def test_a_part_of_the_anneal_fields_is_an_error_that_names_the_missing(tmp_path: Path, name: str) -> None:
    record = version_1(1, "1.2")
    del record[name]
    log = log_of(tmp_path / "log.ndjson", record)
    assert problems(log) == [("invalid", "anneal_*")]
    assert f"11; without {name}" in log.problems[0].text
    whole = {key: value for key, value in version_1(1, "1.2").items() if not key.startswith("anneal_")}
    assert problems(log_of(tmp_path / "log.ndjson", whole)) == []
    assert problems(log_of(tmp_path / "log.ndjson", bc_stage(version_1(1, "1.2")))) == []


def test_two_entropies_that_differ_are_a_warning_and_the_later_field_counts(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log.ndjson", version_1(1, "1.1") | {"loss_entropy": 1.25})
    assert problems(log) == [("warning", "loss_entropy")]
    assert isinstance(log.records[1], ImportedUpdate)
    assert log.records[1].entropy == 1.5


def test_what_is_not_finite_is_null_and_named(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log.ndjson", version_1(1, "1.0") | {"lr": math.nan, "loss_entropy": math.inf})
    update = log.records[1]
    assert isinstance(update, ImportedUpdate)
    assert (update.nonfinite, update.learning_rate, update.entropy) == (("entropy", "learning_rate"), None, None)


def test_a_field_that_no_version_names_is_kept_with_a_warning(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log.ndjson", version_1(1, "1.1") | {"mood": {"town": [1.0, math.inf]}})
    assert problems(log) == [("warning", "mood")]
    assert isinstance(log.records[1], ImportedUpdate)
    assert log.records[1].other == {"mood": {"town": [1.0, "inf"]}}


def test_an_array_is_read_as_its_records() -> None:
    lines, array = read_log(ROOT / SAMPLES / "v1_2.ndjson"), read_log(ROOT / SAMPLES / "v1_2_array.json")
    assert [one.model_dump(exclude={"run_id"}) for one in lines.records[1:]] == [
        one.model_dump(exclude={"run_id"}) for one in array.records[1:]
    ]


@pytest.mark.parametrize("items", ["[1]", "[null]", "[[]]", "[]", "[{}]"])
def test_an_array_of_anything_else_has_no_record(tmp_path: Path, items: str) -> None:
    path = tmp_path / "log.json"
    path.write_text(items)
    log = read_log(path)
    assert log.records == ()
    assert exit_code(check(log)) == 3


def test_an_imported_log_is_none_to_the_code_that_decides(tmp_path: Path) -> None:
    """What judges and promotes runs reads logs by `read_telemetry`."""
    (tmp_path / "telemetry-0000.ndjson").write_bytes((ROOT / SAMPLES / "v1_2.upgraded.ndjson").read_bytes())
    assert exit_code(check(read_log(tmp_path))) == 0
    with pytest.raises(IntegrityError, match=r"line 1: .*field run_started\.schema_id: Input should be 'telemetry/3'"):
        read_telemetry(tmp_path)


def test_a_rotated_log_is_read_in_the_order_of_its_epochs(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    for names in (("", ".1", ".2"), (".2", ".1", "")):  # either way has been used
        for number, name in enumerate(names):
            lines = [json.dumps(version_1(2 * number + epoch, "1.1")) + "\n" for epoch in (1, 2)]
            Path(f"{path}{name}").write_text("".join(lines))
        log = read_log(path)
        assert [one.iteration for one in log.records[1:] if isinstance(one, ImportedUpdate)] == [1, 2, 3, 4, 5, 6]
        assert [str(file) for file in log.files] == [f"{path}{name}" for name in names]
