"""The compiled town and the reference, stepped together: the only file that imports both."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from tests.worlds.reference.compare import named_differences, reward_differences, state_differences
from tests.worlds.reference.observe import features, view
from tests.worlds.reference.town import Event
from tests.worlds.reference.world import Outcome, make_world

from headstart.worlds.api import Task
from headstart.worlds.town.env import Town
from headstart.worlds.town.state import STATS

SEED, FIRST_WORLD = 17, 41
COUNTED = STATS[: STATS.index("lowest_need")]  # the others are measures
Policy = Callable[["Pair"], np.ndarray]  # → actions [N]


class Pair:
    """W compiled worlds and their references, stepped together. `step` fails at the first difference."""

    def __init__(self, scenario: dict[str, Any], worlds: int, respawn: bool = True) -> None:
        rules: dict[str, Any] = {name: scenario[name] for name in ("setup", "horizon")}
        task = Task("town", **rules, success=scenario["success"], harm=scenario["harm"])
        ids = range(FIRST_WORLD, FIRST_WORLD + worlds)
        self.compiled = Town(task, worlds, FIRST_WORLD, hybrid=True, respawn=respawn)
        self.references = [make_world(**rules, seed=SEED, world=id, respawn=respawn) for id in ids]
        self.rng = np.random.default_rng(SEED)

    def reset(self, stagger: bool = False) -> None:
        self.seen, _ = self.compiled.reset(seed=SEED, options={"stagger": stagger})
        for w, reference in enumerate(self.references):
            reference.reset(stagger)
            self.require_equal(w, "after the reset", self.view_differences(w))

    def step(self, policy: Policy) -> list[Outcome]:
        actions = policy(self)
        self.seen, reward, terminated, truncated, info = self.compiled.step(actions)
        outcomes = []
        for w, reference in enumerate(self.references):
            acts = self.rows(actions, w).tolist()
            when = f"in episode {reference.town.episode}, tick {reference.town.tick}, actions {acts}"
            outcomes.append(reference.step(acts))
            differences = chain(
                reward_differences(outcomes[w].reward, self.rows(info["reward_terms"], w), self.rows(reward, w)),
                self.flag_differences(w, outcomes[w], (terminated, truncated, info["episode_end"])),
                self.final_differences(w, outcomes[w], info),
                self.view_differences(w),
            )
            self.require_equal(w, when, differences)
        return outcomes

    def hook(self) -> None:
        """Set on both sides states that are rare in play: odd join ticks, recent meals, lives at their end, equal rivalries."""
        for reference, record in zip(self.references, self.compiled._worlds, strict=True):
            town = reference.town
            for agent, compiled in zip(town.agents, record["agent"], strict=False):
                agent.joined = compiled["joined"] = town.tick - int(self.rng.integers(60))
                agent.ate_at = compiled["ate_at"] = town.tick - int(self.rng.integers(10))
                agent.busy = compiled["busy"] = min(1, agent.busy)  # uses are finished
                for k, (need, last) in enumerate({"hunger": 300, "hygiene": 0, "energy": 100}.items()):
                    if self.rng.random() < 0.01:
                        agent.need[need] = compiled["need"][k] = last + int(self.rng.integers(60))
                if self.rng.random() < 0.2:
                    for other in town.others(agent):
                        edge = agent.id, other.id
                        town.rivalry[edge] = record["rivalry"][edge] = int(self.rng.choice([0, 400, 500, 500, 500, 520, 5060]))

    def require_equal(self, w: int, when: str, differences: Iterator[str]) -> None:
        first = next(differences, None)
        assert first is None, f"world {FIRST_WORLD + w} {when}: {first}"

    def rows(self, array: np.ndarray, w: int) -> np.ndarray:
        """[N, …] → [A, …] of world w."""
        return array.reshape(len(self.references), -1, *array.shape[1:])[w]

    def view_differences(self, w: int) -> Iterator[str]:
        """The state, and all observations of it."""
        reference = self.references[w]
        seen = {name: self.rows(array, w) for name, array in self.seen.items()}
        yield from state_differences(reference.town, self.compiled._worlds[w])
        for a, agent in enumerate(reference.town.agents):
            yield from named_differences(a, "mask", reference.mask(a), seen["mask"][a])
            yield from named_differences(a, "feature", features(reference.town, agent), seen["features"][a])
            yield from named_differences(a, "map", view(reference.town, agent), seen["map"][a])

    def flag_differences(self, w: int, outcome: Outcome, flags: tuple[np.ndarray, ...]) -> Iterator[str]:
        terminated, truncated, over = flags
        for name, expected, got in (("terminated", outcome.terminated, terminated), ("truncated", outcome.truncated, truncated)):
            if expected != self.rows(got, w).tolist():
                yield f"{name}: reference {expected}, compiled {self.rows(got, w).tolist()}"
        if outcome.over != over[w]:
            yield f"episode end: reference {outcome.over}, compiled {over[w]}"

    def final_differences(self, w: int, outcome: Outcome, info: dict[str, Any]) -> Iterator[str]:
        """Final observations, and the statistics of an episode that is over."""
        for what, last in (("features", outcome.final_features), ("map", outcome.final_map)):
            for a, expected in last.items():
                yield from named_differences(a, f"last {what}", expected, self.rows(info["final_obs"][what], w)[a])
        for a, stats in enumerate(outcome.stats):
            yield from named_differences(a, "statistics", stats, info["stats"][w, a])
            yield from named_differences(a, "ledger of", ledger(outcome.events, a), info["stats"][w, a, : len(COUNTED)])


def ledger(events: list[Event], a: int) -> dict[str, int]:
    """Counts of agent `a` from the list of events of its episode."""
    found: Counter[str] = Counter()
    for event in events:
        if event.agent == a:
            found[event.kind] += event.amount
    return {name: found[name] for name in COUNTED}
