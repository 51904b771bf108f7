"""A run in plain words: every sentence follows from its records."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.released import CANDIDATE, Project

from headstart.compare.arm_runs import ArmRuns
from headstart.core.errors import InputError, UsageError
from headstart.core.files import read_record, write_record
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter
from headstart.view.explain import explain

FIELDS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[1] / "golden/telemetry_fields.json").read_text())
WHOSE = Envelope(run_id="run-1", arm="tiny", world="town", scenario="walk", seed=3, stage="anneal")
START = {"params": {"start": "bc"}, "target": {"name": "easy"}}


def evaluation(k: int, mean: float) -> dict[str, Any]:
    return {"success": {"k": k, "n": 10, "low": 0.0, "high": 1.0}, "return_mean": mean}


def write_log(folder: Path, *records: tuple[str, int, dict[str, Any]]) -> Path:
    with TelemetryWriter(folder, WHOSE) as writer:
        for kind, env_steps, fields in records:
            writer.write(kind, env_steps=env_steps, **(FIELDS[kind] | fields))
    return folder


BEGUN = (
    ("run_started", 0, START),
    ("evaluation", 0, evaluation(1, -0.5)),
    ("phase_started", 0, {"phase": "warm_up", "phase_kind": "critic"}),
    ("phase_ended", 100, {"env_steps_used": 100}),
    ("phase_started", 100, {"phase": "tune", "phase_kind": "ppo"}),
    ("evaluation", 500, evaluation(9, 1.25)),
)


def test_a_run_that_went_well_is_told_from_its_log(tmp_path: Path) -> None:
    ended = {"env_steps_used": 900}, {"verdict": "PASS", "steps_to_target": 500, "censored": False}
    log = write_log(tmp_path / "log", *BEGUN, ("phase_ended", 1000, ended[0]), ("run_ended", 1000, ended[1]))

    found = explain(tmp_path, str(log))

    assert found.text == (
        "Seed 3 of tiny on walk starts from a clone of the expert and was trained for 1,000 env steps: "
        "warm_up (critic, 100 steps, completed), then tune (ppo, 900 steps, completed). "
        "On the evaluation worlds it had success 1 of 10 and return -0.500 at 0 steps, and success 9 of 10 and return 1.250 at 500 steps. "
        "No guardrail was broken. It met easy after 500 env steps. Its guardrails say PASS."
    )
    assert found.facts["steps_to_target"] == 500
    assert found.facts["phases"][1] == {"name": "tune", "kind": "ppo", "env_steps": 900, "outcome": "completed"}


def test_broken_guardrails_and_the_way_back_are_named_and_those_that_could_not_be_checked_are_not(tmp_path: Path) -> None:
    breach = {
        "severity": "breach",
        "guardrail": "success_drop",
        "reason": "success_rate 0.4 (limit −0.3)",
        "decision": "rollback",
    }
    log = write_log(
        tmp_path / "log",
        *BEGUN,
        ("guardrail", 500, {"severity": "warn", "reason": "not applicable: the reading has no kl_divergence"}),
        ("guardrail", 600, breach),
        ("rollback", 600, {"to_checkpoint_id": "at-500"}),
        ("run_ended", 1000, {"verdict": "FAIL", "reasons": ("success_drop, three times",)}),
    )

    found = explain(tmp_path, str(log))

    assert (
        "Guardrails were broken: success_drop at 600 steps (success_rate 0.4 (limit −0.3)); it went back 1 time, last to at-500. "
        "It did not meet easy within its budget. Its guardrails say FAIL: success_drop, three times."
    ) in found.text
    assert "not applicable" not in found.text
    assert (found.facts["rollbacks"], found.facts["breaches"]) == (1, ["success_drop at 600"])


def test_a_run_that_goes_on_has_no_end_and_no_verdict(tmp_path: Path) -> None:
    found = explain(tmp_path, str(write_log(tmp_path / "log", *BEGUN)))

    assert "tune (ppo, 400 steps, not ended)" in found.text
    assert found.text.endswith("It goes on, or was interrupted: the command that began it goes on with it.")
    assert (found.facts["ended"], found.facts["verdict"]) == (False, None)


def test_an_arm_is_told_from_the_runs_of_its_seeds_and_the_comparison(project: Project) -> None:
    found = explain(project.root, "walk/pretrained")

    assert "pretrained on walk starts from a clone of the expert and was trained on 10 seeds" in found.text
    # of 100 episodes 10 succeed before the target is met, 95 at the exam, and 4 do harm
    assert "Before training its success was 0.100 on 100 evaluation worlds" in found.text
    assert "at the exam, on 100 others, success is 0.95" in found.text
    assert "Guardrails: 10 of 10 seeds ended with none open, 0 rollbacks." in found.text
    # seeds meet it at the second or third evaluation after the first, which lie 1,000 steps apart
    assert (
        "10 of 10 seeds met beyond, the first by 2,000 and the last of them by 3,000 env steps; the verdict is PASS."
        in found.text
    )
    assert [seed["seed"] for seed in found.facts["seeds"]] == list(range(10))


def test_a_seed_that_a_guardrail_stopped_is_named(project: Project) -> None:
    arm = read_record(project.root / CANDIDATE, ArmRuns)
    stopped = arm.runs[2].model_copy(update={"status": "stopped", "outcome": "FAIL", "reasons": ("nonfinite",), "rollbacks": 2})
    write_record(project.root / CANDIDATE, arm.model_copy(update={"runs": (*arm.runs[:2], stopped, *arm.runs[3:])}))

    text = explain(project.root, "models/walk/anneal/pretrained").text

    assert "Guardrails: 9 of 10 seeds ended with none open, 2 rollbacks. Seed 2 is a FAIL (stopped): nonfinite." in text


def test_a_scenario_is_told_by_its_verdict(project: Project) -> None:
    found = explain(project.root, "walk")

    assert found.text.startswith("walk is a PASS for the target beyond. pretrained: all 10 within 3,000 steps; scratch: ")
    assert "At its exam pretrained succeeds in 0.950 of episodes" in found.text
    assert found.facts["verdict"] == "PASS"


@pytest.mark.parametrize(
    ("run", "error", "says"),
    [
        ("walks", UsageError, r"no scenario 'walks' \(did you mean 'walk'\?\)"),
        ("walk/pretraind", UsageError, r"walk has no runs of an arm 'pretraind' \(did you mean 'pretrained'\?\); it has"),
        ("walk/pretrained/seed-77", UsageError, "has no 'seed-77'"),
        ("walk/pretrained/3", InputError, "reports/walk/anneal/pretrained/telemetry/seed-3: expected telemetry-0000.ndjson"),
        ("a/b/c/d", UsageError, "expected SCENARIO, SCENARIO/ARM, SCENARIO/ARM/seed-N or the folder of a run"),
    ],
)
def test_a_wrong_name_says_which_there_are(project: Project, run: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        explain(project.root, run)


def test_a_guardrail_that_is_open_at_the_end_is_a_flag_and_no_breach(tmp_path: Path) -> None:
    ended = {"verdict": "HOLD", "reasons": ("harm_rise: still open at the end",)}
    log = write_log(tmp_path / "log", *BEGUN, ("run_ended", 1000, ended))

    text = explain(tmp_path, str(log)).text

    assert "No guardrail was broken." in text
    assert text.endswith("Its guardrails say HOLD: harm_rise: still open at the end (a flag, which is no breach).")
