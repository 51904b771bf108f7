"""Is what was replayed what is recorded? Every column of every step; the first difference is kept, with both values."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.core.arrays import Array
from headstart.view.play_dataset import Found
from headstart.worlds.api import Observations


@dataclass
class Proof:
    """What came of a replay."""

    steps: int
    same: int = 0  # steps from the first on that are the same in every column
    column: str = ""  # in which the step `same` differs; empty: in none
    recorded: Any = None
    replayed: Any = None
    why_not: str = ""  # why nothing was replayed
    rounded: bool = False  # what follows may differ by the rounding of real actions
    outcome: dict[str, Any] = field(default_factory=dict)  # length, return, success, harm and counters, as the replay has them

    @property
    def differs(self) -> bool:
        return bool(self.column)

    @property
    def text(self) -> str:
        """One line."""
        if self.why_not:
            return f"not replayed ({self.why_not})"
        if not self.differs:
            more = (
                f"; real actions are recorded as float32, whose rounding tells later (first in {self.column})"
                if self.rounded
                else ""
            )
            return f"recorded == replayed: {self.same} of {self.steps} steps{more}"
        return (
            f"recorded != replayed: first at step {self.same} of {self.steps}, {self.column}: "
            f"recorded {self.recorded}, replayed {self.replayed}"
        )

    def found(self, step: int, name: str, recorded: Any, replayed: Any) -> None:
        if not self.column:
            self.same, self.column, self.recorded, self.replayed = step, name, recorded, replayed


class Held:
    """The steps of an episode, to which a replay is held; differences go to the proof."""

    def __init__(self, found: Found, proof: Proof) -> None:
        self.episodes, self.e, self.schema, self.proof = found.episodes, found.e, found.header.observation, proof
        self.start = int(found.episodes.table.start[found.e])

    def before(self, k: int, seen: Observations) -> None:
        """Observation and mask of step k."""
        row = self.start + k
        for name, column in self.episodes.observation.items():
            same(self.proof, k, name, column[row], seen[name], self.schema.features)
        if self.episodes.action_mask is not None:
            mask = self.episodes.action_mask[row]
            same(self.proof, k, "action_mask", mask, seen["mask"].astype(bool), self.schema.actions)

    def chosen(self, k: int, choice: Any, made: Any | None) -> None:
        """What the script chose in step k, and what its slips made of it, where they are known."""
        row = self.start + k
        same_action(self.proof, k, "expert_action", self.episodes.expert_action[row], choice, self.schema.actions)
        if made is not None:
            same_action(self.proof, k, "action", self.episodes.action[row], made, self.schema.actions)

    def after(self, k: int, terms: Array, **outcome: Any) -> None:
        """What followed the action of step k."""
        row = self.start + k
        same(self.proof, k, "reward_terms", self.episodes.reward_terms[row], terms, self.schema.reward_terms)
        for name, value in outcome.items():
            same(self.proof, k, name, getattr(self.episodes, name)[row], value, ())

    def end(self, k: int, final: Observations, ended: bool) -> None:
        """The end after step k, and the final observation."""
        steps = self.proof.steps
        if not ended:
            self.proof.found(k, "end", "the last step", "the episode goes on")
        elif k < steps - 1:
            self.proof.found(k + 1, "end", f"{steps} steps", f"the episode ends after {k + 1}")
        for name, column in self.episodes.final_observation.items():
            same(self.proof, k, f"final {name}", column[self.e], final[name], self.schema.features)


def same(proof: Proof, k: int, name: str, recorded: Any, replayed: Any, parts: tuple[str, ...]) -> None:
    """Note a difference in any bit; NaN equals NaN."""
    recorded, replayed = np.asarray(recorded), np.asarray(replayed)
    if recorded.dtype.kind == "f" and replayed.dtype.kind == "f":
        differ = ~((recorded == replayed) | (np.isnan(recorded) & np.isnan(replayed)))
    else:
        differ = recorded != replayed
    if not np.any(differ):
        return
    if recorded.ndim == 0:
        proof.found(k, name, said(recorded), said(replayed))
        return
    at = tuple(int(i) for i in np.argwhere(differ)[0])
    part = parts[at[0]] if len(at) == 1 and len(parts) == len(recorded) else ", ".join(map(str, at))
    label = {"features": "observation", "final features": "final observation"}.get(name, name)
    proof.found(k, f"{label} {part}", said(recorded[at]), said(replayed[at]))


def same_action(proof: Proof, k: int, name: str, recorded: Any, replayed: Any, names: tuple[str, ...]) -> None:
    if names:
        if int(recorded) != int(replayed):
            proof.found(k, name, named(int(recorded), names), named(int(replayed), names))
        return
    same(proof, k, name, recorded, np.asarray(replayed, np.float32), ())


def named(action: int, names: tuple[str, ...]) -> str:
    return names[action] if 0 <= action < len(names) else str(action)


def said(value: Any) -> str:
    number = value.item()
    return f"{number:.9g}" if isinstance(number, float) else str(number)


def near(proof: Proof, k: int, rows: Observations, recorded: Observations, names: tuple[str, ...], label: str) -> None:
    for name, value in recorded.items():
        far = ~np.isclose(rows[name][0], value, rtol=1e-4, atol=1e-5)
        if far.any():
            at = tuple(int(i) for i in np.argwhere(far)[0])
            part = names[at[0]] if name == "features" else f"{name} {at}"
            proof.found(k, f"{label} {part}", said(value[at]), said(rows[name][0][at]))
