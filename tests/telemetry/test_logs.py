"""Any log is read as far as it goes: cut anywhere, in parts, of any version; what is wrong with it is said beside what was read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.logged import ROOT, SAMPLES, version_1

from headstart.core.errors import InputError, IntegrityError
from headstart.telemetry.check import check, exit_code
from headstart.telemetry.imported import ImportedUpdate
from headstart.telemetry.logs import read_log, sound_log
from headstart.telemetry.reader import read_telemetry
from headstart.telemetry.writer import INDEX

WriteRun = Callable[..., None]
SEGMENT = "telemetry-0000.ndjson"


def sample(name: str) -> bytes:
    return (ROOT / SAMPLES / name).read_bytes()


@pytest.mark.parametrize("name", ["hostile_strings.ndjson", "v1_0.ndjson", "v1_1.upgraded.ndjson"])
def test_a_log_that_is_cut_at_any_byte_gives_its_complete_records_and_the_size_of_the_rest(name: str, tmp_path: Path) -> None:
    data, path = sample(name), tmp_path / name
    whole = read_log(ROOT / SAMPLES / name).records
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    made_up = name.startswith("v1_0")  # the record that the upgrade puts before the others
    near = {end + shift for end in (0, *ends) for shift in (-2, -1, 0, 1, 2)}
    offsets = near | set(range(0, len(data), 11)) if len(data) > 1000 else set(range(len(data)))

    for offset in sorted(offsets & set(range(1, len(data)))):
        path.write_bytes(data[:offset])
        if made_up and offset < ends[0] - 1:
            continue  # nothing says yet which format this is
        log = read_log(path)
        complete = sum(end <= offset for end in ends)
        if made_up:  # such a file may end without a newline
            complete += any(end - 1 == offset for end in ends)
        shown = [record.model_dump(exclude={"run_id", "source_sha256", "updates"}) for record in log.records]
        expected = [record.model_dump(exclude={"run_id", "source_sha256", "updates"}) for record in whole[: complete + made_up]]
        assert shown[made_up:] == expected[made_up:], offset
        assert log.torn_bytes == (
            0 if made_up and offset + 1 in ends else offset - max([0, *(end for end in ends if end <= offset)])
        )
        assert all(problem.level == "warning" for problem in log.problems)


def test_a_folder_a_run_above_it_and_its_file_are_one_log(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path / "telemetry")
    logs = [read_log(path).records for path in (tmp_path / "telemetry", tmp_path, tmp_path / "telemetry" / SEGMENT)]
    assert logs[0] == logs[1] == logs[2] == read_telemetry(tmp_path / "telemetry")


def test_a_folder_of_several_logs_names_them(tmp_path: Path, write_run: WriteRun) -> None:
    for seed in (1, 2, 3, 4):
        write_run(tmp_path / f"seed-{seed}")
    with pytest.raises(InputError, match=r"expected a log, .* there are logs in .*seed-1, .*seed-2, .*seed-3 and 1 more"):
        read_log(tmp_path)


def test_segments_are_one_log_and_an_edited_one_is_named(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path, max_bytes=3_000)
    assert read_log(tmp_path).records == read_telemetry(tmp_path)
    assert len(read_log(tmp_path).files) > 2

    path = tmp_path / SEGMENT
    path.write_text(path.read_text().replace('"device":"cpu"', '"device":"gpu"'))
    (problem,) = read_log(tmp_path).problems
    assert (problem.level, Path(problem.file).name) == ("integrity", SEGMENT)
    assert "of index.json, got " in problem.text
    with pytest.raises(IntegrityError, match=r"validate .* lists all"):
        sound_log(tmp_path)
    (tmp_path / INDEX).unlink()
    assert read_log(tmp_path).problems == ()


def test_every_bad_line_is_named_with_its_field(tmp_path: Path, write_run: WriteRun) -> None:
    write_run(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / SEGMENT).read_text().splitlines()]
    lines[3]["loss_value"] = "high"
    del lines[3]["bc_weight"]
    lines[4]["kind"] = "minibatsch"
    lines[6]["surprise"] = 1
    text = [json.dumps(line) for line in lines]
    text[8] = text[8][:40]
    (tmp_path / SEGMENT).write_text("\n".join(text) + "\n")

    found = [(one.line, one.level, one.field) for one in read_log(tmp_path).problems]

    assert found == [
        (4, "invalid", "loss_value"),
        (4, "invalid", "bc_weight"),
        (5, "invalid", "kind"),
        (7, "warning", "surprise"),
        (9, "integrity", ""),
    ]
    said = "\n".join(one.text for one in read_log(tmp_path).problems)
    assert "line 4, seq 4: loss_value: expected a valid number, got 'high'" in said
    assert "bc_weight: expected this field, got none" in said


def test_an_unknown_field_is_a_warning_and_strictly_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    lines = sample("nav_pretrained.ndjson").splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"world"', b'"surprise":1,"world"')
    path.write_bytes(b"".join(lines))
    log = read_log(path)
    assert len(log.records) == len(lines)
    assert (exit_code(check(log)), exit_code(check(log, strict=True))) == (0, 3)


def test_a_log_without_a_complete_record_is_invalid(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_bytes(b"")
    log = read_log(path)
    assert exit_code(check(log)) == 3
    with pytest.raises(InputError, match="expected a log with a record, got none"):
        sound_log(path)


def test_a_first_line_without_a_version_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(json.dumps(version_1(1, None)) + "\n")
    (problem,) = read_log(path).problems
    assert "--assume-version 1.0 for a log from before there was one" in problem.text
    log = sound_log(path, "1.0")
    assert isinstance(log.records[1], ImportedUpdate)
    with pytest.raises(InputError, match=r"--assume-version: expected one of 1, 1\.0, 1\.1, 1\.2, got '2'"):
        read_log(path, "2")
