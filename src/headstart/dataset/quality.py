"""How good is each recorded episode, and which are kept: metrics, curation rules, and the split by world.

Every array is [E], one entry an episode; 4,000 episodes of 128 steps take well under a second.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.record import Record
from headstart.dataset.episodes import Episodes
from headstart.dataset.structure import rows_of


@dataclass(frozen=True)
class EpisodeMetrics:
    """One entry an episode. What only discrete actions have is None for continuous ones."""

    length: Array  # [E] i64 steps
    reward_sum: Array  # [E] f64
    reward_mean: Array  # [E] f64, per step
    action_entropy: Array | None  # [E] f64 nats, of the executed actions
    majority_share: Array | None  # [E] f64, share of steps with the most frequent action
    waiting_share: Array | None  # [E] f64, share of steps with the waiting action; None where the world has none
    violations: Array  # [E] i64, steps whose executed action its mask forbids; 0 without masks


class CurateRules(Record):
    """What an episode must be to be learned from; None and True switch a rule off."""

    min_steps: int = Field(default=10, ge=1)
    min_return: float | None = None  # undiscounted sum of rewards
    max_harm: int | None = Field(default=None, ge=0)  # 0: an episode with harm is rejected
    require_success: bool = False
    max_violations: int = Field(default=0, ge=0)
    allow_duplicates: bool = False  # by content; the first of several is kept
    allow_terminated: bool = True  # false where an early end is a failure, such as fainting


def episode_metrics(episodes: Episodes, waiting_action: int | None = None) -> EpisodeMetrics:
    """Metrics of every episode. Raises InputError if the episode table does not tile the steps."""
    rows = rows_of(episodes)
    length = np.asarray(episodes.table.length, np.int64)
    reward_sum = np.bincount(rows, weights=episodes.reward, minlength=len(length))
    counts = _action_counts(episodes, rows)
    entropy = majority = waiting = None
    if counts is not None:
        share = counts / length[:, None]  # [E, K]
        entropy = -np.sum(share * np.log(np.where(share > 0, share, 1)), axis=1)
        majority = share.max(axis=1)
        if waiting_action is not None:
            waiting = share[:, waiting_action] if waiting_action < share.shape[1] else np.zeros(len(length))
    return EpisodeMetrics(
        length=length,
        reward_sum=reward_sum,
        reward_mean=reward_sum / length,
        action_entropy=entropy,
        majority_share=majority,
        waiting_share=waiting,
        violations=np.bincount(rows, weights=forbidden(episodes), minlength=len(length)).astype(np.int64),
    )


def reject_reasons(episodes: Episodes, metrics: EpisodeMetrics, rules: CurateRules) -> list[list[str]]:
    """For each of E episodes the codes of all rules that it breaks; an empty list: accepted."""
    table = episodes.table
    last = table.start + table.length - 1
    broken = {
        "too-short": metrics.length < rules.min_steps,
        "not-finite": ~_finite_episodes(episodes),
        # Written so that a return that is not a number is low.
        "low-return": ~(metrics.reward_sum >= (-np.inf if rules.min_return is None else rules.min_return)),
        "harm": np.asarray(table.harm, int) > (np.inf if rules.max_harm is None else rules.max_harm),
        "no-success": ~table.success.astype(bool) & rules.require_success,
        "constraint-violation": metrics.violations > rules.max_violations,
        "terminated": episodes.terminated[last].astype(bool) & (not rules.allow_terminated),
    }
    if not rules.allow_duplicates:
        broken["duplicate"] = repeats_earlier(episodes)
    reasons: list[list[str]] = [[] for _ in range(len(table.length))]
    for code, hits in broken.items():
        for episode in np.flatnonzero(hits):
            reasons[episode].append(code)
    return reasons


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
    """[E] bool: same observations, actions and rewards as an earlier episode, whatever its id.

    Observations, the bulk of the bytes, are hashed only where actions and rewards agree already.
    """
    spans = list(zip(episodes.table.start.tolist(), episodes.table.length.tolist(), strict=True))
    light = (episodes.action, episodes.expert_action, episodes.reward)
    keys = _digests(light, spans)
    times = Counter(keys)
    alike = [index for index, key in enumerate(keys) if times[key] > 1]
    observations = tuple(episodes.observation[name] for name in sorted(episodes.observation))
    for index, digest in zip(alike, _digests(observations, [spans[i] for i in alike]), strict=True):
        keys[index] += digest
    seen: set[bytes] = set()
    repeated = np.zeros(len(keys), bool)
    for index, key in enumerate(keys):
        repeated[index] = key in seen
        seen.add(key)
    return repeated


def split_by_world(worlds: Array, heldout_share: float, seed: int) -> Array:
    """[E] world ids → [E] bool, true for held-out; all episodes of a world fall on one side.

    A world's side follows from the splitmix64 hash of (seed, world) alone, so that adding worlds moves no
    other. Only if that leaves a side of two or more worlds empty, the world nearest to the border changes
    over.
    """
    if not 0 < heldout_share < 1:
        raise InputError(f"the held-out share must lie between 0 and 1, got {heldout_share}")
    distinct, index = np.unique(np.asarray(worlds, np.int64), return_inverse=True)
    draw = _splitmix64(distinct.astype(np.uint64) + _splitmix64(np.array([seed % 2**64], np.uint64)))
    heldout = draw < np.uint64(heldout_share * 2**64)
    if len(distinct) > 1 and not heldout.any():
        heldout[np.argmin(draw)] = True
    elif len(distinct) > 1 and heldout.all():
        heldout[np.argmax(draw)] = False
    return np.asarray(heldout[index])


def _splitmix64(x: Array) -> Array:
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014) on [n] u64; products wrap modulo 2⁶⁴."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _action_counts(episodes: Episodes, rows: Array) -> Array | None:
    """[E, K] times that an episode executed each action; None for continuous actions."""
    action = episodes.action
    if action.ndim != 1:
        return None
    actions = episodes.action_mask.shape[1] if episodes.action_mask is not None else int(action.max()) + 1
    if action.min() < 0 or action.max() >= actions:
        raise InputError(f"expected action ids 0..{actions - 1}, got {action.min()}..{action.max()}")
    cells = len(episodes.table.length) * actions
    return np.bincount(rows * actions + action, minlength=cells).reshape(-1, actions)


def _digests(columns: tuple[Array, ...], spans: list[tuple[int, int]]) -> list[bytes]:
    flat = [np.ascontiguousarray(column).reshape(len(column), -1).view(np.uint8) for column in columns]
    digests = []
    for start, length in spans:
        digest = hashlib.blake2b(digest_size=16)
        for column in flat:
            digest.update(column[start : start + length].reshape(-1).data)
        digests.append(digest.digest())
    return digests
