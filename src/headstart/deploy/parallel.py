"""What `headstart.parallel_env` gives: PettingZoo's town, which refuses what it cannot answer. Needs the extra `pettingzoo`."""

from collections.abc import Mapping
from typing import Any

from headstart.core.errors import UsageError, shown
from headstart.deploy.checks import actions_of, seed_of
from headstart.worlds.api import Observations
from headstart.worlds.parallel import ByAgent, ParallelTown


class CheckedTown(ParallelTown):
    """A `ParallelTown`; UsageError for a step without agents, and for an action that is none; InputError for a bad seed."""

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ByAgent[Observations], ByAgent[dict[str, Any]]]:
        return super().reset(seed_of(seed), options)

    def step(
        self, actions: ByAgent[int]
    ) -> tuple[ByAgent[Observations], ByAgent[float], ByAgent[bool], ByAgent[bool], ByAgent[dict[str, Any]]]:
        self._require_agents("step")
        if not isinstance(actions, Mapping):
            raise UsageError(f"actions: expected a dict with one for each of {self.agents}, got {shown(actions)}")
        return super().step({agent: self._one(agent, action) for agent, action in actions.items()})

    def expert_actions(self) -> ByAgent[int]:
        self._require_agents("expert_actions")
        return super().expert_actions()

    def _one(self, agent: str, action: Any) -> int:
        try:
            return int(actions_of([action], self.action_space(agent), 1)[0])
        except UsageError as error:
            raise UsageError(f"{agent}: {error}") from None

    def _require_agents(self, name: str) -> None:
        if not self.agents:
            raise UsageError(f"{name}: expected reset() before it, since the episode has ended or none has begun")
