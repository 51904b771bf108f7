"""Which of several seeds is put forward: the one whose last evaluation during training was best.

The worlds of that evaluation shaped the training anyway. The exam judges the arm and chooses nothing, so that its numbers are not those of a
lucky draw.
"""

from headstart.compare.arm_runs import ArmRuns, SeedRun
from headstart.core.arrays import Mode
from headstart.core.errors import InputError


def best_run(arm: ArmRuns, mode: Mode) -> SeedRun:
    """The run with the most successes in its last evaluation; then the least harm, the highest return, the lowest seed.

    Raises InputError for an arm without runs, or a run without an evaluation.
    """
    if not arm.runs or not all(run.curve for run in arm.runs):
        raise InputError(f"arm {arm.arm} on {arm.scenario}: expected runs that were evaluated during training, found none")

    def merit(run: SeedRun) -> tuple[float, float, float, int]:
        score = run.curve[-1].score(mode)
        return score.success / score.episodes, -score.harm / score.episodes, score.return_mean, -run.seed

    return max(arm.runs, key=merit)
