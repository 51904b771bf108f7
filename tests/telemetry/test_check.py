"""A log in which one thing is wrong is told by that thing, with its line, and by nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.logged import ROOT, SAMPLES

from headstart.telemetry.check import check, exit_code
from headstart.telemetry.logs import read_log

Lines = list[dict[str, Any]]


def anneal() -> Lines:
    return [json.loads(line) for line in (ROOT / SAMPLES / "town_anneal.ndjson").read_text().splitlines()]


def problems(path: Path, lines: Lines, strict: bool = False) -> list[tuple[str, str]]:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = check(read_log(path), strict)
    return [(problem.level, problem.field) for problem in found]


def at(lines: Lines, kind: str, number: int = 0) -> dict[str, Any]:
    return [line for line in lines if line["kind"] == kind][number]


def numbered(lines: Lines) -> Lines:
    for seq, line in enumerate(lines, start=1):
        line["seq"] = seq
        if line["kind"] == "run_ended":
            line["records_written"] = seq
    return lines


def without(kind: str, number: int = 0) -> Callable[[Lines], Lines]:
    return lambda lines: numbered([line for line in lines if line is not at(lines, kind, number)])


def changed(kind: str, number: int = 0, **fields: Any) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        at(lines, kind, number).update(fields)
        return lines

    return change


FAULTS: dict[str, tuple[Callable[[Lines], Lines], list[tuple[str, str]]]] = {
    "nothing": (lambda lines: lines, []),
    "no beginning": (without("run_started"), [("invalid", "kind")]),
    "a second beginning": (lambda lines: numbered([lines[0], *json.loads(json.dumps(lines))]), [("invalid", "kind")]),
    "a gap": (lambda lines: lines[:20] + lines[21:], [("integrity", "seq")]),
    "a repeat": (lambda lines: lines[:20] + lines[19:], [("integrity", "seq")]),
    "steps that fall": (changed("evaluation", 1, env_steps=5), [("invalid", "env_steps"), ("invalid", "steps_to_target")]),
    "a phase that was not announced": (without("phase_started", 1), [("invalid", "phase")]),
    "a phase of no schedule": (changed("phase_started", 1, phase_index=2), [("invalid", "phase_index")]),
    "a rollback to nowhere": (changed("rollback", to_checkpoint_id="lost"), [("invalid", "to_checkpoint_id")]),
    "a rollback to another state": (
        changed("rollback", to_state_sha256="1" * 64, restored_state_sha256="1" * 64),
        [("integrity", "to_state_sha256")],
    ),
    "a rollback that is not exact": (
        changed("rollback", restored_state_sha256="1" * 64),
        [("integrity", "restored_state_sha256")],
    ),
    "a breach without a decision": (changed("guardrail", decision="continue"), [("invalid", "decision")]),
    "an update twice": (changed("update", 3, iteration=3), [("invalid", "iteration")]),
    "a target that was not met": (changed("evaluation", 1, target_met=False), [("invalid", "steps_to_target")]),
    "a target that was met and censored": (changed("run_ended", censored=True), [("invalid", "censored")]),
    "records that are missing": (changed("run_ended", records_written=99), [("integrity", "records_written")]),
    "more after the end": (lambda lines: [*lines, lines[-2] | {"seq": len(lines) + 1}], [("invalid", "kind")]),
    "no end": (lambda lines: lines[:-1], [("warning", "")]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(fault: str, tmp_path: Path) -> None:
    plant, expected = FAULTS[fault]
    found = problems(tmp_path / "log.ndjson", plant(anneal()))
    assert sorted(set(found)) == sorted(set(expected)), found
    assert found[:1] == expected[:1]


def test_the_exit_code_is_that_of_the_worst(tmp_path: Path) -> None:
    path, lines = tmp_path / "log.ndjson", anneal()
    at(lines, "guardrail")["decision"] = "continue"
    problems(path, lines)
    assert exit_code(check(read_log(path))) == 3
    problems(path, lines[:20] + lines[21:])
    assert exit_code(check(read_log(path))) == 4


def test_the_log_of_a_clone_has_no_header(tmp_path: Path) -> None:
    lines = [line for line in anneal() if line["kind"] == "bc_epoch"]
    for line in lines:
        line |= {"stage": "bc_train", "phase": None}
    end = anneal()[-1] | {"stage": "bc_train", "phase": None, "steps_to_target": None, "env_steps": 0, "verdict": None}
    assert problems(tmp_path / "log.ndjson", numbered([*lines, end])) == []


def test_a_segment_that_is_not_the_first_is_checked_by_itself(tmp_path: Path) -> None:
    assert problems(tmp_path / "telemetry-0001.ndjson", anneal()[20:]) == []


def test_a_last_line_that_was_written_to_its_end_and_is_no_json_is_damaged_and_not_torn(tmp_path: Path) -> None:
    path, lines = tmp_path / "log.ndjson", (ROOT / SAMPLES / "town_anneal.ndjson").read_text().splitlines()
    lines[-1] = lines[-1].replace('"env_steps":', '"env_steps":NaN,"was":', 1)
    path.write_text("\n".join(lines) + "\n")
    log = read_log(path)
    found = next(problem for problem in check(log) if problem.level == "integrity")
    assert (found.level, log.torn_bytes, found.line) == ("integrity", 0, len(lines))
    path.write_text("\n".join(lines))  # without its newline
    assert read_log(path).torn_bytes == len(lines[-1])
