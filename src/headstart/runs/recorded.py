"""What the stage `demonstrations` found in the recording that a scenario names (`recording/1`), and the artefact that stands for its expert."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.core.record import Count, Record, RelativePath, Sha256
from headstart.core.verdict import Subject, Verdict, at_least, judge, not_applicable
from headstart.dataset.episodes import Absent
from headstart.runs.expert_record import ExpertPolicy

RECORDING = "recording.json"  # beside the episodes


class FoundRecording(Record):
    """Of a scenario with an expert all is empty, and the same in every project."""

    schema_id: Literal["recording/1"] = "recording/1"
    format: str | None = None
    files: dict[RelativePath, Sha256] = Field(default={})
    sha256: Sha256 | None = None  # of `files`
    seed: int = 0
    episodes: Count = 0
    steps: Count = 0
    absent: tuple[Absent, ...] = ()
    score: Score | None = None  # of the recorded episodes themselves; None: their rewards, success or harm are absent


def recording_folder(scenario: Scenario) -> Path:
    """Where the stage `demonstrations` leaves its record and the episodes."""
    return DATA / scenario.name / "demonstrations"


def found_recording(scenario: Scenario) -> FoundRecording:
    """InputError where the stage `demonstrations` has not found the recording of the scenario."""
    path, made_by = recording_folder(scenario) / RECORDING, f"dvc repro demonstrations@{scenario.name}"
    found = read_record(path, FoundRecording, made_by=made_by)
    if found.sha256 is None:
        raise InputError(f"{path}: expected the recording that the scenario names, got none; `{made_by}`")
    return found


def judge_recorded(params: Params, scenario: Scenario) -> tuple[ExpertPolicy, Verdict]:
    """The artefact of the recorded demonstrations. Nobody acts, so their quality is a question for the gates of the dataset."""
    found = found_recording(scenario)
    assert found.sha256 is not None
    score, blocks = found.score, params.capture.blocks
    text = f"{found.episodes} recorded episodes of {found.steps} steps for {blocks} blocks"
    checks = [at_least("episodes", found.episodes, 2 * blocks, text, found.episodes)]
    why = "demonstrations are recorded already, and `validate` holds them to its gates"
    checks += [not_applicable(name, direction, None, why) for name, direction in (("success", ">="), ("harm", "<="))]  # type: ignore[arg-type]
    subject = Subject(type="expert", id=f"{scenario.name}/demonstrations", sha256=found.sha256)
    expert = ExpertPolicy(
        kind="demonstrations",
        world=scenario.world,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=found.sha256,
        seed=found.seed,
        score=score,
        state="approved",
        diagnostics=(),
    )
    return expert, judge(subject, checks, {"blocks": blocks})
