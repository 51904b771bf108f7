"""The artefact of an expert (`expert-policy/1`): what acts, how it was judged, and whether it may be recorded."""

from collections.abc import Sequence
from typing import Literal

from headstart.compare.arm_runs import Score
from headstart.core.record import Count, Name, Record, Sha256


class TrainedSeed(Record):
    """One seed of a learned expert, judged on worlds that neither trained it nor chose among seeds."""

    seed: int
    env_steps: Count
    steps_to_gate: Count | None = None  # when two evaluations in a row during training had met the gate's rates; None: never
    stopped: Literal["budget", "plateau"]
    selection: Score  # last evaluation during training: what chooses among seeds
    score: Score
    weights_sha256: Sha256


class ExpertPolicy(Record):
    """`approved` follows from a PASS; a draft is never recorded."""

    schema_id: Literal["expert-policy/1"] = "expert-policy/1"
    kind: Literal["scripted", "ppo"]
    world: str
    scenario: Name
    scenario_sha256: Sha256
    policy_sha256: Sha256  # of the script's sources, or of the weights
    seed: int  # of the worlds that it was judged on
    score: Score
    seeds: tuple[TrainedSeed, ...] = ()  # of a learned expert; `policy_sha256` is one of theirs
    state: Literal["draft", "approved"]
    diagnostics: tuple[str, ...]  # what an expert that is not approved missed, and by how much

    @property
    def training_steps(self) -> int:
        """Env steps that its training took, on all its seeds; a script takes none."""
        return sum(seed.env_steps for seed in self.seeds)


def best_seed(trained: Sequence[TrainedSeed]) -> TrainedSeed:
    """Which seed of a learned expert is recorded: the one with the most success less harm, then the highest return."""
    return max(trained, key=lambda seed: (seed.selection.success - seed.selection.harm, seed.selection.return_mean))
