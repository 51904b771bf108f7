"""`make soak`: many whole cycles (record, clone, train, compare) in one process, scenario after scenario, and how much memory stays behind.

Each cycle has seeds of its own and a project of its own; gates let everything pass, so that small settings come to the end. Every telemetry
log is validated, and kept with its summary and its alerts in `soak/<scenario>/`. Ends with 1 if a log is not valid or memory grows by 5 %
after the third cycle.
"""

import argparse
import gc
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import psutil
import yaml
from tests.one_process import run_here

from headstart.config.checked import merged
from headstart.config.stage import run
from headstart.stages.anneal import anneal
from headstart.stages.baseline import baseline
from headstart.stages.bc_train import bc_train
from headstart.stages.capture import capture
from headstart.stages.curate import curate
from headstart.stages.evaluate import evaluate
from headstart.stages.expert import expert
from headstart.stages.settings import settings
from headstart.stages.source import source
from headstart.stages.validate import validate
from headstart.telemetry.check import check, exit_code
from headstart.telemetry.logs import Log, read_log
from headstart.telemetry.rules import preset, watch
from headstart.telemetry.summary import summarised
from headstart.view.telemetry import alert_line, tables, text_of, watch_text

ROOT = Path(__file__).parents[1]
SCENARIOS = (
    "queue_conflict", "employment_punctuality", "kitchen_breakfast", "rivalry_decay", "observation_baseline", "nav_gap_seeker",
)  # fmt: skip
CYCLES = 10
WARM = 3  # cycles after which caches are full
MAX_GROWTH = 0.05
IN_ONE_PROCESS = ("headstart.stages.bc_train.run_all", "headstart.runs.arm.run_all")
PPO = {"worlds": 16, "rollout_ticks": 32, "num_epochs": 2, "mini_batch_size": 256}
TUNE = {"name": "tune", "kind": "ppo", "env_steps": 8192, "learning_rate": 0.001}
SMALL: dict[str, Any] = {
    "candidate": "pretrained",
    "baselines": ["scratch"],
    "processes": 1,
    "expert": {"worlds": 32},
    "capture": {"worlds": 64, "blocks": 1, "shard_worlds": 64},
    "curate": {"require_success": False, "reject_harm": False, "min_return": None},
    "validate": {"min_episodes": 10, "min_success_rate": 0.0, "max_majority_share": 1.0, "replay_worlds": 4},
    "network": {"hidden": [64]},
    "bc_train": {
        "epochs": 15,
        "patience": 15, "batch_size": 256, "min_accuracy": 0.0, "min_macro_f1": 0.0, "min_explained_variance": -100.0, "max_value_error": 1.0,
        "success_margin": 1.0, "closed_loop_worlds": 16,
    },
    "anneal": {"arms": ["pretrained"]},
    "arms": {
        "scratch": {"start": "random", "ppo": PPO, "phases": [TUNE]},
        "pretrained": {"start": "bc", "ppo": PPO, "phases": [TUNE | {"bc_weight": 0.1}]},
    },
    "evaluation": {"worlds": 16, "every": 4096, "exam_worlds": 16, "variant_worlds": 16},
    "comparison": {"target": "any"},
}  # fmt: skip


class Cycle(NamedTuple):
    """What one cycle left."""

    number: int
    seconds: float
    memory: int  # bytes of this process afterwards
    problems: tuple[str, ...]


def soak(scenario: str, cycles: int, kept: Path) -> Iterator[Cycle]:
    """Run so many cycles of a scenario; their logs and summaries are written below `kept`."""
    for number in range(1, cycles + 1):
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            describe(Path(folder), scenario, seed=3000 + number)
            with chdir(folder):
                run_stages(scenario)
            problems = tuple(keep_logs(Path(folder), kept / scenario / f"cycle-{number:02}"))
        gc.collect()
        yield Cycle(number, time.monotonic() - began, psutil.Process().memory_info().rss, problems)


def describe(project: Path, scenario: str, seed: int) -> None:
    """The files of a project with small settings whose gates let everything pass."""
    shutil.copy(ROOT / "dvc.yaml", project)
    seeds = {"seeds": [seed], "capture": {"seed": seed}, "bc_train": {"seed": seed}}
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["arms"] = {}
    small = merged(SMALL, seeds)
    (project / "params.yaml").write_text(json.dumps(merged(params, small) | {"scenarios": [scenario]}))
    about = yaml.safe_load((ROOT / f"scenarios/{scenario}.yaml").read_text())
    everything = re.sub(r"[<>=]+ \d+", ">= 0", about["success"][0])  # a clone that learned little has to pass
    about |= {"success": [everything], "variants": {}}
    about["expert"] |= {"success_rate": 0.01, "harm_rate": 1.0}
    about |= {"targets": {"any": {"success_rate": 0.5}}, "recipe": {}, "min_action_share": {}}
    (project / "scenarios").mkdir()
    (project / f"scenarios/{scenario}.yaml").write_text(json.dumps(about))


def run_stages(scenario: str) -> None:
    """From the settings to the comparison, in this process."""
    with patch(IN_ONE_PROCESS[0], run_here), patch(IN_ONE_PROCESS[1], run_here):
        for stage in (settings, source, expert, capture, curate, validate, bc_train):
            run(stage, scenario)
        run(baseline, scenario, "scratch")
        run(anneal, scenario, "pretrained")
        run(evaluate, scenario)


def keep_logs(project: Path, kept: Path) -> Iterator[str]:
    """Copy the log of every arm with its summary and its alerts beside it; yield a line for each that is not valid, or if there is none."""
    logs = sorted(project.glob("reports/*/*/*/telemetry/seed-*"))
    if not logs:
        yield f"{project / 'reports'}: expected the logs of arms, found none"
    for log in logs:
        name = f"{log.parents[1].name}-{log.name}"
        shutil.copytree(log, kept / name, dirs_exist_ok=True)
        read = read_log(kept / name)
        (kept / f"{name}.txt").write_text(text_of(name, tables(summarised(read), wall=False)) + "\n")
        (kept / f"{name}.alerts").write_text("".join(f"{line}\n" for line in alerts(read)))
        if code := exit_code(check(read, strict=True)):
            yield f"{kept / name}: `headstart telemetry validate` ends with {code}"


def alerts(read: Log) -> Iterator[str]:
    """What `headstart telemetry watch` says of a log."""
    seen = watch(preset("anneal", read.records[0].world), {})
    for record in read.records:
        yield from map(alert_line, seen.see(record))
    yield watch_text(f"{len(read.records)} records", seen)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=SCENARIOS, help="of the town or the robot; all by default")
    parser.add_argument("--cycles", type=int, default=CYCLES)
    parser.add_argument("--out", type=Path, default=ROOT / "soak", help="where logs and summaries are kept")
    asked = parser.parse_args()
    failed = False
    for scenario in asked.scenarios:
        found = []
        for cycle in soak(scenario, asked.cycles, asked.out):
            found.append(cycle)
            print(f"{scenario} {cycle.number}: {cycle.seconds:.1f} s, {cycle.memory / 2**20:.1f} MiB", flush=True)
            print("".join(f"  {line}\n" for line in cycle.problems), end="")
        growth = growth_of([cycle.memory for cycle in found])
        failed |= growth >= MAX_GROWTH or any(cycle.problems for cycle in found)
        print(
            f"{scenario}: {len(found)} cycles, memory {growth:+.1%} after cycle {min(WARM, len(found))} (limit +{MAX_GROWTH:.0%})"
        )
    return int(failed)


def growth_of(memory: list[int]) -> float:
    """Of the last against the largest of the first cycles, which fill caches."""
    return memory[-1] / max(memory[:WARM]) - 1


if __name__ == "__main__":
    sys.exit(main())
