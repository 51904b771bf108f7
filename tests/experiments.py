"""The record of an experiment made by hand: an expert, the reports of two clones, and a comparison."""

from headstart.compare.arm_runs import Score
from headstart.compare.comparison import Comparison
from headstart.runs.clone_report import CloneReport, ComponentFit, least_explained
from headstart.runs.experiment import ExperimentRecord, Machine
from headstart.runs.expert_record import ExpertPolicy

COMPONENTS = (  # of a robot that steers well and whose speed is held
    ComponentFit(deviation=0.5, rmse=0.125, within=0.875, constant_within=0.25),
    ComponentFit(deviation=0.0, rmse=0.01, within=1.0, constant_within=1.0),
)


def scored(success: int, return_mean: float) -> Score:
    return Score(episodes=100, success=success, harm=4, return_mean=return_mean, return_sd=0.1)


def expert_policy() -> ExpertPolicy:
    return ExpertPolicy(
        kind="scripted",
        world="town",
        scenario="walk",
        scenario_sha256="5" * 64,
        policy_sha256="6" * 64,
        seed=1,
        score=scored(98, 1.45),
        state="approved",
        diagnostics=(),
    )


def clone_reports(continuous: bool = False) -> dict[int, CloneReport]:
    """Of seed 0, and of seed 1, which is a little less accurate."""
    return {seed: _clone(0.8 - 0.1 * seed, continuous) for seed in (0, 1)}


def _clone(accuracy: float, continuous: bool) -> CloneReport:
    return CloneReport(
        accuracy=accuracy,
        macro_f1=None if continuous else 0.44,
        constant_accuracy=0.7,
        least_recall=None,
        train_accuracy=0.9,
        heldout_steps=10,
        value_error=None,
        untrained_value_error=1.0,
        value_explained_variance=None,
        confusion={} if continuous else {"wait": {"wait": 8}, "use": {"wait": 2}},
        closed_loop={"sampled": scored(90, 1.4), "deterministic": scored(91, 1.4)},
        expert=scored(98, 1.45),
        components=COMPONENTS if continuous else (),
        explained_variance=least_explained(COMPONENTS) if continuous else None,
    )


def experiment_record(found: Comparison, name: str = "walk_again") -> ExperimentRecord:
    """With one comparison, which is the headline's."""
    return ExperimentRecord(
        name=name,
        scenario="walk",
        seeds=tuple(range(10, 20)),
        command=f"dvc exp run --temp --name evidence-{name} -S 'seeds=[10,11]'",
        commit="0123456789abcdef" * 2 + "01234567",
        machine=Machine(processor="AMD EPYC", cores=2, python="3.11.2", torch="2.13.0"),
        finished_at="2026-01-02T03:04:05.000Z",
        code_sha256="a" * 64,
        settings_sha256="b" * 64,
        expert=expert_policy(),
        clones=clone_reports(),
        headline=found.target.name,
        comparisons={found.target.name: found},
    )
