"""What a run logs is complete lines with fixed keys, on disk in time; what is no record is refused."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import InputError, IntegrityError
from headstart.telemetry import writer as telemetry
from headstart.telemetry.kinds import KINDS, Envelope, Update
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import INDEX, TelemetryWriter

WriteRun = Callable[..., None]
RequireSchema = Callable[[bytes | str, str], None]
SEGMENT = "telemetry-0000.ndjson"
GOLDEN = Path(__file__).parents[1] / "golden" / "telemetry_fields.json"
FIELDS: dict[str, dict[str, Any]] = json.loads(GOLDEN.read_text())  # by kind, without nullable ones


def update(**changes: Any) -> dict[str, Any]:
    return FIELDS["update"] | changes


def lines_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(directory.glob("*.ndjson")) for line in path.read_text().splitlines()]


def test_every_kind_comes_back_as_it_was_written(tmp_path: Path, require_schema: RequireSchema, write_run: WriteRun) -> None:
    write_run(tmp_path)

    log = read_telemetry(tmp_path)

    assert [record.kind for record in log] == list(KINDS)
    assert [record.seq for record in log] == list(range(1, len(KINDS) + 1))
    assert [record.env_steps for record in log] == list(range(0, 10 * len(KINDS), 10))
    assert [record.model_dump(mode="json") for record in log] == lines_of(tmp_path)
    for line in (tmp_path / SEGMENT).read_text().splitlines():
        require_schema(line, "telemetry/3")


def test_a_line_is_sorted_and_compact_with_every_key_of_its_kind(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path)

    for line in (tmp_path / SEGMENT).read_text().splitlines():
        value = json.loads(line)
        assert line == json.dumps(value, sort_keys=True, separators=(",", ":"))
        fields = KINDS[value["kind"]].model_fields
        assert value.keys() == {name for name, field in fields.items() if not field.exclude_if}
    assert lines_of(tmp_path)[3]["rivalry"] is None


def test_records_belong_to_the_phase_between_its_start_and_end(tmp_path: Path, envelope: Envelope) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        for kind in ("evaluation", "phase_started", "evaluation", "phase_ended", "evaluation"):
            writer.write(kind, **FIELDS[kind])

    assert [line["phase"] for line in lines_of(tmp_path)] == [None, "blend", "blend", "blend", None]


def test_env_steps_stay_where_they_were_unless_told(tmp_path: Path, envelope: Envelope) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        writer.write("evaluation", env_steps=50, **FIELDS["evaluation"])
        writer.write("evaluation", **FIELDS["evaluation"])

    assert [line["env_steps"] for line in lines_of(tmp_path)] == [50, 50]


def test_a_number_that_is_not_finite_is_null_and_named(tmp_path: Path, envelope: Envelope) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        writer.write(
            "update",
            **update(
                loss_policy=math.nan,
                grad_norm=np.float32(np.inf),
                return_mean=-math.inf,
                need_mean={"hunger": math.nan, "hygiene": 1.0, "energy": None},
            ),
        )

    (record,) = read_telemetry(tmp_path)
    assert isinstance(record, Update)
    assert record.nonfinite == ("grad_norm", "loss_policy", "need_mean.hunger", "return_mean")
    assert record.loss_policy is None
    assert record.need_mean is not None
    assert (record.need_mean["hunger"], record.need_mean["hygiene"]) == (None, 1.0)


def test_numpy_scalars_are_numbers(tmp_path: Path, envelope: Envelope) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        writer.write("update", **update(loss_policy=np.float32(0.25), transitions=np.int64(7), reward_mean=np.float64(0.5)))

    line = lines_of(tmp_path)[0]
    assert (line["loss_policy"], line["transitions"], line["reward_mean"]) == (0.25, 7, 0.5)


def test_the_run_ended_counts_its_records(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path)

    assert lines_of(tmp_path)[-1]["records_written"] == len(KINDS)


@pytest.mark.parametrize(
    ("kind", "fields", "problem"),
    [
        ("upgrade", {}, "expected a kind among"),
        ("update", update(loss_entropy=1.0), "field loss_entropy: .*not permitted, got 1.0"),
        (
            "update",
            {key: value for key, value in update().items() if key != "learning_rate"},
            "field learning_rate: Field required, got nothing",
        ),
        ("update", update(learning_rate=None), "learning_rate is null, but not listed in nonfinite"),
        ("update", update(transitions=1.5), "field transitions: .*integer"),
        ("update", update(clip_fraction=1.5), "field clip_fraction: .*less than or equal to 1"),
        ("update", update(seq=9), "set by the writer"),
        ("update", update(update_s="fast"), "field update_s: .*number, got 'fast'"),
        ("guardrail", FIELDS["guardrail"] | {"reason": "x" * 201}, "field reason"),
        ("guardrail", FIELDS["guardrail"] | {"threshold": math.nan}, "field threshold"),
    ],
)
def test_a_record_that_is_not_of_its_kind_is_refused(
    tmp_path: Path, envelope: Envelope, kind: str, fields: dict[str, Any], problem: str
) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        with pytest.raises(InputError, match=problem):
            writer.write(kind, **fields)
        writer.write("update", **update())

    assert [line["seq"] for line in lines_of(tmp_path)] == [1]


def test_nothing_follows_the_end_of_a_run(tmp_path: Path, envelope: Envelope) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        writer.write("run_ended", **FIELDS["run_ended"])
        with pytest.raises(InputError, match="expected nothing after run_ended, got update"):
            writer.write("update", **update())


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError, "failed"), (KeyboardInterrupt, "partial")])
def test_a_run_that_breaks_says_so_in_its_last_line(
    tmp_path: Path, error: type[BaseException], status: str, envelope: Envelope
) -> None:
    with pytest.raises(error), TelemetryWriter(tmp_path, envelope) as writer:
        writer.write("update", env_steps=64, **update())
        raise error

    last = lines_of(tmp_path)[-1]
    assert (last["kind"], last["status"], last["error_type"], last["env_steps"]) == ("run_ended", status, error.__name__, 64)


def test_a_second_run_does_not_write_over_the_first(tmp_path: Path, envelope: Envelope, write_run: WriteRun) -> None:
    write_run(tmp_path)

    with pytest.raises(InputError, match="expected no telemetry of another run"):
        TelemetryWriter(tmp_path, envelope)


def test_segments_are_closed_with_their_hash_and_read_as_one_log(
    tmp_path: Path, require_schema: RequireSchema, write_run: WriteRun
) -> None:
    write_run(tmp_path, max_bytes=3_000)

    paths = sorted(tmp_path.glob("*.ndjson"))
    closed = json.loads((tmp_path / INDEX).read_text())["segments"]
    assert [path.name for path in paths] == [f"telemetry-{n:04d}.ndjson" for n in range(len(paths))]
    assert [segment["name"] for segment in closed] == [path.name for path in paths[:-1]]
    assert [segment["records"] for segment in closed] == [len(path.read_text().splitlines()) for path in paths[:-1]]
    assert [record.seq for record in read_telemetry(tmp_path)] == list(range(1, len(KINDS) + 1))
    require_schema((tmp_path / INDEX).read_bytes(), "telemetry-index/1")


def test_a_segment_is_closed_before_it_outgrows_its_bytes(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, max_bytes=5_000)

    sizes = [path.stat().st_size for path in tmp_path.glob("*.ndjson")]
    assert len(sizes) > 1
    assert max(sizes) <= 5_000
    assert len(read_telemetry(tmp_path)) == len(KINDS)


def test_an_important_record_is_on_disk_at_once_and_an_update_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)

    def size() -> int:
        return (tmp_path / SEGMENT).stat().st_size

    with TelemetryWriter(tmp_path, envelope) as writer:
        synced.clear()  # of the folder, for the name of the segment
        writer.write("update", **update())
        after_update = size()
        writer.write("evaluation", **FIELDS["evaluation"])
        after_evaluation = size()
        synced_before = len(synced)
        writer.write("guardrail", **FIELDS["guardrail"])
        synced_after = len(synced)
        writer._flushed -= 2 * telemetry.FLUSH_S
        before_late = size()
        writer.write("update", **update())
        after_late = size()

    assert after_update == 0 < after_evaluation
    assert (synced_before, synced_after) == (0, 1)
    assert after_late > before_late


def test_a_full_disk_stops_the_run_with_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with TelemetryWriter(tmp_path, envelope) as writer, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(IntegrityError, match="the log cannot be written: No space left on device"):
            writer.write("guardrail", **FIELDS["guardrail"])


@pytest.mark.parametrize(("error", "expected"), [(ZeroDivisionError("own"), ZeroDivisionError), (None, IntegrityError)])
def test_a_disk_that_is_full_at_the_end_hides_no_earlier_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, envelope: Envelope, error: Exception | None, expected: type[Exception]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(expected), TelemetryWriter(tmp_path, envelope):
        monkeypatch.setattr(os, "fsync", full)
        if error:
            raise error


def test_a_disk_that_is_full_at_the_beginning_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, envelope: Envelope
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(IntegrityError, match="the log cannot be written: No space left on device"):
        TelemetryWriter(tmp_path / "new", envelope)


def test_an_update_costs_less_than_a_millisecond(tmp_path: Path, envelope: Envelope) -> None:
    with TelemetryWriter(tmp_path, envelope) as writer:
        writer.write("update", **update())
        costs = []
        for _ in range(200):
            began = time.process_time()
            writer.write("update", **update())
            costs.append(time.process_time() - began)

    assert np.median(costs) < 1e-3


def resumed(directory: Path, envelope: Envelope, keep: int) -> None:
    with TelemetryWriter(directory, envelope, max_bytes=2_000, keep=keep) as writer:
        for step in range(keep, 40):
            writer.write("evaluation", env_steps=step, **FIELDS["evaluation"])


@pytest.mark.parametrize("keep", range(1, 40, 3))
def test_a_log_of_several_segments_goes_on_after_any_record(tmp_path: Path, envelope: Envelope, keep: int) -> None:
    resumed(tmp_path, envelope, 0)
    before = [record.model_dump(exclude={"wall"}) for record in read_telemetry(tmp_path)]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) > 4

    resumed(tmp_path, envelope, keep)

    assert [record.model_dump(exclude={"wall"}) for record in read_telemetry(tmp_path)] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_log_goes_on_that_was_killed_between_closing_a_segment_and_beginning_the_next(
    tmp_path: Path, envelope: Envelope
) -> None:
    resumed(tmp_path, envelope, 0)
    closed = json.loads((tmp_path / INDEX).read_text())["segments"]
    keep = sum(segment["records"] for segment in closed)
    sorted(tmp_path.glob("*.ndjson"))[-1].unlink()

    resumed(tmp_path, envelope, keep)

    assert [record.seq for record in read_telemetry(tmp_path)] == list(range(1, 41))


def test_a_log_that_is_being_cut_is_whole_at_every_moment(
    tmp_path: Path, envelope: Envelope, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed(tmp_path, envelope, 0)
    wanted = [record.seq for record in read_telemetry(tmp_path)][:25]
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    for _ in range(3):  # the index, then the segment: each time a little further
        with pytest.raises(KeyboardInterrupt):
            TelemetryWriter(tmp_path, envelope, max_bytes=2_000, keep=25)
        lines = [line for path in sorted(tmp_path.glob("*.ndjson")) for line in path.read_bytes().splitlines()]
        assert [json.loads(line)["seq"] for line in lines][:25] == wanted
    monkeypatch.setattr(os, "replace", replace)
    resumed(tmp_path, envelope, 25)
    assert [record.seq for record in read_telemetry(tmp_path)] == list(range(1, 41))
