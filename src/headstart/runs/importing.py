"""A user's recording as episodes: held to the spaces of the environment, judged by the scenario's predicates, and dealt to blocks."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.scenario import Recorded, Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.strict_json import sha256_json
from headstart.dataset.episodes import Absent, Episodes, EpisodeTable, Header, episode_ids
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.formats.reading import files_of, read_recording
from headstart.dataset.formats.recording import Recording
from headstart.runs.recorded import Source
from headstart.runs.recorded_steps import steps_of
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, World
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_info import FIRST, GATHER, OWN_STATS
from headstart.worlds.gym_setup import GymSetup

WRITER = "import-1"  # increase it when other bytes are written for the same recording


def import_recording(params: Params, scenario: Scenario, source: Recorded, to: Path) -> tuple[Source, str]:
    """Write the episodes of the recording that a scenario names to `to`; what was found, and what else to say of it.

    InputError names episode and row of what is damaged or does not fit the environment.
    """
    files = files_of(Path(source.path))
    recording = read_recording(source.format, Path(source.path))
    episodes, header = converted(recording, params, scenario, sha256_json(files), source.format == "hdf5")
    remarks = _contradicted(recording, episodes.table, source) + _ends_at_horizon(recording, scenario.horizon)
    write_episodes(to, episodes, header)
    found = Source(
        sha256=header.policy_sha256,
        format=source.format,
        files=files,
        seed=header.seed,
        episodes=len(episodes.table.length),
        steps=len(episodes.reward),
        absent=header.absent,
        score=_score(episodes, header, scenario.measures),
    )
    return found, remarks


def converted(
    recording: Recording, params: Params, scenario: Scenario, sha256: str, ours: bool = False
) -> tuple[Episodes, Header]:
    """A sound recording as episodes; `ours`: its observations and actions are those of the contract of worlds already.

    Episodes are dealt to `capture.blocks` in turn, as cards are, so that a recording that changes on the way gives all blocks the same mix.
    Ids of worlds count the dealt episodes; the counter `recorded_episode` is the number of an episode in the file.
    """
    where = f"{scenario.demonstrations.path if scenario.demonstrations else 'recording'}"
    blocks, count = params.capture.blocks, len(recording.length)
    if count < 2 * blocks:
        raise InputError(
            f"{where}: expected at least two episodes for each of {blocks} blocks (capture.blocks), got {count}; record more, or set fewer "
            "seeds and blocks in the scenario's recipe"
        )
    world = worlds_of(scenario, "capture", 1, params.capture.observation)
    steps = steps_of(recording, world, where, ours)  # before the horizon: of another environment all is wrong
    if (longest := int(recording.length.max())) > scenario.horizon:
        episode = int(recording.length.argmax())
        raise InputError(
            f"{where}: expected episodes of at most {scenario.horizon} steps (horizon), episode {episode} has {longest}; "
            f"set `horizon: {longest}` in the scenario file"
        )
    absent = _absent(recording)
    success, harm = (
        _outcome(recording, world, scenario, getattr(scenario, name), getattr(world, name), getattr(recording, name))
        for name in ("success", "harm")
    )
    absent += tuple(name for name, known in (("success", success), ("harm", harm)) if known is None)  # type: ignore[misc]
    order = np.argsort(np.arange(count) % blocks, kind="stable")
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=sha256,
        seed=params.capture.seed,
        observation=schema_of(world),
        writer_version=WRITER,
        absent=absent,
    )
    table = _table(recording, header, order, steps["reward"], success, harm)
    rows = np.concatenate(
        [np.arange(start, start + n) for start, n in zip(recording.start[order], recording.length[order], strict=True)]
    )
    observation, final = steps.pop("observation"), steps.pop("final")
    return Episodes(
        observation={name: column[rows] for name, column in observation.items()},
        final_observation={name: column[order] for name, column in final.items()},
        action_mask=None if (mask := steps.pop("mask")) is None else mask[rows],
        table=table,
        **{name: column[rows] for name, column in steps.items()},
    ), header


def _absent(recording: Recording) -> tuple[Absent, ...]:
    there: dict[Absent, Any] = {
        "rewards": recording.rewards,
        "ends": recording.terminated,
        "final_observations": recording.final_observations,
        "seeds": recording.seeds,
    }
    return tuple(name for name, value in there.items() if value is None)


# --- episodes -----------------------------------------------------------------------------------------------------------


def _outcome(
    recording: Recording, world: World, scenario: Scenario, sentences: tuple[str, ...], predicate: Any, said: Array | None
) -> Array | None:
    """[E] bool of a predicate: by its counters, else as the recording says; None where neither is there."""
    counters = counters_of(recording, scenario) if isinstance(world, GymWorld) else {}
    if all(sentence.split()[1] in counters for sentence in sentences):
        stats = np.zeros((len(recording.length), 1, len(world.names.stats)))
        for name, values in counters.items():
            stats[:, 0, world.names.stats.index(name)] = values
        return np.asarray(predicate(stats), bool)
    return said


def _contradicted(recording: Recording, table: EpisodeTable, source: Recorded) -> str:
    """What the predicates decided otherwise than the recording says: they count. InputError if it is half of the episodes or more.

    Files of headstart keep the success of the scenario in which they were recorded, and are not refused.
    """
    number, lines = table.behaviour["recorded_episode"], ""
    for name in ("success", "harm"):
        if (told := getattr(recording, name)) is None:
            continue
        wrong = np.sort(number[told[number].astype(bool) != getattr(table, name)])
        line = f"{name} of the file differs from the scenario's predicates in {len(wrong)} of {len(told)} episodes"
        if len(wrong) * 2 >= len(told) and source.format != "hdf5":
            cure = "take the array out of the file, or correct the predicates"
            raise InputError(f"{source.path}: {line}, first {wrong[0]}: {cure}")
        lines += f"; {line}, first {wrong[0]}: the predicates count" if len(wrong) else ""
    return lines


def _ends_at_horizon(recording: Recording, horizon: int) -> str:
    """A remark where every episode of `horizon` steps is said to be terminated: recorders confuse that with the time limit."""
    whole = recording.length == horizon
    if recording.terminated is None or not whole.any() or not recording.terminated[whole].all():
        return ""
    return (
        f"; {whole.sum()} episodes of {horizon} steps (horizon) are terminated: if the time limit ended them, they are truncated"
    )


def counters_of(recording: Recording, scenario: Scenario) -> dict[str, Array]:
    """Counter of a Gymnasium scenario → its value at the end of each episode [E], of those that the recording tells."""
    start = recording.start
    found: dict[str, Array | None] = {
        "return": None if recording.rewards is None else np.add.reduceat(np.asarray(recording.rewards, np.float64), start),
        "steps": recording.length,
        "terminated": recording.terminated,
    }
    assert set(found) == set(OWN_STATS)
    for key, how in GymSetup.model_validate(dict(scenario.setup)).info.items():
        column = recording.infos.get(key)
        found[key] = (
            None
            if column is None
            else _gathered(np.asarray(column, np.float64).reshape(recording.steps), start, recording.length, how.gather)
        )
    return {name: values for name, values in found.items() if values is not None}


def _gathered(column: Array, start: Array, length: Array, how: str) -> Array:
    """[E] from one value a step, as `GATHER` does it step by step."""
    assert how in GATHER and set(FIRST) == {"any", "sum"}
    match how:
        case "last":
            return np.asarray(column[start + length - 1])
        case "any":
            return np.logical_or.reduceat(column != 0, start).astype(np.float64)
        case _:
            ufunc: np.ufunc = {"sum": np.add, "max": np.maximum, "min": np.minimum}[how]
            return np.asarray(ufunc.reduceat(column, start))


def _table(
    recording: Recording, header: Header, order: Array, reward: Array, success: Array | None, harm: Array | None
) -> EpisodeTable:
    length, count = recording.length[order], len(order)
    worlds = FIRST_WORLD["capture"] + np.arange(count)
    seeds = np.full(count, header.seed) if recording.seeds is None else recording.seeds[order]
    zero = np.zeros(count, np.int64)
    return EpisodeTable(
        episode_id=episode_ids(header.scenario_sha256, header.policy_sha256, seeds, worlds, zero, zero),
        start=np.cumsum(length) - length,
        length=length,
        seed=seeds,
        world=worlds,
        episode=zero,
        agent=zero,
        total_reward=np.add.reduceat(reward, recording.start, dtype=np.float32)[order],
        success=np.ones(count, bool) if success is None else success[order],
        harm=np.zeros(count, bool) if harm is None else harm[order],
        behaviour={"recorded_episode": order.astype(np.int32)},
    )


def _score(episodes: Episodes, header: Header, measures: Iterable[str]) -> Score | None:
    """Of the recorded episodes; None where the recording does not have all of it."""
    table, own = episodes.table, {"return": episodes.table.total_reward, "steps": episodes.table.length}
    if {"rewards", "success", "harm"} & set(header.absent):
        return None
    return Score(
        episodes=len(table.length),
        success=int(table.success.sum()),
        harm=int(table.harm.sum()),
        return_mean=float(table.total_reward.mean(dtype=np.float64)),
        return_sd=float(table.total_reward.std(dtype=np.float64)),
        measures={name: float(own[name].mean()) for name in measures if name in own},
    )
