"""A small project that went through the whole pipeline: demonstrations of CartPole, clones, arms, a comparison, a verdict and a release; all in
git, in DVC's cache and in a remote."""

import shutil
import subprocess
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import yaml
from tests.experiments import experiment_record
from tests.forked import require
from tests.one_process import run_here
from tests.poles import POLE, pole_project, record_poles

from headstart.compare.comparison import Comparison
from headstart.config.checked import merged
from headstart.config.stage import run
from headstart.core.files import read_record, write_record
from headstart.dataset.catalogue import change_mark, read_entries
from headstart.release.record import record_verdict
from headstart.release.rollback import swap
from headstart.stages.anneal import anneal
from headstart.stages.baseline import baseline
from headstart.stages.bc_train import bc_train
from headstart.stages.capture import capture
from headstart.stages.catalogue import catalogue
from headstart.stages.curate import curate
from headstart.stages.evaluate import evaluate
from headstart.stages.expert import expert
from headstart.stages.report import report
from headstart.stages.settings import settings
from headstart.stages.source import source
from headstart.stages.validate import validate

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "src/headstart/cli/template"
IN_ONE_PROCESS = ("headstart.stages.bc_train.run_all", "headstart.runs.arm.run_all")


def make(root: Path) -> None:
    """Everything, in an empty folder; the remote, named `store`, is the folder beside it with `-remote` behind its name."""
    with chdir(root):
        _describe()
        _run_stages()
        _keep(f"../{root.name}-remote")
        record_verdict(Path(), "pole", "Ada")
        _commit("verdict")
        change_mark(Path(), read_entries(Path())[0].name, lambda mark: mark.model_copy(update={"tags": ("first",)}))
        swap(Path(), "pole", "models/pole/anneal/tiny/seed-8", "Ada", "to try it")
        _commit("release")


def _describe() -> None:
    pole_project(record_poles())
    params = merged(yaml.safe_load((ROOT / "params.yaml").read_text()), POLE["recipe"])
    Path("params.yaml").write_text(yaml.safe_dump(params | {"scenarios": ["pole"], "processes": 1}))
    Path("dvc.yaml").write_text((TEMPLATE / "pipeline.yaml").read_text().replace("SCENARIO", "pole"))
    Path(".gitignore").write_text((TEMPLATE / "gitignore").read_text())
    Path(".dvcignore").write_text((ROOT / ".dvcignore").read_text())
    for folder in ("environments", "experts", "flags"):
        Path(folder).mkdir()
        Path(folder, "README.md").write_text("what a user brings\n")
    shutil.copytree(TEMPLATE / "plots", ".dvc/plots")
    _git("init", "--quiet", "--initial-branch", "main")
    _git("config", "user.name", "Ada")
    _git("config", "user.email", "ada@example.org")
    require(Path.cwd(), "dvc", "init", "--quiet", "--force")
    _commit("project")


def _run_stages() -> None:
    with patch(IN_ONE_PROCESS[0], run_here), patch(IN_ONE_PROCESS[1], run_here):
        for stage in (settings, source, expert, capture, curate, validate, catalogue, bc_train):
            run(stage, "pole")
        run(baseline, "pole", "scratch")
        run(anneal, "pole", "tiny")
        run(evaluate, "pole")
        run(report, "pole")
    shutil.copytree("models/pole/anneal/tiny/seed-8", "policies/pole/tiny")
    found = read_record(Path("reports/evaluate/pole/held.json"), Comparison)
    write_record(Path("reports/evidence/again.json"), experiment_record(found))


def _keep(remote: str) -> None:
    from dvc.repo import Repo

    require(Path.cwd(), "dvc", "remote", "add", "--quiet", "--default", "store", remote)
    with Repo() as repo:
        repo.commit(force=True)
        repo.push()
    _commit("results")


def _commit(message: str) -> None:
    _git("add", "--all")
    _git("commit", "--quiet", "--message", message)


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)
