"""A small valid record of every kind that is read from JSON, lines of a log of telemetry, and a history of three lines."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.arms import arm_runs, clones_of
from tests.experiments import clone_reports, expert_policy, scored

from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.history import HISTORY, Drilled, Line, Withdrawn, open_history
from headstart.config.scenario import Target
from headstart.core.files import read_record
from headstart.core.record import Record
from headstart.core.run_record import Circumstances, RunRecord
from headstart.core.verdict import Evidence, Subject, at_least, judge
from headstart.dataset.manifest import Block, DatasetFacts, Quality, Splits, StoredFile, Tally, manifest_of
from headstart.runs.clone_report import CloneReports
from headstart.runs.targets import TargetHistory
from headstart.runs.tuning import TuningRecord
from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter

ROOT = Path(__file__).parents[2]
ONE = Tally(worlds=1, episodes=1, steps=15)
TARGET = Target(name="beyond", success_rate=0.9, return_mean=1.5, consecutive=2)


def _arms() -> list[Record]:
    good, bad = scored(95, 1.8), scored(10, 0.2)
    arms = [
        arm_runs(name, reach, every=1000, points=4, good=good, bad=bad, exam=good)
        for name, reach in (("pretrained", (1, 1, 1)), ("scratch", (3, 3, 2)))
    ]
    evidence = [Evidence(path=f"models/{arm.arm}.json", sha256="0" * 64) for arm in arms]
    clones = clones_of(arms[0])
    return [*arms, clones, compare(arms[0], arms[1:], clones, TARGET, ComparisonLimits(resamples=200), evidence)]


def _manifest() -> Record:
    facts = DatasetFacts(
        dataset="walk", scenario="walk", scenario_sha256="5" * 64, expert="scripted", policy_sha256="6" * 64, seed=7,
        accepted=Tally(worlds=1, episodes=2, steps=30), rejected=ONE, rejection_reasons={"too-short": 1},
        quality=Quality(success_rate=0.9, harm_rate=0.1, return_mean=1.5, steps_mean=10.0),
        blocks=(Block(first_world=0, last_world=0, recorded=ONE, accepted=ONE),),
        files={"block-0/train.h5": StoredFile(sha256="7" * 64, bytes=10)},
        splits=Splits(rule="by hash of world", seed=0, heldout_share=0.5, train=ONE, heldout=ONE),
    )  # fmt: skip
    return manifest_of(facts, "validated")


def _run() -> Record:
    around = Circumstances(
        started_at="2025-01-31T12:00:00.000Z", seconds=1.5, host="here", cpus=2, versions={"python": "3.11", "torch": None},
        git_revision=None, git_dirty=None,
    )  # fmt: skip
    return RunRecord(
        run_id="capture-walk", stage="capture", scenario="walk", arm=None, status="failed", diagnostics=("why",), code_sha256="0" * 64,
        inputs={"a/b": "1" * 64}, parameters={"x": [1, {"y": None}]}, seeds=(1, 2), metrics={"m": None}, outputs={}, circumstances=around,
    )  # fmt: skip


RECORDS: list[Record] = [
    *_arms(),
    _manifest(),
    _run(),
    expert_policy(),
    CloneReports(clones=clone_reports()),
    judge(Subject(type="dataset", id="walk", sha256="0" * 64), [at_least("episodes", 2, 1, "episodes")], {}),
    read_record(ROOT / "reports/tuning/queue_conflict/scratch.json", TuningRecord),
    read_record(ROOT / "scenarios/targets.json", TargetHistory),
]


def _telemetry() -> list[dict[str, Any]]:
    fields = json.loads((ROOT / "tests/golden/telemetry_fields.json").read_text())
    envelope = Envelope(run_id="run-1", arm="scratch", world="town", scenario="queue_conflict", seed=3, stage="baseline")
    with TemporaryDirectory() as folder:
        with TelemetryWriter(Path(folder), envelope) as writer:
            for step, kind in enumerate(fields):
                writer.write(kind, env_steps=10 * step, **fields[kind])
        return [json.loads(line) for line in (Path(folder) / "telemetry-0000.ndjson").read_bytes().splitlines()]


TELEMETRY = _telemetry()


def history() -> tuple[tuple[Line, ...], bytes]:
    """Its lines, and the file."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for record in (
            Drilled(passed=True, rounds=3, guardrails=("nonfinite",)),
            Withdrawn(scenario="walk"),
            Withdrawn(scenario="walk"),
        ):
            with open_history(root, "a test") as found:
                found.append(record, "Ada", "because – ü")
        with open_history(root, "a test") as found:
            return found.lines, (root / HISTORY).read_bytes()
