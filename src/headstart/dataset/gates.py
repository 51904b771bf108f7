"""Every gate of a dataset: valid rows, complete and unique episodes, enough data, a proven origin. `curation` rejects single episodes.

A gate gives one Check that names the first offenders; one that does not apply to this world gives none, and one that needs what a recording of
another program lacks says so. Dtypes and shapes need no gate: `read_episodes` refuses a file in which one is wrong.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from headstart.config.params import MIN_REPLAYED, ValidateParams
from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.statistics import wilson_lower
from headstart.core.verdict import Check, Value, at_least, at_most, equal, hold_or_fail, not_applicable, unmeasured
from headstart.dataset.alignment import observation_repeats
from headstart.dataset.curation import repeats_earlier
from headstart.dataset.episodes import Absent, Episodes, columns_of
from headstart.dataset.episodes_file import ESTIMATED
from headstart.dataset.lags import MAX_ADVANTAGE, lag_agreement
from headstart.dataset.manifest import Block
from headstart.dataset.metrics import forbidden
from headstart.dataset.observation import ObservationSchema

FAR = 1e3  # interquartile ranges from the median: a value beyond is a fault of the recording or of the environment
LOG_ROUNDING = 1e-5  # nats, of float32
UNBOUNDED = 1e30  # a space that says more, as the greatest float, says nothing


class Dataset(NamedTuple):
    """A curated dataset whose episodes tile the steps, and its limits."""

    episodes: Episodes
    heldout: Array  # [E] bool, the side of the split
    schema: ObservationSchema
    scenario: Scenario
    limits: ValidateParams
    blocks: tuple[Block, ...]  # each is the demonstrations of one clone
    bounds: Array | None = None  # [2, F] of the world's features, infinite where it has none; None: it has none at all
    absent: tuple[Absent, ...] = ()  # what a recording of another program does not have
    slip: float = 0.0  # of the header: the share of actions that the recording replaced by random ones
    random: Episodes | None = None  # episodes of the environment under random actions, beside such a recording

    @property
    def recorded(self) -> bool:
        """Whether the demonstrations were recorded by another program, and not by the stage capture."""
        return self.scenario.demonstrations is not None


class Provenance(NamedTuple):
    """Facts on the origin that the episodes do not contain."""

    seed: int  # `capture.seed`
    expert_sha256: str  # of the expert as it is now
    recorded_sha256: str  # of the policy that the capture recorded
    replayed: int  # episodes that were simulated again from seed and recorded actions
    differing: int  # of these, how many differ in any column
    no_replay: str | None = None  # why none could be


def dataset_gates(data: Dataset, provenance: Provenance) -> list[Check]:
    """Every gate of a dataset. Raises InputError if the scenario names an action that the world does not have."""
    return [*_values(data), *_structure(data), *_learnable(data), *_provenance(data, provenance), *_split(data)]


def thresholds(data: Dataset) -> dict[str, Value]:
    """All limits that `dataset_gates` applies, under the names that they have in params.yaml and the scenario file."""
    low, high = (limit if np.isfinite(limit) else None for limit in data.scenario.feature_limits)
    shares = {f"min_action_share.{action}": share for action, share in data.scenario.min_action_share.items()}
    rules: dict[str, Value] = {"feature_range.low": low, "feature_range.high": high, "min_replayed": MIN_REPLAYED}
    if data.recorded:
        rules["max_lag_advantage"] = MAX_ADVANTAGE
    return data.limits.model_dump() | rules | shares | {"constant_reward": data.scenario.constant_reward}


# --- rows and episodes ------------------------------------------------------------------------------------------------


def _values(data: Dataset) -> Iterator[Check]:
    """Numbers are finite, and within the ranges of the scenario and the world."""
    episodes = data.episodes
    columns = {f"observation/{name}": column for name, column in episodes.observation.items()}
    columns |= {f"final_observation/{name}": column for name, column in episodes.final_observation.items()}
    columns |= {name: getattr(episodes, name) for name in ("action", "expert_action", "reward", "reward_terms")}
    columns["total_reward"] = episodes.table.total_reward
    columns |= {path: column for path, column in columns_of(episodes).items() if path in ESTIMATED}
    bad = {name: int(np.sum(~np.isfinite(column))) for name, column in columns.items()}
    yield _counted("finite-values", bad, "values that are not finite")
    yield _feature_range(data)
    yield _action_range(data)
    if episodes.expert_log_prob is not None and episodes.action_mask is not None:
        yield _log_prob_range(episodes.expert_log_prob, episodes.action_mask, data.slip)
    if "rewards" in data.absent:
        yield not_applicable("reward-sums", "<=", 0, "rewards are not recorded")
    else:
        yield _reward_sums(episodes)


def _feature_range(data: Dataset) -> Check:
    """Every feature within its limits, at every step and at the end."""
    said = np.array(data.scenario.feature_limits, np.float32)
    seen = [observation["features"] for observation in (data.episodes.observation, data.episodes.final_observation)]
    limits = np.tile(said[:, None], (1, seen[0].shape[1])) if np.isfinite(said).all() else _measured_limits(data, seen[0])
    outside = sum(np.sum((features < limits[0]) | (features > limits[1]), axis=0) for features in seen)
    bad = dict(zip(data.schema.features, np.asarray(outside).tolist(), strict=True))
    least, most = (
        min(float(np.min(part, initial=np.inf)) for part in seen),
        max(float(np.max(part, initial=-np.inf)) for part in seen),
    )
    where = f"{said[0]} to {said[1]}" if np.isfinite(said).all() else "the bounds of their space or, without, of the recording"
    return _counted("feature-range", bad, f"all lie in {least:.4g} to {most:.4g}; out of {where}")


def _measured_limits(data: Dataset, features: Array) -> Array:
    """[2, F]: the bounds of the world where it has some, else FAR interquartile ranges to both sides of the median of features [N, F]."""
    with np.errstate(invalid="ignore"):  # values that are not finite have a gate of their own
        low, middle, high = np.quantile(features, [0.25, 0.5, 0.75], axis=0)
        reach = FAR * np.where(high > low, high - low, 1.0)  # a feature that is mostly at rest has no range
    bounds = np.stack([np.full(features.shape[1], side) for side in (-np.inf, np.inf)]) if data.bounds is None else data.bounds
    return np.where(np.abs(bounds) < UNBOUNDED, bounds, np.stack([middle - reach, middle + reach])).astype(np.float32)


def _action_range(data: Dataset) -> Check:
    """Action ids in the vocabulary 0..K−1, or continuous actions within their bounds; executed and expert's alike."""
    if data.schema.actions:
        low, high = np.array([0]), np.array([len(data.schema.actions) - 1])
    else:
        low, high = (np.array(bound, np.float32) for bound in (data.schema.action_low, data.schema.action_high))
    bad = {}
    for name in ("action", "expert_action"):
        column = getattr(data.episodes, name).reshape(-1, len(low))
        bad[name] = int(np.sum(((column < low) | (column > high)).any(axis=1)))
    return _counted("action-range", bad, "steps out of range")


def _log_prob_range(log_prob: Array, mask: Array, slip: float) -> Check:
    """Of named actions: a probability is at most 1, and at least that of a slip to this one of the allowed actions."""
    with np.errstate(divide="ignore"):
        least = np.log(slip / np.maximum(1, mask.sum(axis=1)))
    bad = {
        "above 0": int(np.sum(log_prob > LOG_ROUNDING)),
        f"below those of a slip of {slip:g}": int(np.sum(log_prob < least - LOG_ROUNDING)),
    }
    return _counted("expert-log-prob", bad, "log-probabilities")


def _reward_sums(episodes: Episodes) -> Check:
    """Terms add up to the reward, rewards to the episode's total, up to float32 rounding."""
    start = episodes.table.start
    size = np.add.reduceat(np.abs(episodes.reward), start, dtype=np.float64)
    total = np.add.reduceat(episodes.reward, start, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is no sum, and counts as one that is off
        bad = {"episodes": int(np.sum(~(np.abs(total - episodes.table.total_reward) <= 1e-4 * (1 + size))))}
        if episodes.reward_terms.shape[1]:
            terms = episodes.reward_terms.astype(np.float64)
            gap = np.abs(terms.sum(axis=1) - episodes.reward)
            bad["steps"] = int(np.sum(~(gap <= 1e-4 * (1 + np.abs(terms).sum(axis=1)))))
    return _counted("reward-sums", bad, "that do not add up")


def _structure(data: Dataset) -> Iterator[Check]:
    """Actions were allowed; an episode ends once, at its last step, by termination or truncation; no two have one id or one content."""
    episodes = data.episodes
    table, terminated, truncated = episodes.table, episodes.terminated, episodes.truncated
    last = np.zeros(len(terminated), bool)
    last[table.start + table.length - 1] = True
    repeated = np.ones(len(table.episode_id), bool)
    repeated[np.unique(table.episode_id, return_index=True)[1]] = False
    if episodes.action_mask is not None:
        yield _placed("action-mask", forbidden(episodes), "steps with a forbidden action, first at row")
    if "ends" in data.absent:
        yield from (not_applicable(name, "<=", 0, "how episodes end is not recorded") for name in ("one-end", "one-kind-of-end"))
    else:
        yield _placed("one-end", (terminated | truncated) != last, "ends missing or misplaced, first at row")
        yield _placed("one-kind-of-end", terminated & truncated, "steps both terminated and truncated, first at row")
    yield _placed("unique-ids", repeated, "episodes with the id of an earlier one, first is episode")
    yield _placed("unique-content", repeats_earlier(episodes), "episodes that repeat an earlier one, first is episode")
    yield observation_repeats(episodes, "final_observations" not in data.absent)
    if data.recorded:
        yield lag_agreement(episodes, len(data.schema.actions), data.random)


# --- enough to learn --------------------------------------------------------------------------------------------------


def _learnable(data: Dataset) -> Iterator[Check]:
    """There are enough episodes, they succeed, and neither their actions nor their rewards are all the same."""
    least, rewards = min(block.accepted.episodes for block in data.blocks), data.episodes.reward
    labels = data.episodes.expert_action[_decisions(data.episodes)]
    text = f"{least} episodes in the smallest of {len(data.blocks)} blocks"
    yield at_least("enough-episodes", least, data.limits.min_episodes, text, len(data.episodes.table.length))
    if "success" in data.absent:
        yield not_applicable("success-rate", ">=", data.limits.min_success_rate, "success is not recorded")
    else:
        yield _success_rate(data)
    if data.scenario.min_action_share:
        yield _action_coverage(data, labels)
    yield _majority_action(labels, data.limits.max_majority_share)
    if "rewards" in data.absent:
        yield not_applicable("reward-varies", ">=", 2, "rewards are not recorded")
    elif not data.scenario.constant_reward:
        values = len(np.unique(rewards))
        yield at_least("reward-varies", values, 2, f"{values} distinct rewards", len(rewards))


def _success_rate(data: Dataset) -> Check:
    """Wilson lower bound of the success rate over worlds: agents of one world, and their lives, share its success and count once."""
    worlds, index = np.unique(data.episodes.table.world, return_inverse=True)
    failed = np.bincount(index, weights=~data.episodes.table.success) > 0
    n, k, least = len(worlds), int(np.sum(~failed)), data.limits.min_success_rate
    text = f"{k} of {n} worlds succeed; one-sided 95 % lower bound"
    return at_least("success-rate", wilson_lower(k, n), least, text, n, hold_or_fail(k / n >= least))


def _action_coverage(data: Dataset, labels: Array) -> Check:
    """Every action that the scenario names has its share of the expert's decisions."""
    wanted, actions = data.scenario.min_action_share, data.schema.actions
    if unknown := sorted(set(wanted) - set(actions)):
        raise InputError(
            f"{data.scenario.name}.yaml, min_action_share: no action {unknown}; there are {', '.join(actions) or 'none'}"
        )
    shares = {name: float(np.sum(labels == actions.index(name))) / max(1, len(labels)) for name in wanted}
    short = [f"{name} {shares[name]:.4f} < {least}" for name, least in wanted.items() if shares[name] < least]
    return at_most("action-coverage", len(short), 0, f"below their share: {', '.join(short) or 'none'}", len(labels))


def _majority_action(labels: Array, limit: float) -> Check:
    """The expert's most frequent choice is not nearly all of them: accuracy on such data would mean nothing.

    Continuous actions are counted in cells of 0.01.
    """
    if not len(labels):
        return unmeasured("majority-action", "<=", limit, "no step leaves a choice")
    cells = labels if labels.ndim == 1 else np.round(labels, 2)
    counts = np.unique(cells, axis=0, return_counts=True)[1]
    share = float(counts.max()) / len(labels)
    text = f"the most frequent of {len(counts)} choices takes {share:.3f} of {len(labels)} decisions"
    return at_most("majority-action", share, limit, text, len(labels))


# --- where it is from -------------------------------------------------------------------------------------------------


def _provenance(data: Dataset, found: Provenance) -> Iterator[Check]:
    """The approved expert was recorded, with the seed that was asked for, and the recording can be reproduced."""
    episodes, n = data.episodes, found.replayed
    text = "the episodes are from the files at hand" if data.recorded else "the recorded policy is the expert"
    yield equal("expert-hash", found.recorded_sha256, found.expert_sha256, text)
    if found.no_replay is not None:
        yield not_applicable("replay-sample", ">=", MIN_REPLAYED, found.no_replay)
        yield not_applicable("replay-mismatches", "<=", 0, found.no_replay)
        yield not_applicable("seeds", "<=", 0, found.no_replay)
        return
    yield at_least("replay-sample", n, MIN_REPLAYED, _sample_text(n, len(episodes.table.length)), n)
    yield at_most("replay-mismatches", found.differing, 0, f"{found.differing} of {n} differ from the recording", n)
    if data.recorded:
        return
    others = sorted(set(np.unique(episodes.table.seed).tolist()) - {found.seed})
    yield at_most("seeds", len(others), 0, f"seeds other than {found.seed}: {others or 'none'}")


def _sample_text(n: int, all_episodes: int) -> str:
    """How many were simulated again, and of a sample how probable it is that it has none of the wrong ones."""
    if n >= all_episodes:
        return f"all {n} episodes simulated again"
    wrong = [k for k in (1, 10, 100) if k <= all_episodes]
    missed = [math.prod((all_episodes - n - i) / (all_episodes - i) for i in range(k)) for k in wrong]
    odds = ", ".join(f"{k} with {max(0.0, p):.3f}" for k, p in zip(wrong, missed, strict=True))
    return f"{n} of {all_episodes} episodes simulated again; so many wrong ones would be missed with probability: {odds}"


def _split(data: Dataset) -> Iterator[Check]:
    """No held-out world is used for training, and neither side is empty."""
    world, heldout = data.episodes.table.world, data.heldout
    held, train = np.unique(world[heldout]), np.unique(world[~heldout])
    leaked = np.intersect1d(held, train).tolist()
    yield at_most("split-leak", len(leaked), 0, f"worlds on both sides: {leaked[:10] or 'none'}", len(heldout))
    inside = [[int(((side >= b.first_world) & (side <= b.last_world)).sum()) for side in (train, held)] for b in data.blocks]
    text = f"{len(train)} worlds to train, {len(held)} held out; fewest worlds of a side in any of {len(inside)} blocks"
    yield at_least("split-sides", min(map(min, inside)), 1, text)


def _decisions(episodes: Episodes) -> Array:
    """[N] bool: steps at which the mask leaves a choice; all without masks."""
    mask = episodes.action_mask
    return np.ones(len(episodes.reward), bool) if mask is None else np.asarray(mask.sum(axis=1) >= 2)


def _counted(name: str, bad: dict[str, int], what: str) -> Check:
    found = [f"{column} {count}" for column, count in bad.items() if count]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return at_most(name, sum(bad.values()), 0, f"{what}: {', '.join(found[:5]) or 'none'}{more}")


def _placed(name: str, hits: Array, what: str) -> Check:
    places = np.flatnonzero(hits)
    text = f"{len(places)} {what} {places[0]}" if len(places) else "none"
    return at_most(name, len(places), 0, text, len(hits))
