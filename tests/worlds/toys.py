"""Small Gymnasium environments with one property each, as a user's module would register them: `tests.worlds.toys:Name-v0`."""

import os
import sys
from copy import deepcopy
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium import spaces

ROW, CHOICE = spaces.Box(-1, 1, (3,)), spaces.Discrete(2)


class Shown(gym.Env):  # type: ignore[type-arg]
    """Shows samples of any space, takes actions of any space, and keeps them; ends after `length` steps."""

    def __init__(self, observed: gym.Space[Any] = ROW, acting: gym.Space[Any] = CHOICE, length: int = 5) -> None:
        self.observation_space, self.action_space, self.length = (
            deepcopy(observed),
            acting,
            length,
        )  # a space has a stream of its own
        self.taken: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.t = 0
        return self.observation_space.sample(), self.info()

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        assert self.action_space.contains(action), f"{action!r} is none of {self.action_space}"
        self.taken.append(action)
        self.t += 1
        return self.observation_space.sample(), float(np.sum(action)), self.t == self.length, False, self.info()

    def info(self) -> dict[str, Any]:
        return {}


class Telling(Shown):
    """info of step t: `cost` −1, 2, 0, 1, 0; `goal` only in step 2; `nested` a dict."""

    def info(self) -> dict[str, Any]:
        told = {"cost": [-1, 2, 0, 1, 0][(self.t - 1) % 5], "nested": {"a": self.t}} if self.t else {}
        return told | ({"goal": True} if self.t == 2 else {})


class Masked(Shown):
    """Allows action t mod K only, by info; nothing at the end of the episode."""

    def info(self) -> dict[str, Any]:
        return {"action_mask": (np.arange(2) == self.t % 2) & (self.t < self.length)}


class Asked(Shown):
    """Allows by the method of sb3-contrib, over the parts in a row."""

    def __init__(self) -> None:
        super().__init__(acting=spaces.MultiDiscrete([2, 3]))

    def action_masks(self) -> list[bool]:
        return [True, self.t > 0, False, True, True]


class Faulty(Shown):
    """From the second step of world `of` on (told by its first observation's sign), something is wrong."""

    def __init__(self, fault: str) -> None:
        super().__init__(length=50)
        self.fault = fault

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        seen, reward, terminated, truncated, info = super().step(action)
        match self.fault if self.t == 3 else "":
            case "nan":
                seen[1] = np.nan
            case "shape":
                seen = np.zeros(4, np.float32)
            case "reward":
                reward = float("inf")
            case "numeral":
                reward = "1.0"
            case "nothing":
                reward = None
            case "huge":
                reward = 1e39
            case "half":
                terminated = 0.5
            case "letters":
                seen = np.array(["a", "b", "c"])
            case "additive":
                info = {"action_mask": np.array([0.0, -np.inf])}
            case "exit":
                sys.exit(0)
            case "end":
                os._exit(0)
            case "word":
                reward = "much"
            case "flag":
                terminated = np.zeros(1, bool)
            case "none":
                info = {"action_mask": np.zeros(2)}
            case "crash":
                reward = 1 / (self.t - 3)
            case "text":
                info = {"cost": "much"}
            case "silent":
                info = None  # type: ignore[assignment]
        return seen, reward, terminated, truncated, info


class Counting(Shown):
    """An episode depends on how many there were before."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        _, info = super().reset(seed=seed)
        self.episodes += 1
        return np.full(3, 1 / self.episodes, np.float32), info


class Drifting(Shown):
    """Draws from a stream that no seed sets."""

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        _, *rest = super().step(action)
        return np.random.default_rng().random(3, np.float32), *rest  # type: ignore[return-value]


class Gambling(Shown):
    """Tells a number of info that no seed sets."""

    def info(self) -> dict[str, Any]:
        return {"cost": np.random.default_rng().random()}


class Sharing(Shown):
    """All copies count their steps together."""

    clock: ClassVar = [0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.clock[0] = 0
        return super().reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.clock[0] += 1
        seen, reward, _, truncated, info = super().step(action)
        return seen, reward, self.clock[0] >= self.length, truncated, info


class Halved(Shown):
    """Tells a mask in every second copy only, and from the first step on."""

    made: ClassVar = [0]

    def __init__(self) -> None:
        super().__init__()
        self.made[0] += 1
        self.tells = self.made[0] % 2 == 0

    def info(self) -> dict[str, Any]:
        return {"action_mask": np.array([1, 0])} if self.tells else {}


class Salted(Shown):
    """Depends on the salt of hashes, which every process has of its own."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        _, info = super().reset(seed=seed)
        return np.full(3, hash("salt") / 2**63, np.float32), info


class Still(Shown):
    """Pays nothing, and one of its features is the same for ever."""

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        seen, _, *rest = super().step(action)
        seen[1] = 0.5
        return seen, 0.0, *rest  # type: ignore[return-value]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        seen, info = super().reset(seed=seed)
        seen[1] = 0.5
        return seen, info


class Endless(Shown):
    def __init__(self) -> None:
        super().__init__(length=1 << 30)


class Arcade(gym.Env):  # type: ignore[type-arg]
    """Frames of 84 × 84 as of stacked grey Atari frames, channels first; the side that is bright is the action that pays."""

    observation_space, action_space = spaces.Box(0, 255, (4, 84, 84), np.uint8), CHOICE

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self._frame(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.side)
        return self._frame(), reward, False, False, {}

    def _frame(self) -> Any:
        self.side = int(self.np_random.integers(2))
        frame = np.zeros((4, 84, 84), np.uint8)
        frame[:, :, 42 * self.side : 42 * self.side + 42] = 255
        return frame


class Narrow(gym.ActionWrapper):  # type: ignore[type-arg]
    """Sets bounds where the environment has none."""

    def __init__(self, env: gym.Env[Any, Any], bound: float = 2.0) -> None:
        super().__init__(env)
        self.action_space = spaces.Box(-bound, bound, (1,))

    def action(self, action: Any) -> Any:
        return action


class Doubled(gym.ObservationWrapper):  # type: ignore[type-arg]
    """Shows twice what its space says."""

    def observation(self, observation: Any) -> Any:
        return 2 * observation


def not_a_wrapper(env: gym.Env[Any, Any]) -> int:
    return 3


for _one in (
    Shown,
    Telling,
    Masked,
    Asked,
    Faulty,
    Counting,
    Drifting,
    Gambling,
    Sharing,
    Halved,
    Salted,
    Still,
    Endless,
    Arcade,
):
    gym.register(f"{_one.__name__}-v0", _one)
