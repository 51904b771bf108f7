"""Every gate of a dataset: is it put together as it should be, is there enough to learn from, where does it come from."""

from collections.abc import Callable, Iterator

import numpy as np

from headstart.core.verdict import (
    Check,
    at_least,
    at_most,
    equal,
    unmeasured,
)
from headstart.dataset import alignment, contents
from headstart.dataset.episodes import Episodes
from headstart.dataset.facts import Dataset, DatasetFacts, DatasetLimits
from headstart.dataset.observation import ObservationSchema
from headstart.dataset.structure import rows_of, structure_gates

CONTENT_GATES: tuple[Callable[[Dataset], Check | None], ...] = (
    contents.finite_values,
    contents.feature_range,
    contents.action_range,
    contents.action_mask,
    contents.one_end,
    contents.one_kind_of_end,
    contents.unique_ids,
    contents.unique_content,
    contents.enough_episodes,
    contents.success_rate,
    contents.action_coverage,
    contents.behaviour_coverage,
    contents.majority_action,
    contents.reward_varies,
    contents.reward_saturation,
    contents.reward_sums,
    alignment.observation_repeats,
    alignment.observation_leaps,
)


def dataset_gates(episodes: Episodes, schema: ObservationSchema, facts: DatasetFacts, limits: DatasetLimits) -> list[Check]:
    """Every gate of a dataset, one line each, all problems listed. Raises InputError only for limits that
    name what the schema lacks.

    Where the structure is broken, gates over the contents are listed as not measured.
    """
    checks = structure_gates(episodes, schema)
    if all(check.passed for check in checks):
        data = Dataset(episodes, schema, limits, rows_of(episodes))
        checks += [check for gate in CONTENT_GATES if (check := gate(data)) is not None]
    else:
        why = "not measured: the structure is broken"
        checks += [unmeasured(gate_name(gate), "==", None, why) for gate in CONTENT_GATES]
    return checks + list(_provenance(episodes, facts, limits))


def gate_name(gate: Callable[[Dataset], Check | None]) -> str:
    """The name under which a gate reports: finite_values → finite-values."""
    return gate.__name__.replace("_", "-")


def _provenance(episodes: Episodes, facts: DatasetFacts, limits: DatasetLimits) -> Iterator[Check]:
    """Where the data come from, that they can be reproduced, and that training will not see its own exam."""
    yield equal("expert-approved", facts.expert_approved, True, "the expert's verdict is a PASS")
    if facts.expert_sha256 is None:
        yield unmeasured("expert-hash", "==", None, "the expert's own hash is not known")
    else:
        text = "the recorded policy is the expert"
        yield equal("expert-hash", facts.recorded_expert_sha256, facts.expert_sha256, text)
    n = facts.replayed_episodes
    yield at_least("replay-sample", n, limits.replay_episodes_min, f"{n} episodes simulated again", n)
    differ = f"{facts.replay_mismatches} of {n} differ from the recording"
    yield at_most("replay-mismatches", facts.replay_mismatches, 0, differ, n)
    yield _seeds(episodes, facts)
    yield from _split(episodes, facts)


def _seeds(episodes: Episodes, facts: DatasetFacts) -> Check:
    if facts.requested_seeds is None:
        return unmeasured("seeds", "==", None, "the requested seeds are not known")
    wanted, found = set(facts.requested_seeds), set(np.unique(episodes.table.seed).tolist())
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    return at_most("seeds", len(missing) + len(extra), 0, f"seeds missing {missing}, not asked for {extra}")


def _split(episodes: Episodes, facts: DatasetFacts) -> Iterator[Check]:
    table, heldout = episodes.table, facts.heldout
    if heldout is None or heldout.shape != table.world.shape or heldout.shape != table.seed.shape:
        got = "none" if heldout is None else f"{list(heldout.shape)}"
        yield unmeasured("split-leak", "<=", 0, f"expected a split with a flag per episode, got {got}")
        return
    worlds = list(zip(table.seed.tolist(), table.world.tolist(), strict=True))
    held = {world for world, out in zip(worlds, heldout.tolist(), strict=True) if out}
    train = {world for world, out in zip(worlds, heldout.tolist(), strict=True) if not out}
    leaked = sorted(held & train)
    text = f"worlds (seed, id) on both sides: {leaked[:10] or 'none'}"
    yield at_most("split-leak", len(leaked), 0, text, int(np.size(heldout)))
    smaller = min(len(held), len(train))
    yield at_least("split-sides", smaller, 1, f"{len(train)} worlds to train, {len(held)} held out")
