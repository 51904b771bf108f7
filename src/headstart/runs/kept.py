"""The checkpoints that the records of a comparison name are those on disk: whose they are, and the hash of their weights."""

from pathlib import Path

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import IntegrityError
from headstart.core.files import read_record, sha256_file
from headstart.runs.checkpoint import CARD, Card, load_checkpoint
from headstart.runs.expert_record import ExpertPolicy, learned_sha256


def require_policies(arm: ArmRuns, folder: Path) -> None:
    """Raise IntegrityError, naming the checkpoint, unless `folder` has the last policy of every run; InputError where one is missing."""
    for run in arm.runs:
        whose = {"kind": "policy", "scenario": arm.scenario, "arm": arm.arm, "seed": run.seed, "env_steps": run.env_steps}
        lineage = {"bc": run.clone_sha256} if run.clone_sha256 else {}
        _require(folder / f"seed-{run.seed}", whose | {"lineage": lineage, "weights_sha256": run.checkpoint_sha256})


def require_kept_clones(clones: CloneRuns, folder: Path, expert: ExpertPolicy) -> None:
    """As `require_policies`, of the clones; and each learned from the `expert` of its block, whose training its demonstrations are charged."""
    for block, clone in enumerate(clones.clones):
        learned = learned_sha256(expert, block)
        if clone.expert_sha256 != learned or clone.demonstration_steps <= expert.training_steps(block):
            raise IntegrityError(
                f"{folder}: expected a clone of seed {clone.seed} that learned from the expert {learned or 'script'} and is charged more than "
                f"its {expert.training_steps(block):,} env steps, got {clone.expert_sha256 or 'script'} and {clone.demonstration_steps:,}"
            )
        whose = {"kind": "bc", "scenario": clones.scenario, "seed": clone.seed, "weights_sha256": clone.weights_sha256}
        _require(folder / f"seed-{clone.seed}", whose)


def require_clones_of_today(clones: CloneRuns, folder: Path, scenario: Scenario, expert: ExpertPolicy) -> None:
    """Raise IntegrityError unless the clones are of this scenario, kept in `folder`, and learned from the dataset that is validated now."""
    if clones.scenario != scenario.name:
        raise IntegrityError(
            f"{folder}: expected clones of {scenario.name}, found those of {clones.scenario}; {_again(scenario.name)}"
        )
    require_kept_clones(clones, folder, expert)
    now = sha256_file(DATA / scenario.name / "validated.json")
    for clone in clones.clones:
        learned = read_record(folder / f"seed-{clone.seed}" / CARD, Card).lineage.get("dataset")
        if learned != now:
            raise IntegrityError(
                f"{folder}: expected a clone of seed {clone.seed} that learned from the validated dataset {now}, found one of {learned}; "
                f"{_again(scenario.name)}"
            )


def _again(scenario: str) -> str:
    return f"`{stage_command('bc_train', scenario)}` trains them"


def _require(folder: Path, expected: dict[str, object]) -> None:
    _, card = load_checkpoint(folder)  # the weights have the hash that their card says
    for key, value in expected.items():
        if (found := getattr(card, key)) != value:
            raise IntegrityError(
                f"{folder}: expected a checkpoint with {key} {value}, as the record of the runs says, found {found}; "
                f"`{stage_command('evaluate', str(expected['scenario']))} --force` makes both anew"
            )
