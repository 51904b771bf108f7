"""Gates over a dataset's values: is every row legal, is every episode whole and single, is there anything
to learn.

Each takes a Dataset whose structure is sound and gives one Check that names all offenders it found, or None
where the gate does not apply to this world.
"""

from collections.abc import Iterable

import numpy as np

from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.statistics import wilson_lower
from headstart.core.verdict import Check, at_least, at_most, hold_or_fail, unmeasured
from headstart.dataset.facts import Dataset
from headstart.dataset.quality import forbidden, repeats_earlier


def finite_values(data: Dataset) -> Check:
    """No NaN and no infinity in any column of reals."""
    episodes = data.episodes
    columns = {f"observation/{name}": column for name, column in episodes.observation.items()}
    columns |= {f"final_observation/{name}": column for name, column in episodes.final_observation.items()}
    for name in ("action", "expert_action", "reward", "reward_terms"):
        columns[name] = getattr(episodes, name)
    columns["total_reward"] = episodes.table.total_reward
    reals = {name: column for name, column in columns.items() if column.dtype.kind == "f"}
    bad = {name: int(np.sum(~np.isfinite(column))) for name, column in reals.items()}
    return _counted("finite-values", bad, "values that are not finite")


def feature_range(data: Dataset) -> Check:
    """Every feature within its declared range, at every step and at the end."""
    ranges = data.limits.feature_ranges
    _require_known("feature", ranges, data.schema.features)
    usual = (data.limits.feature_low, data.limits.feature_high)
    bounds = np.array([ranges.get(name, usual) for name in data.schema.features], np.float32)  # [F, 2]
    outside = np.zeros(len(bounds), int)
    for observation in (data.episodes.observation, data.episodes.final_observation):
        features = observation["features"]
        outside += np.sum((features < bounds[:, 0]) | (features > bounds[:, 1]), axis=0)
    return _counted("feature-range", dict(zip(data.schema.features, outside.tolist(), strict=True)), "values out of range")


def action_range(data: Dataset) -> Check:
    """Action ids in the vocabulary 0..K−1, or reals within their bounds; executed and expert's alike."""
    if data.schema.actions:
        low, high = np.array(0), np.array(len(data.schema.actions) - 1)
    else:
        low, high = (np.array(b, np.float32) for b in (data.schema.action_low, data.schema.action_high))
    bad = {}
    for name in ("action", "expert_action"):
        column = getattr(data.episodes, name)
        outside = (column < low) | (column > high)
        bad[name] = int(np.sum(outside if outside.ndim == 1 else outside.any(axis=1)))
    return _counted("action-range", bad, "steps out of range")


def action_mask(data: Dataset) -> Check | None:
    """The executed action was among those that its mask allows."""
    if data.episodes.action_mask is None:
        return None
    return _placed("action-mask", forbidden(data.episodes), "steps with a forbidden action, first at row")


def one_end(data: Dataset) -> Check:
    """Each episode ends once, at its last step and nowhere else."""
    ended = data.episodes.terminated | data.episodes.truncated
    last = np.zeros(len(ended), bool)
    last[data.episodes.table.start + data.episodes.table.length - 1] = True
    return _placed("one-end", ended != last, "ends missing or misplaced, first at row")


def one_kind_of_end(data: Dataset) -> Check:
    """An end is a termination or a truncation, never both."""
    both = data.episodes.terminated & data.episodes.truncated
    return _placed("one-kind-of-end", both, "steps both terminated and truncated, first at row")


def unique_ids(data: Dataset) -> Check:
    """No two episodes share an id."""
    _, first = np.unique(data.episodes.table.episode_id, return_index=True)
    repeated = np.ones(len(data.episodes.table.episode_id), bool)
    repeated[first] = False
    return _placed("unique-ids", repeated, "episodes with the id of an earlier one, first is episode")


def unique_content(data: Dataset) -> Check:
    """No two episodes hold the same observations, actions and rewards."""
    repeated = repeats_earlier(data.episodes)
    return _placed("unique-content", repeated, "episodes that repeat an earlier one, first is episode")


def enough_episodes(data: Dataset) -> Check:
    """As many episodes as the scenario asks for."""
    count = len(data.episodes.table.length)
    return at_least("enough-episodes", count, data.limits.episodes_min, f"{count} episodes", count)


def success_rate(data: Dataset) -> Check:
    """Wilson lower bound of the success rate over worlds: agents of one world, and their lives, share its success
    and count once.
    """
    table = data.episodes.table
    worlds = np.stack([table.seed, table.world], axis=1)  # a world is recorded for one episode, in which an agent may live twice
    _, index = np.unique(worlds, axis=0, return_inverse=True)
    n = int(index.max()) + 1
    failed = np.bincount(index.ravel(), weights=~table.success, minlength=n) > 0
    k = n - int(failed.sum())
    text = f"{k} of {n} worlds succeed; one-sided 95 % lower bound"
    holds = k / n >= data.limits.success_min
    return at_least("success-rate", wilson_lower(k, n), data.limits.success_min, text, n, hold_or_fail(holds))


def action_coverage(data: Dataset) -> Check | None:
    """Every action that the scenario names has its share of the expert's choices."""
    wanted = data.limits.action_share_min
    if not wanted:
        return None
    _require_known("action", wanted, data.schema.actions)
    labels = data.episodes.expert_action[_decisions(data)]
    shares = {name: float(np.mean(labels == data.schema.actions.index(name))) if len(labels) else 0.0 for name in wanted}
    return _shares("action-coverage", shares, wanted, len(labels))


def behaviour_coverage(data: Dataset) -> Check | None:
    """Every behaviour that the scenario names is shown by its share of episodes."""
    wanted, shown = data.limits.behaviour_share_min, data.episodes.table.behaviour
    if not wanted:
        return None
    shares = {name: float(np.mean(shown[name] > 0)) if name in shown else 0.0 for name in wanted}
    return _shares("behaviour-coverage", shares, wanted, len(data.episodes.table.length))


def majority_action(data: Dataset) -> Check:
    """The expert's most frequent choice is not nearly all of them: accuracy on such data would mean nothing.

    Continuous actions are counted in cells of 0.01.
    """
    labels = data.episodes.expert_action[_decisions(data)]
    limit = data.limits.majority_share_max
    if not len(labels):
        return unmeasured("majority-action", "<=", limit, "no step leaves a choice")
    cells = labels if labels.ndim == 1 else np.round(labels, 2)
    counts = np.unique(cells, axis=0, return_counts=True)[1]
    share = float(counts.max()) / len(labels)
    text = f"the most frequent of {len(counts)} choices takes {share:.3f} of {len(labels)} decisions"
    return at_most("majority-action", share, limit, text, len(labels))


def reward_varies(data: Dataset) -> Check | None:
    """A reward that never changes teaches nothing."""
    if data.limits.constant_reward:
        return None
    values = len(np.unique(data.episodes.reward))
    return at_least("reward-varies", values, 2, f"{values} distinct rewards", len(data.episodes.reward))


def reward_saturation(data: Dataset) -> Check | None:
    """Few steps lie at a bound at which the world clips its reward."""
    if data.limits.reward_clip is None:
        return None
    low, high = data.limits.reward_clip
    reward = data.episodes.reward
    share = float(np.mean((reward <= np.float32(low)) | (reward >= np.float32(high))))
    text = f"share of steps at the clip bounds {low} and {high}"
    return at_most("reward-saturation", share, data.limits.reward_saturated_max, text, len(reward))


def reward_sums(data: Dataset) -> Check:
    """Terms add up to the reward, rewards to the episode's total, up to float32 rounding."""
    episodes, e = data.episodes, len(data.episodes.table.length)
    size = np.bincount(data.rows, weights=np.abs(episodes.reward), minlength=e)
    total = np.bincount(data.rows, weights=episodes.reward, minlength=e)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is no sum, and counts as one that is off
        bad = {"episodes": int(np.sum(~(np.abs(total - episodes.table.total_reward) <= 1e-4 * (1 + size))))}
        if episodes.reward_terms.shape[1]:
            terms = episodes.reward_terms.astype(np.float64)
            gap = np.abs(terms.sum(axis=1) - episodes.reward)
            bad["steps"] = int(np.sum(~(gap <= 1e-4 * (1 + np.abs(terms).sum(axis=1)))))
    return _counted("reward-sums", bad, "that do not add up")


def _decisions(data: Dataset) -> Array:
    """[N] bool: steps at which the mask leaves a choice; all without masks."""
    mask = data.episodes.action_mask
    return np.ones(len(data.rows), bool) if mask is None else np.asarray(mask.sum(axis=1) >= 2)


def _counted(name: str, bad: dict[str, int], what: str) -> Check:
    found = [f"{column} {count}" for column, count in bad.items() if count]
    return at_most(name, sum(bad.values()), 0, f"{what}: {', '.join(found) or 'none'}")


def _placed(name: str, hits: Array, what: str) -> Check:
    places = np.flatnonzero(hits)
    text = f"{len(places)} {what} {places[0]}" if len(places) else "none"
    return at_most(name, len(places), 0, text, len(hits))


def _shares(name: str, shares: dict[str, float], wanted: dict[str, float], n: int) -> Check:
    short = [f"{key} {shares[key]:.4f} < {least}" for key, least in wanted.items() if shares[key] < least]
    return at_most(name, len(short), 0, f"below their share: {', '.join(short) or 'none'}", n)


def _require_known(kind: str, named: Iterable[str], known: tuple[str, ...]) -> None:
    unknown = sorted(set(named) - set(known))
    if unknown:
        raise InputError(f"limits name {kind}s {unknown}; the observation schema has {', '.join(known) or 'none'}")
