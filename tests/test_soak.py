"""What `make soak` counts as a fault, and that a cycle of each world comes to its end."""

import shutil
from pathlib import Path

import pytest
from tests.soak import growth_of, keep_logs, soak

SAMPLES = Path(__file__).parents[1] / "samples/telemetry"


def test_growth_is_of_the_last_cycle_against_the_largest_of_the_first_three() -> None:
    assert growth_of([100, 120, 110, 130, 126]) == pytest.approx(0.05)
    assert growth_of([100]) == 0


def test_a_log_with_a_gap_is_named_and_a_whole_one_is_kept_with_its_summary(tmp_path: Path) -> None:
    for seed, sample in ((1, "town_anneal"), (2, "seq_gap")):
        log = tmp_path / f"reports/walk/anneal/tiny/telemetry/seed-{seed}"
        log.mkdir(parents=True)
        shutil.copy(SAMPLES / f"{sample}.ndjson", log / "telemetry-0000.ndjson")
    problems = list(keep_logs(tmp_path, tmp_path / "kept"))
    assert [line.split(":")[0] for line in problems] == [str(tmp_path / "kept/tiny-seed-2")]
    assert "loss" in (tmp_path / "kept/tiny-seed-1.txt").read_text()
    assert "records" in (tmp_path / "kept/tiny-seed-1.alerts").read_text()


def test_a_cycle_without_logs_is_a_fault(tmp_path: Path) -> None:
    assert [line.split(": ")[1] for line in keep_logs(tmp_path, tmp_path / "kept")] == ["expected the logs of arms, found none"]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["kitchen_breakfast", "nav_gap_seeker"])
def test_a_cycle_leaves_valid_logs_of_both_arms(tmp_path: Path, scenario: str) -> None:
    (cycle,) = soak(scenario, 1, tmp_path)
    assert not cycle.problems
    assert len(list(tmp_path.glob(f"{scenario}/cycle-01/*-seed-*.txt"))) == 2
