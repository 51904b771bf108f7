"""PettingZoo's parallel environments (Terry et al. 2021) as copies that a `GymWorld` steps: A agents each, row = w·A + a."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, MissingExtra
from headstart.core.user_code import said
from headstart.worlds.gym_copies import MASK, Made, Start, Step, begun, drawn, each_of, require_drawn
from headstart.worlds.gym_setup import EnvironmentSetup
from headstart.worlds.gym_spaces import Acting, Observing

OBSERVATION = "observation"  # beside MASK in an observation space, by PettingZoo's convention


class Group:
    """One environment, whose A agents act at once.

    An agent that left, because it terminated or was truncated, is not stepped any more: its last observation and its flags
    stay as they are, its reward is 0 and its info empty.
    """

    def __init__(self, env: Any, where: str) -> None:
        self.env, self._where = env, where
        self.names = tuple(env.possible_agents)
        self._seen: list[Any] = []
        self._ends: list[Any] = []
        self._cuts: list[Any] = []

    def reset(self, *, seed: int) -> tuple[list[Any], list[dict[str, Any]]]:
        """Observation and info of every agent."""
        answer = self.env.reset(seed=seed)
        if set(self.env.agents) != set(self.names):
            raise InputError(
                f"{self._where}: reset: expected all of possible_agents, since agents that come later are not supported, got {self.env.agents}"
            )
        self._ends, self._cuts = [False] * len(self.names), [False] * len(self.names)
        told = [self._of(agent, answer, "reset: observation and info") for agent in self.names]
        self._seen = [seen for seen, _ in told]
        return list(self._seen), [info for _, info in told]

    def step(self, acts: Array) -> tuple[list[Any], list[Any], list[Any], list[Any], list[dict[str, Any]]]:
        """Actions [A, …] → of every agent its observation, reward, terminated, truncated, info."""
        chosen = dict(zip(self.names, each_of(acts), strict=True))
        answer = self.env.step({agent: chosen[agent] for agent in self.env.agents})
        if unknown := [agent for agent in self.env.agents if agent not in chosen]:
            raise InputError(f"{self._where}: step: expected agents of possible_agents, got {unknown[0]!r}")
        rewards: list[Any] = [0.0] * len(self.names)
        infos: list[dict[str, Any]] = [{} for _ in self.names]
        for a, agent in enumerate(self.names):
            if self._ends[a] or self._cuts[a]:
                continue
            self._seen[a], rewards[a], self._ends[a], self._cuts[a], infos[a] = self._of(
                agent, answer, "step: observation, reward, terminated, truncated and info"
            )
            if agent not in self.env.agents and not (np.any(self._ends[a]) or np.any(self._cuts[a])):
                raise InputError(f"{self._where}: step: {agent!r} left `agents`, expected terminated or truncated, got neither")
        return list(self._seen), rewards, list(self._ends), list(self._cuts), infos

    def _of(self, agent: Any, answer: Sequence[Mapping[Any, Any]], expected: str) -> list[Any]:
        """What an answer says of one agent, with its mask in the info."""
        try:
            seen, *others, info = (part[agent] for part in answer)
            if _tells_mask(self.env.observation_space(agent)):
                seen, mask = seen[OBSERVATION], seen[MASK]
                info = dict(info) | {MASK: mask}
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self._where}: {expected} of {agent!r}: expected one of each, got {error!r}") from None
        return [seen, *others, info]


class Groups:
    """W environments of A agents, stepped one after the other."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups, self._agents = groups, len(groups[0].names)

    def begin(self, starts: Mapping[int, Start]) -> dict[int, tuple[Any, dict[str, Any]]]:
        found = {w: begun(self._groups[w], start, None) for w, start in starts.items()}  # [A] observations, [A] infos
        return {w * self._agents + a: (seen[a], infos[a]) for w, (seen, infos) in found.items() for a in range(self._agents)}

    def step(self, acts: Array) -> Step:
        steps = [group.step(of) for group, of in zip(self._groups, acts, strict=True)]
        seen, rewards, ends, cuts, infos = ([row for of in part for row in of] for part in zip(*steps, strict=True))
        return seen, rewards, ends, cuts, infos

    def render(self) -> tuple[Array, ...]:
        return tuple(drawn(group.env) for group in self._groups)

    def close(self) -> None:
        for group in self._groups:
            group.env.close()


def made_groups(setup: EnvironmentSetup, num_worlds: int, render_mode: str | None = None) -> Made:
    """W environments. InputError for one that cannot be made, or whose agents differ in their spaces; MissingExtra without its package."""
    where = f"setup.id: {setup.id}"
    if render_mode is not None:
        one = _environment(setup, where)
        one.close()
        require_drawn(one.metadata, where)
        setup = setup.model_copy(update={"kwargs": {**setup.kwargs, "render_mode": render_mode}})
    groups = [Group(_environment(setup, where), where) for _ in range(num_worlds)]
    env, agents = groups[0].env, groups[0].names
    if not agents:
        raise InputError(f"{where}: expected possible_agents, got none")
    found = [(env.observation_space(agent), env.action_space(agent)) for agent in agents]
    for agent, (observed, acting) in zip(agents, found, strict=True):
        for kind, one, other in (("observations", found[0][0], observed), ("actions", found[0][1], acting)):
            if one != other:
                raise InputError(
                    f"{where}: expected agents with equal spaces, got {kind} {one} of {agents[0]!r} and {other} of {agent!r}; "
                    "`id: module:function` can return an environment whose wrapper makes them equal"
                )
    space = found[0][0]
    try:
        observing = Observing(space[OBSERVATION] if _tells_mask(space) else space, where)
        acting_space = Acting(found[0][1], where)
    except InputError as error:  # there is no `setup.wrappers` here
        raise InputError(
            str(error).replace("(setup.wrappers)", "(`id: module:function` can return the wrapped environment)")
        ) from None
    return Made(_classes(env), observing, acting_space, Groups(groups), tuple(map(str, agents)))


def _environment(setup: EnvironmentSetup, where: str) -> Any:
    """The parallel environment that a setup names."""
    module, _, name = setup.id.partition(":")
    name = name or "parallel_env"
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        cure = ""
        if missing == "pettingzoo":
            cure = "; run `pip install 'headstart[pettingzoo]'`"
        elif missing == module.partition(".")[0] and find_spec(missing) is None:
            cure = f": no module {missing!r} in the repository's root or among the installed packages"
        elif error.name and (module + ".").startswith(error.name + "."):
            raise InputError(f"{where}: expected a module that can be imported: {error}") from None
        raise MissingExtra(f"{where} needs a package that is not installed{cure} ({error})") from error
    except Exception as error:
        raise InputError(f"{where}: cannot be imported: {said(error, installed=False)}") from error
    if not callable(found):
        raise InputError(f"{where}: expected a function {name} in {module} that makes the environment, found none")
    try:
        env = found(**setup.kwargs)
    except HeadstartError:
        raise
    except Exception as error:
        raise InputError(f"{where}: cannot be made with {setup.kwargs}: {said(error, installed=False)}") from error
    if hasattr(env, "agent_iter"):
        raise InputError(
            f"{where}: expected a parallel environment, got one in which agents act in turn; pettingzoo.utils.aec_to_parallel may convert it"
        )
    if not hasattr(env, "possible_agents"):
        raise InputError(f"{where}: expected a pettingzoo.ParallelEnv, got {type(env).__name__}")
    return env


def _tells_mask(space: Space[Any]) -> bool:
    """Whether observations hold the mask of the actions beside what is observed."""
    return isinstance(space, spaces.Dict) and set(space.spaces) == {OBSERVATION, MASK}


def _classes(env: Any) -> tuple[type, ...]:
    """The classes of an environment, of its wrappers, and of the environment in turns that it was made of, outermost first."""
    inner = [vars(env)[name] for name in ("env", "aec_env") if name in getattr(env, "__dict__", {})]
    return (type(env), *(cls for one in inner for cls in _classes(one)))
