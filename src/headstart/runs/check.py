"""Is a scenario sound, before anything is trained on it: its worlds are played with random actions, and its gates compared with its numbers."""

import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import GateFailed, InputError
from headstart.runs.impossible import Impossible, expert_gates, impossible_gates
from headstart.runs.worlds import require_variants, worlds_of
from headstart.worlds.api import Observations, World

SEED = 1
STEPS = 1024  # of the play that is repeated
SHORT = 64  # before an expert is trained, and beside other copies
COPIES = 3
SECONDS = 4.0  # of one play of an environment that is slow
SEEDED = "draw every random number from a generator that reset(seed=…) seeds, as self.np_random, and look at no clock"


class Playing(NamedTuple):
    """T steps of one world with A agents under random actions that SEED fixes."""

    digests: Array  # [T + 1] u32, of all that the world shows and counts after reset and after each step
    features: Array  # [T + 1, A, F] f32
    reward: Array  # [T, A] f32
    ends: int  # episodes that ended before the horizon
    episodes: int  # that ended


class Found(NamedTuple):
    """What was looked at: a line for a person, and what to do if it is wrong."""

    name: str
    says: str
    cure: str = ""  # empty: nothing is wrong
    gate: bool = False  # a gate that cannot be met, rather than an environment that cannot be trusted


def require_sound(params: Params, scenario: Scenario) -> None:
    """The cheap part, before an expert is trained; `require_possible` looks at the gates of later stages.

    InputError for an environment that cannot be trusted, GateFailed for a gate that cannot be met.
    """
    require_variants(params, scenario)
    world = worlds_of(scenario, "training", 1, params.capture.observation)
    found = [of_gate(gate) for gate in expert_gates(params, scenario)]
    found += _repeated(params, scenario, world, SHORT)[1]
    world.close()
    raise_for(scenario, found)


def require_possible(params: Params, scenario: Scenario) -> None:
    """GateFailed for gates that the settings cannot meet, whatever is trained."""
    world = worlds_of(scenario, "training", 1, params.capture.observation)
    gates = impossible_gates(params, scenario, world)
    world.close()
    raise_for(scenario, [of_gate(gate) for gate in gates])


def raise_for(scenario: Scenario, found: list[Found]) -> None:
    """Raise what is wrong, if anything is, with its cures."""
    wrong = [one for one in found if one.cure]
    if wrong:
        error = GateFailed if all(one.gate for one in wrong) else InputError
        raise error(f"scenarios/{scenario.name}.yaml: " + "\n  ".join(f"{one.says}\n    cure: {one.cure}" for one in wrong))


def examine(params: Params, scenario: Scenario) -> Iterator[Found]:
    """Everything that can be seen in half a minute, as it is found. InputError where the worlds cannot be made or played."""
    require_variants(params, scenario)
    world = worlds_of(scenario, "training", 1, params.capture.observation)
    yield from _spaces(world)
    played, wrong = _repeated(params, scenario, world, STEPS)
    steps = len(played.reward)
    yield from wrong or [Found("repeats", f"{steps:,} steps again: the same bits, also after other episodes")]
    if not wrong:
        yield _elsewhere(params, scenario, played)
    yield from _numbers(scenario, world, played)
    gates = impossible_gates(params, scenario, world)
    yield from map(of_gate, gates)
    world.close()


def of_gate(gate: Impossible) -> Found:
    """A gate that cannot be met, as a finding."""
    return Found("gates", gate.says, gate.cure, gate=True)


# --- play -----------------------------------------------------------------------------------------------------------------


def play_at_random(world: World, steps: int, seconds: float = SECONDS) -> Playing:
    """Allowed actions at random, for so many steps, or fewer where the time is over; what the first world shows is kept.

    InputError for a failure of the environment's code.
    """
    began, rows = 0.0, world.num_agents
    draws = [np.random.default_rng(SEED + w) for w in range(world.num_worlds)]
    rewards: list[Array] = []
    obs, _ = world.reset(seed=SEED)
    digests, features, ends, episodes = [_digest(_of_first(obs, rows))], [obs["features"][:rows].copy()], 0, 0
    while len(rewards) < steps and (len(rewards) < 2 or time.perf_counter() - began < seconds):
        if len(rewards) == 1:
            began = time.perf_counter()  # the first step may compile
        obs, reward, terminated, truncated, info = world.step(_random_actions(world, obs, draws))
        counters = info["stats"] if info["episode_end"][0] else world.running_stats
        told = {"counters": counters[:1], "reward": reward[:rows], "ends": np.stack([terminated, truncated])[:, :rows]}
        digests.append(_digest(_of_first(obs, rows) | told))
        features.append(obs["features"][:rows].copy())
        rewards.append(reward[:rows].copy())
        ends += int(info["episode_end"][0] & ~truncated[:rows].any())
        episodes += int(info["episode_end"][0])
    return Playing(np.array(digests), np.array(features), np.array(rewards), ends, episodes)


def _random_actions(world: World, obs: Observations, draws: list[np.random.Generator]) -> Array:
    """The first world's do not depend on how many there are."""
    size = world.num_agents, len(world.names.actions or world.names.action_low)
    drawn = np.concatenate([draw.random(size) for draw in draws])
    if not world.names.actions:
        low, high = np.array(world.names.action_low), np.array(world.names.action_high)
        return np.asarray(low + drawn * (high - low))
    return np.asarray(np.where(obs["mask"] != 0, drawn, -1.0).argmax(axis=1))


def _of_first(obs: Observations, rows: int) -> Observations:
    """What the first world shows."""
    return {name: column[:rows] for name, column in obs.items()}


def _digest(arrays: Observations) -> int:
    return zlib.crc32(b"".join(np.ascontiguousarray(arrays[key]).tobytes() for key in sorted(arrays)))


def _repeated(params: Params, scenario: Scenario, world: World, steps: int) -> tuple[Playing, list[Found]]:
    """A play in fresh worlds twice, and once in worlds that have been used; what differs."""
    observation = params.capture.observation
    first = play_at_random(world, steps)
    steps = len(first.reward)
    fresh = worlds_of(scenario, "training", 1, observation)
    second = play_at_random(fresh, steps, np.inf)
    fresh.close()
    if at := _differ(first, second):
        where = _where(world, first, second, at)
        return first, [Found("repeats", f"the same seed and actions give another episode: {where}", SEEDED)]
    again = play_at_random(world, steps, np.inf)
    if at := _differ(first, again):
        where = _where(world, first, again, at)
        cure = "reset(seed=…) must set everything that an episode depends on; a wrapper with a running mean does not"
        return first, [Found("repeats", f"an episode depends on those before it: {where}", cure)]
    several = worlds_of(scenario, "training", COPIES, observation)
    beside = play_at_random(several, min(steps, SHORT), np.inf)
    several.close()
    if at := _differ(first, beside):
        where = _where(world, first, beside, at)
        cure = "every call that makes the environment must make a new one, and nothing may be kept by the class or the module"
        return first, [Found("repeats", f"an episode depends on copies that are played beside it: {where}", cure)]
    return first, []


def _differ(one: Playing, other: Playing) -> int:
    """1 + the first step after which two plays differ; 0: nowhere."""
    both = min(len(one.digests), len(other.digests))
    differing = np.flatnonzero(one.digests[:both] != other.digests[:both])
    return int(differing[0]) + 1 if len(differing) else 0


def _where(world: World, one: Playing, other: Playing, at: int) -> str:
    features = np.flatnonzero((one.features[at - 1] != other.features[at - 1]).any(axis=0))
    what = world.names.features[features[0]] if len(features) else "reward, end, counter, mask or picture"
    return f"{what} after {at - 1} steps"


def _elsewhere(params: Params, scenario: Scenario, played: Playing) -> Found:
    """The same play in another process, in which hashes have another salt."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        digests = pool.submit(_digests, scenario, params.capture.observation, len(played.reward)).result()
    if (digests != played.digests).any():
        at = int(np.flatnonzero(digests != played.digests)[0])
        cure = "nothing may depend on the order of a set, on hash(), on the clock or on a file that changes"
        return Found("process", f"another process plays another episode, from step {at} on", cure)
    return Found("process", f"{len(played.reward):,} steps in a second process: the same bits")


def _digests(scenario: Scenario, observation: str, steps: int) -> Array:
    world = worlds_of(scenario, "training", 1, observation)
    try:
        return play_at_random(world, steps, np.inf).digests
    finally:
        world.close()


# --- what is shown --------------------------------------------------------------------------------------------------------


def _spaces(world: World) -> Iterator[Found]:
    names = world.names
    if names.features:
        yield Found("shows", f"{len(names.features)} features: {_few(names.features)}")
    if names.map_channels:
        yield Found("shows", f"a picture of {len(names.map_channels)} channels, {names.map_size} × {names.map_size}")
    yield Found(
        "takes", f"{len(names.actions)} actions: {_few(names.actions)}" if names.actions else f"{len(names.action_low)} numbers"
    )
    yield Found("counts", f"{', '.join(names.stats)}")


def _numbers(scenario: Scenario, world: World, played: Playing) -> Iterator[Found]:
    """What the play showed: episodes, keys of info, constant features, rewards."""
    steps = len(played.reward)
    limit = f"the others at the horizon of {world.horizon}"
    yield Found(
        "ends",
        f"{played.ends} of {played.episodes} episodes end by themselves, {limit}"
        if played.episodes
        else (f"no episode ends within {steps:,} steps of random play; each is cut at the horizon of {world.horizon}"),
    )
    if played.episodes and hasattr(world, "require_told"):
        try:
            world.require_told()
        except InputError as error:
            text, _, cure = str(error).rpartition("; ")
            yield Found("info", text, cure)
    values = np.concatenate(played.features)  # [(T + 1)·N, F]
    constant = [name for name, still in zip(world.names.features, np.ptp(values, axis=0) == 0, strict=True) if still]
    if constant:
        yield Found("constant", f"{len(constant)} of {values.shape[1]} features: {_few(constant)}")
    limits = np.array(scenario.feature_limits)[:, None] if np.isfinite(scenario.feature_limits).all() else world.feature_bounds
    beyond = ((values < limits[0].astype(np.float32)) | (values > limits[1].astype(np.float32))).any(axis=0)
    if beyond.any():
        column = int(np.flatnonzero(beyond)[0])
        shown = f"{world.names.features[column]} shows {values[:, column].min():.4g} to {values[:, column].max():.4g}"
        cure = "correct the observation space of the environment, or set feature_range in the scenario file"
        yield Found(
            "range", f"{int(beyond.sum())} features leave their bounds, which `validate` refuses: {shown}", cure, gate=True
        )
    bad = int((~np.isfinite(values)).sum() + (~np.isfinite(played.reward)).sum())
    if bad:
        yield Found("finite", f"{bad} numbers are not finite", "show and pay finite numbers only")
    rewards = np.unique(played.reward)
    if len(rewards) == 1 and not scenario.constant_reward:
        yield Found("reward", f"every step paid {rewards[0]:g}; if the world always does, set constant_reward: true")
    else:
        yield Found("reward", f"{rewards[0]:g} … {rewards[-1]:g}")


def _few(names: "tuple[str, ...] | list[str]", most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" … {names[-1]}" if len(names) > most else "")
