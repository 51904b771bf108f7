"""A recording of another program, opened for a first look: no scenario is needed, so its numbers stay as they are and are called by their place.

Every array of observations gives features: one for each number, up to MOST_NUMBERS, else the mean of each picture. Whole numbers as actions are
a choice between those that occur.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, shown
from headstart.core.files import read_bytes
from headstart.core.strict_json import parse_json
from headstart.dataset.episodes import Absent, Episodes, EpisodeTable
from headstart.dataset.formats import lerobot
from headstart.dataset.formats.minari_guard import METADATA
from headstart.dataset.formats.reading import read_recording
from headstart.dataset.formats.recording import EXPERT_ACTION, Recording, Tree, leaves
from headstart.dataset.inspection_open import Opened, undecided
from headstart.dataset.observation import ObservationSchema

MOST_NUMBERS = 1024  # of one array of an observation
MOST_ACTIONS = 1024  # that whole numbers are a choice between


def open_recording(kind: str, path: Path) -> Opened:
    """The recording at `path`. InputError for one that cannot be read, which names episode and row."""
    recording = read_recording(kind, path)
    count = len(recording.length)
    features, names = flattened(recording.observations, recording.steps)
    action, labels, actions = _actions(recording)
    reward = np.zeros(recording.steps) if recording.rewards is None else np.asarray(recording.rewards, np.float64).reshape(-1)
    last = np.zeros(recording.steps, bool)
    last[np.cumsum(recording.length) - 1] = True
    final = features[last] if recording.final_observations is None else flattened(recording.final_observations, count)[0]
    if final.shape[1] != features.shape[1]:
        raise InputError(
            f"{path}: expected final observations like the others, {features.shape[1]} numbers, got {final.shape[1]}"
        )
    truncated = np.ones(count, bool) if recording.truncated is None else recording.truncated
    wide = action.reshape(len(action), -1)
    schema = ObservationSchema(
        world=f"a recording ({kind})",
        features=names,
        actions=actions,
        action_low=() if actions else tuple(wide.min(axis=0).astype(float).tolist()),
        action_high=() if actions else tuple(wide.max(axis=0).astype(float).tolist()),
    )
    episodes = Episodes(
        observation={"features": features},
        action=action if actions else wide,
        expert_action=labels if actions else labels.reshape(len(action), -1),
        action_mask=None,
        reward=reward.astype(np.float32),
        reward_terms=np.zeros((recording.steps, 0), np.float32),
        terminated=last & np.repeat(~truncated, recording.length),
        truncated=last & np.repeat(truncated, recording.length),
        final_observation={"features": final},
        table=_table(recording, reward),
    )
    state = f"a recording ({kind}), before anything was made of it"
    return undecided(str(path), state, path, episodes, schema)._replace(absent=_absent(recording))


def flattened(tree: Tree, count: int) -> tuple[Array, tuple[str, ...]]:
    """[count, F] f32 and the names of the columns."""
    columns, names = list[Array](), list[str]()
    for name, array in leaves(tree):
        wide = np.asarray(array).reshape(count, -1)
        if wide.shape[1] > MOST_NUMBERS:
            columns.append(wide.mean(axis=1, dtype=np.float64)[:, None])
            names.append(f"{name or 'observation'} (mean)")
            continue
        columns.append(wide)
        names += [f"{name or 'observation'}[{i}]" for i in range(wide.shape[1])] if wide.shape[1] > 1 else [name or "observation"]
    if not columns:
        return np.zeros((count, 0), np.float32), ()
    return np.concatenate(columns, axis=1).astype(np.float32), tuple(names)


def _actions(recording: Recording) -> tuple[Array, Array, tuple[str, ...]]:
    """What was executed, the labels, and the names of the actions, none for numbers."""
    action = np.asarray(recording.actions)
    label = np.asarray(recording.infos.get(EXPERT_ACTION, action))
    if action.dtype.kind in "biu" and action.size == len(action):
        values, ids = np.unique(np.concatenate([action.reshape(-1), label.reshape(-1)]), return_inverse=True)
        if len(values) <= MOST_ACTIONS:
            return (
                ids[: len(action)].astype(np.int64),
                ids[len(action) :].astype(np.int64),
                tuple(f"action {int(v)}" for v in values),
            )
    return action.astype(np.float32), label.astype(np.float32), ()


def _table(recording: Recording, reward: Array) -> EpisodeTable:
    count = len(recording.length)
    number, zero = np.arange(count), np.zeros(count, np.int64)
    seeds = np.full(count, -1) if recording.seeds is None else recording.seeds
    return EpisodeTable(
        episode_id=number.astype("S16"),  # they are called by their place
        start=recording.start,
        length=recording.length,
        seed=seeds,
        world=number,
        episode=zero,
        agent=zero,
        total_reward=np.add.reduceat(reward, recording.start).astype(np.float32),
        success=np.ones(count, bool) if recording.success is None else recording.success,
        harm=np.zeros(count, bool) if recording.harm is None else recording.harm,
        behaviour={},
    )


def _absent(recording: Recording) -> tuple[Absent, ...]:
    there: dict[Absent, object] = {
        "rewards": recording.rewards,
        "ends": recording.terminated,
        "final_observations": recording.final_observations,
        "seeds": recording.seeds,
        "success": recording.success,
        "harm": recording.harm,
    }
    return tuple(name for name, value in there.items() if value is None)


# --- what the files say of themselves -----------------------------------------------------------------------------------

SAID = {  # of metadata.json and info.json → as a checklist names it
    "author": "author", "authors": "author", "author_email": "author", "license": "licence", "licence": "licence",
    "code_permalink": "source", "algorithm_name": "expert", "robot_type": "source", "env_spec": "environment", "description": "description",
}  # fmt: skip
CARD = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)  # of a README.md of Hugging Face


def said_of_itself(kind: str, path: Path) -> dict[str, str]:
    """What the metadata of a Minari or LeRobot dataset tell, under the names of a checklist; nothing of other formats."""
    found = dict[str, str]()
    for file in (path / METADATA, path / "data" / METADATA, path / lerobot.INFO):
        if kind in ("minari", "lerobot") and file.is_file():
            found |= _told(file)
    card = path / "README.md"
    if (
        kind in ("minari", "lerobot")
        and card.is_file()
        and (top := CARD.match(read_bytes(card, 1 << 20).decode(errors="replace")))
    ):
        lines = dict(line.split(":", 1) for line in top[1].splitlines() if ":" in line and not line.startswith(" "))
        found |= {SAID[key]: value.strip() for key, value in lines.items() if key in SAID and value.strip()}
    return found


def _told(file: Path) -> dict[str, str]:
    try:
        content = parse_json(read_bytes(file, 64 << 20), str(file), 64 << 20, max_values=1 << 24, infinite=True)
    except HeadstartError:  # the reader of the format says what is wrong with it
        return {}
    told: Mapping[str, object] = content if isinstance(content, dict) else {}
    return {SAID[key]: value if isinstance(value, str) else shown(value) for key, value in told.items() if key in SAID and value}
