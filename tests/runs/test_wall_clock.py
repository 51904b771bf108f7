"""Seconds to target, from logs whose clocks are written by hand."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.arms import arm_runs

from headstart.compare.findings import ComparisonLimits, Findings, find
from headstart.config.scenario import Target
from headstart.core.errors import InputError
from headstart.core.files import write_record
from headstart.core.provenance import utc_text
from headstart.core.run_record import Circumstances, RunRecord
from headstart.core.strict_json import canonical_json
from headstart.runs.wall_clock import evaluation_seconds, wall_clock
from headstart.telemetry.kinds import KINDS, AnyLine, Envelope

FIELDS = json.loads((Path(__file__).parents[1] / "golden" / "telemetry_fields.json").read_text())
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TARGET = Target(name="reliable", success_rate=0.9)
Event = tuple[str, int, float, float]  # kind, env steps, seconds after noon at which the log was opened, seconds since then


def lines(events: Sequence[Event], **changes: Any) -> tuple[AnyLine, ...]:
    envelope = Envelope(run_id="run-1", arm="scratch", world="town", scenario="walk", seed=0, stage="baseline")
    found = []
    for seq, (kind, env_steps, opened, elapsed) in enumerate(events, start=1):
        time = utc_text(NOON + timedelta(seconds=opened + elapsed))
        wall = {"time_utc": time, "elapsed_s": elapsed, "update_s": None, "env_steps_per_s": None, "rss_mib": None}
        given = {**FIELDS[kind], **(changes if kind == "evaluation" else {}), "env_steps": env_steps}
        given = {name: value for name, value in given.items() if name in KINDS[kind].model_fields}
        place = {"phase": None, "seq": seq, "nonfinite": (), "wall": wall, **dict(envelope)}
        found.append(KINDS[kind].model_validate(place | given))
    return tuple(found)


def write_log(folder: Path, events: Sequence[Event]) -> None:
    folder.mkdir(parents=True)
    text = b"".join(canonical_json(line.model_dump(mode="json")) + b"\n" for line in lines(events, policy_mode="sampled"))
    (folder / "telemetry-0000.ndjson").write_bytes(text)


# --- one log ----------------------------------------------------------------------------------------------------------


def test_the_clock_of_a_run_starts_with_its_log_and_before_any_step_it_is_0() -> None:
    log = lines([("evaluation", 0, 0, 2.0), ("update", 50, 0, 2.5), ("evaluation", 100, 0, 3.5)], policy_mode="sampled")

    assert evaluation_seconds(log, "sampled") == ({0: 0.0, 100: 3.5}, False)
    assert evaluation_seconds(log, "deterministic") == ({0: 0.0}, False)


def test_the_time_between_an_interruption_and_the_resumption_does_not_count() -> None:
    log = lines(
        [("evaluation", 100, 0, 3.5), ("update", 150, 0, 4.0), ("update", 200, 3600, 5.0), ("evaluation", 300, 3600, 7.0)],
        policy_mode="sampled",
    )

    # The second process has been longer at work in its first line than the first one in its last: only the clock on the wall tells.
    assert evaluation_seconds(log, "sampled") == ({0: 0.0, 100: 3.5, 300: 4.0 + 7.0}, True)


def test_lines_of_the_first_milliseconds_are_no_resumption() -> None:
    log = lines([("update", 10, 0.0009, 0.0), ("evaluation", 100, 0.0009, 0.0012)], policy_mode="sampled")

    assert evaluation_seconds(log, "sampled") == ({0: 0.0, 100: pytest.approx(0.0012)}, False)


# --- two arms ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Findings]:
    """Writes a log for every run that is evaluated every 100 steps: 1 s for the candidate's each, 2 s + 0.1 s · seed for scratch's."""

    def make(candidate: Sequence[int | None], scratch: Sequence[int | None]) -> Findings:
        arms = {"anneal": arm_runs("pretrained", candidate, points=6), "baseline": arm_runs("scratch", scratch, points=6)}
        for stage, arm in arms.items():
            for run in arm.runs:
                slow = 1.0 if stage == "anneal" else 2.0 + 0.1 * run.seed
                events = [("evaluation", point.env_steps, 0.0, slow * i) for i, point in enumerate(run.curve)]
                write_log(tmp_path / "reports/walk" / stage / arm.arm / f"telemetry/seed-{run.seed}", events)
        return find(arms["anneal"], [arms["baseline"]], None, TARGET, ComparisonLimits(resamples=20))

    return make


def test_the_candidate_is_counted_at_the_evaluation_that_meets_the_target_and_the_baseline_at_the_one_before(
    tmp_path: Path, project: Callable[..., Findings]
) -> None:
    found = wall_clock(tmp_path, project([0, 1, None], [3, 4, None]))

    assert found is not None
    assert found.seconds.candidate.tolist() == [0, 1, np.inf]
    assert found.seconds.scratch == pytest.approx([2 * 2.0, 3 * 2.1, np.inf])
    assert found.seconds.watched == pytest.approx([2 * 2.0, 3 * 2.1, 5 * 2.2])
    assert (found.interrupted, found.machines) == (0, 0)


def test_a_run_without_a_log_and_a_baseline_by_itself_give_no_clock(tmp_path: Path, project: Callable[..., Findings]) -> None:
    found = project([1, 1], [3, 4])
    alone = found.model_copy(update={"grid": ()})
    log = tmp_path / "reports/walk/baseline/scratch/telemetry/seed-1"
    log.rename(tmp_path / "elsewhere")

    assert wall_clock(tmp_path, found) is None
    assert wall_clock(tmp_path, alone) is None


def test_a_log_of_other_evaluations_is_refused(tmp_path: Path, project: Callable[..., Findings]) -> None:
    found = project([1, 1], [3, 4])
    log = tmp_path / "reports/walk/anneal/pretrained/telemetry/seed-1"
    log.rename(tmp_path / "elsewhere")
    write_log(log, [("evaluation", 0, 0, 0), ("evaluation", 70, 0, 1)])

    with pytest.raises(InputError, match=r"pretrained/telemetry/seed-1: expected evaluations at \[100\] env steps, found none"):
        wall_clock(tmp_path, found)


@pytest.mark.parametrize(("hosts", "machines"), [(("a", "a"), 1), (("a", "b"), 2)])
def test_the_machines_of_both_arms_are_counted(
    tmp_path: Path, project: Callable[..., Findings], hosts: tuple[str, str], machines: int
) -> None:
    found = project([1, 1], [3, 4])
    for folder, host in zip(("anneal/pretrained", "baseline/scratch"), hosts, strict=True):
        where = Circumstances(
            started_at="2026-01-01T12:00:00Z", seconds=1, host=host, cpus=2, versions={}, git_revision=None, git_dirty=None
        )
        empty: dict[str, Any] = {"inputs": {}, "parameters": {}, "seeds": (), "metrics": {}, "outputs": {}, "diagnostics": ()}
        what = {"stage": folder.split("/")[0], "arm": folder.split("/")[1], "status": "completed", "code_sha256": "a" * 64}
        write_record(
            tmp_path / "reports/walk" / folder / "run.json",
            RunRecord(run_id="r", scenario="walk", circumstances=where, **what, **empty),
        )

    clock = wall_clock(tmp_path, found)

    assert clock is not None
    assert clock.machines == machines
