"""A small project in git and DVC whose arms really left files: what `headstart release` finds after `dvc repro`."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml
from tests.arms import arm_runs, clones_of
from tests.forked import Ended, command, require
from tests.shifts import data_states, facts

from headstart.compare.arm_runs import CLONES, ArmRuns, CloneRuns, Score, SeedRun
from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.compare.shift import find_shift
from headstart.config.history import HISTORY, Drilled, Line, read_history
from headstart.config.params import Params, load_params
from headstart.config.scenario import Target
from headstart.core.dvc_lock import content_md5
from headstart.core.files import read_record, sha256_file, write_record
from headstart.core.verdict import Evidence
from headstart.dataset.catalogue import Stored, add_entry, entry_of
from headstart.dataset.manifest import Block, DatasetFacts, DatasetManifest, Quality, Splits, Tally, manifest_of
from headstart.dataset.observation import ObservationSchema
from headstart.release.record import record_drill, record_verdict
from headstart.release.standing import Standing, standing_of
from headstart.runs.checkpoint import save_checkpoint

REPOSITORY = Path(__file__).parents[1]
EVERY, POINTS = 1000, 13
SCRATCH, CANDIDATE = Path("models/walk/baseline/scratch/runs.json"), Path("models/walk/anneal/pretrained/runs.json")
CLONES_PATH = Path("models/walk/bc") / CLONES
SECTION = {"success_rate": 0.9, "return_mean": 1.5, "consecutive": 2}
EASY = {"success_rate": 0.5, "consecutive": 2}
SCHEMA = ObservationSchema(world="toy", features=("x",), actions=("left", "right"), reward_terms=("goal",))
STAGES = {
    "bc_train@walk": (["data/walk/validated.json"], ["bc_train"], "models/walk/bc"),
    "baseline@walk-scratch": (["scenarios/walk.yaml"], ["arms.scratch", "seeds"], "models/walk/baseline/scratch"),
    "anneal@walk-pretrained": (
        ["src/learner", "scenarios/walk.yaml", "data/walk/validated.json"],
        ["arms.pretrained", "seeds"],
        "models/walk/anneal/pretrained",
    ),
    "evaluate": (["models"], ["candidate", "comparison"], "reports/evaluate"),
}


def score(success: int, return_mean: float) -> Score:
    return Score(episodes=100, success=success, harm=4, return_mean=return_mean, return_sd=0.1)


class Project:
    """The project's root, and what a person does in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def headstart(self, *arguments: str) -> Ended:
        """A command in a process of its own."""
        return command(self.root, "headstart", *arguments)

    def dvc(self, *arguments: str) -> str:
        return require(self.root, "dvc", *arguments).out

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "More")

    def train(
        self, seeds: Sequence[int], good: bool = True, dataset: str = "a", scratch: Mapping[str, Any] | None = None
    ) -> None:
        """What `dvc repro` leaves for these seeds, in the tree, in dvc.lock and in DVC's cache; not committed to git.

        `scratch` has the settings that change in its phase.
        """
        self.set_params(
            lambda params: (params.update(seeds=list(seeds)), params["arms"]["scratch"]["phases"][0].update(scratch or {}))
        )
        self._dataset(dataset)
        self._arm("pretrained", CANDIDATE.parent, seeds, 2 if good else 9)
        self._arm("scratch", SCRATCH.parent, seeds, 9)
        clones = clones_of(read_record(self.root / CANDIDATE, ArmRuns))
        own = tuple(
            one.model_copy(update={"data": data_states(i)}) for i, one in enumerate(clones.clones)
        )  # as for all other seeds
        write_record(self.root / CLONES_PATH, clones.model_copy(update={"clones": own}))
        self.compare()
        self.dvc_commit()

    def params(self) -> Params:
        return load_params(self.root / "params.yaml")

    def set_params(self, change: Callable[[dict[str, Any]], object]) -> None:
        """params.yaml after `change`, which alters its content in place."""
        params = yaml.safe_load((self.root / "params.yaml").read_text())
        change(params)
        (self.root / "params.yaml").write_text(yaml.safe_dump(params))

    def compare(self, shift: bool = True) -> None:
        """What the stage evaluate leaves."""
        files = (SCRATCH, CANDIDATE, CLONES_PATH)
        evidence = [Evidence(path=path.as_posix(), sha256=sha256_file(self.root / path)) for path in files]
        ours, theirs = (read_record(self.root / path, ArmRuns) for path in (CANDIDATE, SCRATCH))
        clones = read_record(self.root / CLONES_PATH, CloneRuns)
        limits = ComparisonLimits(resamples=200, **self.params().comparison.model_dump(exclude={"target"}))
        shifted = find_shift(ours, [theirs], clones) if shift else None
        for name, section in (("beyond", SECTION), ("easy", EASY)):
            target = Target.model_validate({"name": name} | section)
            found = compare(ours, [theirs], clones, target, limits, evidence, shifted)
            write_record(self.root / f"reports/evaluate/walk/{name}.json", found)

    def dvc_commit(self) -> None:
        from dvc.repo import Repo
        from dvc.utils.serialize import _yaml

        parsed = cache(_yaml.parse_yaml)  # DVC parses params.yaml a dozen times

        def once(text: str, path: Path, typ: str = "safe") -> Any:
            return deepcopy(parsed(text, path, typ))

        with chdir(self.root), patch.object(_yaml, "parse_yaml", once), Repo() as repo:
            repo.commit(force=True)

    def make_ready(self) -> None:
        """Two passes on seeds of their own, and a drill, all committed: the candidate is ready."""
        for seeds in (range(10), range(10, 20)):
            self.train(seeds)
            self.commit()
            self.record()
        self.drill()
        self.commit()

    def record(self, target: str | None = None) -> tuple[Line, Standing]:
        """What `headstart release record` does."""
        return record_verdict(self.root, "walk", "Ada", target)

    def drill(self) -> None:
        """What `headstart drill rollback --record` leaves."""
        record_drill(self.root, Drilled(passed=True, rounds=3, guardrails=("nonfinite",)), "Ada", "monthly")

    def standing(self) -> Standing:
        return standing_of(read_history(self.root / HISTORY), "walk")

    def _arm(self, arm: str, folder: Path, seeds: Sequence[int], reach: int) -> None:
        home = self.root / folder
        shutil.rmtree(home, ignore_errors=True)
        good = score(95, 1.8)
        known = {"seeds": list(seeds), "every": EVERY, "points": POINTS, "good": good, "bad": score(10, 0.2), "exam": good}
        record = arm_runs(arm, [reach + seed % 2 for seed in seeds], design={"variant_worlds": 100}, **known)
        runs = tuple(self._saved(arm, home, run) for run in record.runs)
        write_record(home / "runs.json", record.model_copy(update={"runs": runs, "recipe": self.params().arms[arm]}))

    def _saved(self, arm: str, home: Path, run: SeedRun) -> SeedRun:
        """The run with a checkpoint, and with what it recorded of distribution shift."""
        about = {"kind": "policy", "scenario": "walk", "arm": arm, "seed": run.seed, "env_steps": 12000, "observation": SCHEMA}
        weights = {"w": np.array([run.seed, len(arm)], np.float32)}
        saved = save_checkpoint(home / f"seed-{run.seed}", weights, {**about, "network": {}, "lineage": {}})
        *curve, last = run.curve
        if run.seed % 7 == 3:  # the best of its arm
            last = last.model_copy(update={"scores": dict.fromkeys(last.scores, score(96, 1.8))})
        changes = {"curve": (*curve, last), "checkpoint_sha256": saved.weights_sha256, "shift": facts(90 + run.seed % 3)}
        return run.model_copy(update=changes)

    def _dataset(self, expert: str) -> None:
        manifest = manifest_for(expert)
        write_record(self.root / "data/walk/validated.json", manifest)
        stored = Stored(
            manifest_sha256=sha256_file(self.root / "data/walk/validated.json"),
            manifest_md5=content_md5(self.root / "data/walk/validated.json"),
            files_md5=None,
        )
        add_entry(self.root, entry_of(manifest, stored, "2026-01-01T00:00:00.000Z", {}, "Apache-2.0"))


def manifest_for(expert: str) -> DatasetManifest:
    part = Tally(worlds=1, episodes=1, steps=15)
    facts = DatasetFacts(
        dataset="walk",
        scenario="walk",
        scenario_sha256="5" * 64,
        expert=expert,
        policy_sha256="6" * 64,
        seed=7,
        accepted=Tally(worlds=1, episodes=2, steps=30),
        rejected=Tally(worlds=0, episodes=0, steps=0),
        rejection_reasons={},
        quality=Quality(success_rate=0.9, harm_rate=0.1, return_mean=1.5, steps_mean=10.0),
        blocks=(Block(first_world=0, last_world=1, recorded=part, accepted=part),),
        files={},
        splits=Splits(rule="by hash of world", seed=0, heldout_share=0.5, train=part, heldout=part),
    )
    return manifest_of(facts, "validated")


def describe(root: Path) -> None:
    """params.yaml, scenarios/walk.yaml, dvc.yaml and the code that learns."""
    (root / "src/learner").mkdir(parents=True)
    (root / "src/learner/rule.py").write_text("learn = True\n")
    params = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    params |= {"scenarios": ["walk"], "baselines": ["scratch"]}
    params |= {"comparison": params["comparison"] | {"target": "beyond"}}
    params["arms"]["scratch"] = deepcopy(params["arms"]["matched"])  # PPO settings of the candidate
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    scenario = {
        "world": "toy",
        "horizon": 10,
        "setup": {},
        "success": ["goal >= 1"],
        "harm": ["bumps >= 1"],
        "expert": {"policy": "scripted", "success_rate": 0.9, "harm_rate": 0.1},
        "targets": {"easy": EASY, "beyond": SECTION},
    }
    (root / "scenarios").mkdir()
    (root / "scenarios/walk.yaml").write_text(yaml.safe_dump(scenario))
    stages = {
        name.replace("@", "_"): {"cmd": "true", "deps": deps, "params": params, "outs": [out]}
        for name, (deps, params, out) in STAGES.items()
    }
    artifacts = {"walk": {"path": "models/walk/anneal/pretrained", "type": "model"}}
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages, "artifacts": artifacts}))
    (root / ".gitignore").write_text(
        "__pycache__/\n/data/*/\n!/data/catalogue/\n/datasets/\n/models/*/\n/reports/*\n.headstart/\n.dvc-remote/\n"
    )


def new_project(root: Path) -> Project:
    """A repository with a description of the project, and nothing that a stage made."""
    project = Project(root)
    project.git("init", "--quiet", "--initial-branch", "main")
    project.git("config", "user.name", "Ada")
    project.git("config", "user.email", "ada@example.org")
    project.dvc("init", "--quiet")
    (root / ".dvcignore").write_bytes((REPOSITORY / ".dvcignore").read_bytes())
    describe(root)
    return project


def copy_of(source: Path, root: Path) -> Project:
    """Another project with the same files and the same past."""
    shutil.copytree(source, root, symlinks=True, dirs_exist_ok=True)
    return Project(root)
