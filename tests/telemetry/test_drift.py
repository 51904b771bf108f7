"""Drift is |value − base| > absolute + relative · |base|, for each update; what cannot be compared is named."""

import json
from pathlib import Path

import pytest
from tests.logged import ROOT, SAMPLES

from headstart.core.errors import InputError, UsageError
from headstart.telemetry.drift import Comparison, Limit, amount, compare, limit_of, medians, read_baseline
from headstart.telemetry.logs import read_log

LOG = ROOT / SAMPLES / "nav_pretrained.ndjson"  # return_mean 0.75, 0.875, 0.9375; entropy 15/16, 14/16, 13/16


def compared(baseline: dict[str, float], limits: dict[str, Limit] | None = None, usual: Limit | None = None) -> Comparison:
    return compare(read_log(LOG).records, baseline, limits or {}, usual)


def test_the_farthest_value_and_the_breaches_are_counted_by_hand() -> None:
    found = compared({"return_mean": 1.0, "entropy": 1.0}, {"entropy": Limit(0.0, 0.125)}, Limit(0.125, 0.0))
    returned, entropy = found.drifts[1], found.drifts[0]
    assert (entropy.field, returned.field) == ("entropy", "return_mean")
    assert (returned.worst, returned.worst_at, returned.delta, returned.relative) == (0.75, 1, -0.25, -0.25)
    assert (returned.last, returned.values, returned.breaches) == (0.9375, 3, 1)  # 0.875 is at the limit, not beyond it
    assert (entropy.worst, entropy.breaches) == (0.8125, 1)
    assert returned.deltas == ((1, -0.25), (2, -0.125), (3, -0.0625))
    assert found.is_beyond


def test_absolute_and_relative_limits_add_up() -> None:
    assert not compared({"return_mean": 1.0}, usual=Limit(0.125, 0.125)).is_beyond
    assert compared({"return_mean": 1.0}, usual=Limit(0.125, 0.12)).is_beyond


def test_without_a_limit_nothing_is_beyond() -> None:
    assert not compared({"return_mean": 100.0}).is_beyond


def test_a_base_of_zero_is_no_special_case() -> None:
    (drift,) = compared({"adv_mean": 0.0}, usual=Limit(0.0, 5.0)).drifts
    assert (drift.relative, drift.breaches) == (None, 0)
    (drift,) = compared({"reward_mean": 0.0}, usual=Limit(0.1, 5.0)).drifts
    assert (drift.relative, drift.breaches) == (None, 3)


def test_what_one_side_lacks_is_named() -> None:
    found = compared({"return_mean": 1.0, "showers": 3.0})
    assert found.missing_in_log == ("showers",)
    assert "loss_total" in found.missing_in_baseline
    assert not {"iteration", "wall.update_s", "env_steps", "return_mean"} & set(found.missing_in_baseline)


def test_a_log_as_the_baseline_gives_the_medians_of_its_last_five_updates() -> None:
    assert medians(read_log(LOG).records, "log")["return_mean"] == 0.875
    assert read_baseline(LOG)["entropy"] == 0.875
    assert not compare(read_log(LOG).records, read_baseline(LOG), {}, Limit(0.25, 0.0)).is_beyond


def test_a_file_of_numbers_is_a_baseline_and_of_anything_else_is_none(tmp_path: Path) -> None:
    assert read_baseline(ROOT / SAMPLES / "baseline.json")["return_mean"] == 0.875
    path = tmp_path / "base.json"
    for value in (True, "1", None, [1]):
        path.write_text(json.dumps({"entropy": value}))
        with pytest.raises(InputError, match="'entropy': expected a number, got"):
            read_baseline(path)


def test_a_log_without_updates_is_no_baseline(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(LOG.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(InputError, match="expected a log with updates as the baseline"):
        read_baseline(path)


def test_limits_are_read_as_numbers_or_percent() -> None:
    assert limit_of("entropy=0.01,5%") == ("entropy", Limit(0.01, 0.05))
    assert (amount("2%", "--rel"), amount("0.02", "--rel"), amount(" 1e-6 ", "--abs")) == (0.02, 0.02, 1e-6)
    for wrong in (
        "entropy",
        "entropy=1",
        "entropy=1,2,3",
        "entropy=a,b",
        "entropy=-1,0",
        "entropy=inf,0",
        "entropy=nan,0",
        "entorpy=1,1",
    ):
        with pytest.raises(UsageError):
            limit_of(wrong)
