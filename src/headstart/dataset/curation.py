"""Which recorded episodes are accepted or rejected: curation rules, the split by world, and the index of all episodes with reasons.

4,000 episodes of 128 steps and 180 features take about a second.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.config.params import CurateParams
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.files import write_bytes
from headstart.dataset.episodes import Episodes, EpisodeTable

INDEX_COLUMNS = (
    "episode_id", "seed", "world", "episode", "agent", "length", "total_reward", "success", "harm", "accepted", "split", "reasons",
)  # fmt: skip
INDEX_TOP = ("# episode-index/1", "\t".join(INDEX_COLUMNS))
FLAGS = {"true": True, "false": False}


def reject_reasons(episodes: Episodes, rules: CurateParams) -> list[list[str]]:
    """For each of E episodes the codes of all rules that it breaks; an empty list: accepted."""
    table = episodes.table
    returns = np.add.reduceat(episodes.reward, table.start, dtype=np.float64)
    broken = {
        "too-short": table.length < rules.min_steps,
        "not-finite": ~_finite_episodes(episodes),
        # Written so that a return that is not a number is low.
        "low-return": ~(returns >= (-np.inf if rules.min_return is None else rules.min_return)),
        "harm": table.harm & rules.reject_harm,
        "no-success": ~table.success & rules.require_success,
        "constraint-violation": np.logical_or.reduceat(forbidden(episodes), table.start),
        "duplicate": repeats_earlier(episodes),  # the first of several is kept
    }
    return [[code for code, hits in broken.items() if hits[episode]] for episode in range(len(table.length))]


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


def forbidden(episodes: Episodes) -> Array:
    """[N] bool: the executed action was not allowed by its mask; all false without masks."""
    mask = episodes.action_mask
    if mask is None:
        return np.zeros(len(episodes.action), bool)
    inside = (episodes.action >= 0) & (episodes.action < mask.shape[1])
    allowed = mask[np.arange(len(mask)), np.where(inside, episodes.action, 0)]
    return np.asarray(~(inside & allowed))


def repeats_earlier(episodes: Episodes) -> Array:
    """[E] bool: same observations, actions and rewards as an earlier episode, whatever its id."""
    observations = (episodes.observation[name] for name in sorted(episodes.observation))
    columns = [np.ascontiguousarray(c) for c in (episodes.action, episodes.expert_action, episodes.reward, *observations)]
    table, seen, repeated = episodes.table, set[bytes](), np.zeros(len(episodes.table.start), bool)
    for e, (start, end) in enumerate(zip(table.start, table.start + table.length, strict=True)):
        digest = hashlib.blake2b(digest_size=16)
        for column in columns:
            digest.update(column[start:end].data)
        repeated[e] = digest.digest() in seen
        seen.add(digest.digest())
    return repeated


def _splitmix64(x: Array) -> Array:
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014) on [n] u64; products wrap modulo 2⁶⁴."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
