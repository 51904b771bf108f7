"""What the validation of a dataset needs: the facts that others measured, and the scenario's limits."""

from dataclasses import dataclass
from typing import NamedTuple

from pydantic import Field

from headstart.core.arrays import Array
from headstart.core.record import Record
from headstart.dataset.episodes import Episodes
from headstart.dataset.observation import ObservationSchema


@dataclass(frozen=True)
class DatasetFacts:
    """What cannot be read off the episodes themselves. None: not established, which is a HOLD."""

    expert_approved: bool | None
    expert_sha256: str | None  # of the expert as it is now
    recorded_expert_sha256: str | None  # of the policy that the capture says it ran
    replayed_episodes: int | None  # sampled and simulated again from seed and recorded actions
    replay_mismatches: int | None  # of these, how many differ anywhere in observation, reward or end
    heldout: Array | None  # [E] bool, the split
    requested_seeds: tuple[int, ...] | None


class DatasetLimits(Record):
    """Thresholds of a scenario. Shares are of decision steps: those whose mask leaves a choice."""

    success_min: float = Field(ge=0, le=1)  # one-sided 95 % Wilson lower bound over worlds
    feature_low: float
    feature_high: float
    feature_ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)  # exceptions, by name
    episodes_min: int = 200
    action_share_min: dict[str, float] = Field(default_factory=dict)  # action → share of expert's choices
    behaviour_share_min: dict[str, float] = Field(default_factory=dict)  # behaviour → share of episodes
    majority_share_max: float = 0.90
    reward_clip: tuple[float, float] | None = None  # None: the world does not clip
    reward_saturated_max: float = 0.05  # share of steps at a clip bound
    constant_reward: bool = False  # true for worlds that pay the same every step
    replay_episodes_min: int = 20


class Dataset(NamedTuple):
    """A dataset that is soundly put together, as the gates over its contents see it."""

    episodes: Episodes
    schema: ObservationSchema
    limits: DatasetLimits
    rows: Array  # [N] i64, the episode of each row
