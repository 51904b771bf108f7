"""Which recorded episodes are accepted or rejected: curation rules, the split by world, and the index of all episodes with reasons.

4,000 episodes of 128 steps and 180 features take about a second.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from headstart.config.params import CurateParams
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.files import write_bytes
from headstart.dataset.episodes import Episodes, EpisodeTable
from headstart.dataset.inspection_episodes import robust_z
from headstart.dataset.near_duplicates import near_repeats

INDEX_COLUMNS = (
    "episode_id", "seed", "world", "episode", "agent", "length", "total_reward", "success", "harm", "accepted", "split", "reasons",
)  # fmt: skip
INDEX_TOP = ("# episode-index/1", "\t".join(INDEX_COLUMNS))
BEHAVIOUR = ("one-action", "blocked", "low-outlier")
COMMON = 0.02  # share of the episodes
TELLING = 20  # steps that an episode needs before one action tells anything
FLAGS = {"true": True, "false": False}


class Judged(NamedTuple):
    """What the rules say of E episodes."""

    reasons: list[list[str]]  # [E] codes of all rules that an episode breaks; empty: accepted
    spared: dict[str, int]  # rule of BEHAVIOUR → episodes that break it, where they are too many to be faults


def judged(episodes: Episodes, rules: CurateParams, metrics: Mapping[str, Array]) -> Judged:
    """Every rule on every episode; `metrics` are those of `metrics_of`.

    A rule of BEHAVIOUR tells a fault only where few episodes break it. What more than COMMON of them do belongs to the task.
    """
    broken = broken_rules(episodes, rules, metrics)
    few = COMMON * len(episodes.table.length)
    spared = {code: int(broken[code].sum()) for code in BEHAVIOUR if broken[code].sum() > max(1, few)}
    hits = {code: column for code, column in broken.items() if code not in spared}
    return Judged([[code for code in hits if hits[code][e]] for e in range(len(episodes.table.length))], spared)


def broken_rules(episodes: Episodes, rules: CurateParams, metrics: Mapping[str, Array]) -> dict[str, Array]:
    """Rule → [E] bool."""
    table, off = episodes.table, np.zeros(len(episodes.table.length), bool)
    returns = metrics["reward_sum"]
    again = repeats_earlier(episodes) if rules.reject_duplicates or rules.reject_near_duplicates else off
    alike = near_repeats(episodes) & ~again if rules.reject_near_duplicates else off
    return {
        "too-short": table.length < rules.min_steps,
        "not-finite": ~_finite_episodes(episodes),
        # Written so that a return that is not a number is low.
        "low-return": off if rules.min_return is None else ~(returns >= rules.min_return),
        "harm": table.harm & rules.reject_harm,
        "no-success": ~table.success & rules.require_success,
        "constraint-violation": (metrics["violations"] > 0) & rules.reject_violations,
        "duplicate": again & rules.reject_duplicates,  # the first of several is kept
        "near-duplicate": alike,
        "one-action": (metrics["action_share"] == 1) & (table.length >= TELLING) & rules.reject_one_action,
        "blocked": off if rules.max_blocked_share is None else metrics["blocked_share"] > rules.max_blocked_share,
        "low-outlier": off if rules.max_return_drop is None else robust_z(returns) < -rules.max_return_drop,
    }


def write_index(path: Path, table: EpisodeTable, heldout: Array, reasons: Sequence[Sequence[str]]) -> None:
    """Write a TSV of all episodes, rejected ones with their reasons (`episode-index/1`), atomically.

    One comment line with the schema id, one with the column names, then a row an episode. `heldout` [E] bool is the side of the
    split for accepted episodes. Floats keep every bit: `repr` is the shortest text that does.
    """
    lines = [*INDEX_TOP, *index_lines(table, heldout, reasons)]
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def index_lines(table: EpisodeTable, heldout: Array, reasons: Sequence[Sequence[str]]) -> list[str]:
    """A line an episode."""
    lines = []
    for e, why in enumerate(reasons):
        numbers = [int(getattr(table, name)[e]) for name in INDEX_COLUMNS[1:6]]
        flags = [str(bool(flag)).lower() for flag in (table.success[e], table.harm[e], not why)]
        split = "none" if why else "heldout" if heldout[e] else "train"
        cells = [table.episode_id[e].decode(), *numbers, repr(float(table.total_reward[e])), *flags, split, ",".join(why)]
        lines.append("\t".join(map(str, cells)))
    return lines


def read_index(path: Path) -> tuple[EpisodeTable, list[list[str]], list[str]]:
    """The table of all recorded episodes, without behaviours, and for each why it was rejected; and the lines.

    InputError for a file that `write_index` does not write.
    """
    try:
        *lines, end = path.read_text("utf-8").split("\n")
        top, lines = tuple(lines[:2]), lines[2:]
        cells = list(zip(*(line.split("\t") for line in lines), strict=True))
        text = dict(zip(INDEX_COLUMNS, cells, strict=True))
        counts = {name: np.array([int(value) for value in text[name]], np.int64) for name in INDEX_COLUMNS[1:6]}
        flags = {name: np.array([FLAGS[value] for value in text[name]], bool) for name in ("success", "harm")}
        total = np.array([float(value) for value in text["total_reward"]], np.float32)
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: expected an index as `curate` writes it: {error}") from None
    if end or top != INDEX_TOP:
        raise InputError(f"{path}: expected {INDEX_TOP[0]!r}, the names of the columns, and a line an episode")
    start = np.cumsum(counts["length"]) - counts["length"]
    ids = np.array([value.encode() for value in text["episode_id"]], "S16")
    table = EpisodeTable(episode_id=ids, start=start, total_reward=total, behaviour={}, **counts, **flags)
    return table, [value.split(",") if value else [] for value in text["reasons"]], lines


def split_by_world(worlds: Array, heldout_share: float, seed: int) -> Array:
    """[E] world ids → [E] bool, true for held-out; all episodes of a world fall on one side.

    A world's side follows from the splitmix64 hash of (seed, world) alone, so that adding worlds moves no other. Only if that
    leaves a side of two or more worlds empty, the world nearest to the border changes sides.
    """
    distinct, index = np.unique(np.asarray(worlds, np.int64), return_inverse=True)
    draw = _splitmix64(distinct.astype(np.uint64) + _splitmix64(np.array([seed % 2**64], np.uint64)))
    heldout = draw < np.uint64(heldout_share * 2**64)
    if len(distinct) > 1 and not heldout.any():
        heldout[np.argmin(draw)] = True
    elif len(distinct) > 1 and heldout.all():
        heldout[np.argmax(draw)] = False
    return np.asarray(heldout[index])


def _finite_episodes(episodes: Episodes) -> Array:
    """[E] bool: no NaN and no infinity in features or rewards, the final observation included."""
    finite = np.isfinite(episodes.observation["features"]).all(axis=1) & np.isfinite(episodes.reward)
    whole = np.logical_and.reduceat(finite, episodes.table.start)
    return np.asarray(whole & np.isfinite(episodes.final_observation["features"]).all(axis=1))


def repeats_earlier(episodes: Episodes) -> Array:
    """[E] bool: same observations, actions and rewards as an earlier episode, whatever its id."""
    first = _digests(episodes, ("action", "expert_action", "reward"), ())
    shared = Counter(first)
    some = [e for e, digest in enumerate(first) if shared[digest] > 1]  # only of these the observations decide
    whole, seen = _digests(episodes, (), sorted(episodes.observation), some), set[bytes]()
    repeated = np.zeros(len(first), bool)
    for e, digest in zip(some, whole, strict=True):
        repeated[e] = first[e] + digest in seen
        seen.add(first[e] + digest)
    return repeated


def _digests(
    episodes: Episodes, steps: Sequence[str], observations: Sequence[str], some: Sequence[int] | None = None
) -> list[bytes]:
    """Of columns of each episode, or of `some`."""
    columns = [getattr(episodes, name) for name in steps] + [episodes.observation[name] for name in observations]
    columns = [np.ascontiguousarray(column) for column in columns]
    found, table = [], episodes.table
    for e in range(len(table.length)) if some is None else some:
        digest = hashlib.blake2b(digest_size=16)
        for column in columns:
            digest.update(column[table.start[e] : table.start[e] + table.length[e]].data)
        found.append(digest.digest())
    return found


def _splitmix64(x: Array) -> Array:
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014) on [n] u64; products wrap modulo 2⁶⁴."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
