"""Two datasets side by side: what they say of themselves, the settings that differ, the episodes of only one, and how far numbers lie apart.

Distance: that of Kolmogorov and Smirnov, the greatest difference of two cumulated distributions, from 0 (equal) to 1 (no value in common).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.config.settings import TOP, settings_path
from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError
from headstart.core.files import read_bytes
from headstart.core.strict_json import MAX_BYTES, parse_json
from headstart.dataset.catalogue import read_entries
from headstart.dataset.drafts import is_draft, read_draft
from headstart.dataset.inspection import Inspection, Spread, spread_of
from headstart.dataset.inspection_open import Opened
from headstart.dataset.manifest import DatasetFacts

FACTS = sorted(
    DatasetFacts.model_fields.keys() - {"files", "quality", "blocks", "splits", "accepted", "rejected", "rejection_reasons"}
)
KEPT = ("capture", "curate", "expert")  # settings of a dataset that is in no catalogue


class Difference(NamedTuple):
    """A fact or a setting that is not the same."""

    name: str
    here: str
    there: str


class Apart(NamedTuple):
    """One number of both."""

    name: str
    distance: float  # Kolmogorov–Smirnov
    here: Spread
    there: Spread


class Shares(NamedTuple):
    """An action: its share of the labels."""

    name: str
    here: float | None  # None: no such action
    there: float | None


class Against(NamedTuple):
    """`here` is the dataset that is looked at, `there` the other one."""

    there: str
    differences: tuple[Difference, ...]
    common: int  # episodes that were recorded in both
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    decided_otherwise: tuple[str, ...]  # accepted in one, rejected in the other
    columns: tuple[Apart, ...]  # of accepted episodes
    features: tuple[Apart, ...]  # of some steps, the farthest apart first
    features_only_here: tuple[str, ...]
    features_only_there: tuple[str, ...]
    actions: tuple[Shares, ...]


def against(root: Path, here: Inspection, there: Inspection) -> Against:
    """Both, compared."""
    a, b = (dict(zip(one.opened.ids, one.accepted.tolist(), strict=True)) for one in (here, there))
    both = (
        a.keys() & b.keys() if here.opened.scenario and there.opened.scenario else set()
    )  # a recording only counts its episodes
    names, others = here.opened.schema.features, there.opened.schema.features
    return Against(
        there=there.opened.name,
        differences=tuple(_differences(root, here.opened, there.opened)),
        common=len(both),
        only_here=tuple(name for name in a if name not in both),
        only_there=tuple(name for name in b if name not in both),
        decided_otherwise=tuple(name for name in a if name in both and a[name] != b[name]),
        columns=tuple(_columns(here, there)),
        features=tuple(sorted(_features(here, there), key=lambda one: -one.distance)),
        features_only_here=tuple(name for name in names if name not in others),
        features_only_there=tuple(name for name in others if name not in names),
        actions=tuple(_actions(here, there)),
    )


def distance(a: Array, b: Array) -> float:
    """Kolmogorov–Smirnov distance of two samples."""
    a, b = np.sort(a), np.sort(b)
    both = np.concatenate([a, b])
    shares = [np.searchsorted(of, both, side="right") / len(of) for of in (a, b)]
    return float(np.abs(shares[0] - shares[1]).max())


def _apart(name: str, a: Array, b: Array) -> Apart | None:
    a, b = a[np.isfinite(a)].astype(np.float64), b[np.isfinite(b)].astype(np.float64)
    here, there = spread_of(a), spread_of(b)
    return None if here is None or there is None else Apart(name, distance(a, b), here, there)


def _columns(here: Inspection, there: Inspection) -> Iterator[Apart]:
    for name, column in here.columns.items():
        if name in there.columns and name != "strangeness":  # which is the distance from the others of the same dataset
            pair = column.values[here.accepted], there.columns[name].values[there.accepted]
            if found := _apart(column.label, *pair):
                yield found


def _features(here: Inspection, there: Inspection) -> Iterator[Apart]:
    others = {name: f for f, name in enumerate(there.opened.schema.features)}
    for f, name in enumerate(here.opened.schema.features):
        if name in others and (found := _apart(name, here.sample[:, f], there.sample[:, others[name]])):
            yield found


def _actions(here: Inspection, there: Inspection) -> Iterator[Shares]:
    shares = []
    for one in (here, there):
        total = sum(action.labelled for action in one.actions)
        shares.append({action.name: action.labelled / max(1, total) for action in one.actions})
    for name in dict.fromkeys([*shares[0], *shares[1]]):
        yield Shares(name, shares[0].get(name), shares[1].get(name))


def _differences(root: Path, here: Opened, there: Opened) -> Iterator[Difference]:
    facts = [{} if one.manifest is None else one.manifest.model_dump(mode="json", include=set(FACTS)) for one in (here, there)]
    sides = [facts[i] | _flat(settings_of(root, one)) for i, one in enumerate((here, there))]
    sides[0] |= {"state": here.state, "observation": here.schema.sha256()[:12], "world": here.schema.world}
    sides[1] |= {"state": there.state, "observation": there.schema.sha256()[:12], "world": there.schema.world}
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        texts = [str(side.get(name, "not known")) for side in sides]
        if texts[0] != texts[1]:
            yield Difference(name, *texts)


def settings_of(root: Path, opened: Opened) -> Mapping[str, Any]:
    """The settings that made a dataset: as its catalogue entry keeps them, else as settings.json has them now; empty where neither is there."""
    for entry in read_entries(root):
        if entry.name == opened.name:
            return entry.parameters
    if opened.scenario is None or "@" in opened.play:
        return {}
    if is_draft(opened.play):
        is_slice = opened.manifest is not None and opened.manifest.parent is not None
        return {} if is_slice else {"capture": read_draft(root, opened.play)[0].capture}
    path = root / settings_path(opened.scenario)
    try:
        found = parse_json(read_bytes(path, MAX_BYTES), str(path))[TOP]
    except (HeadstartError, KeyError, TypeError):
        return {}
    return {name: found[name] for name in KEPT if name in found}


def _flat(settings: Any, name: str = "") -> dict[str, Any]:
    """Dotted key → value."""
    if not isinstance(settings, Mapping):
        return {name: settings}
    return {key: value for part, below in settings.items() for key, value in _flat(below, f"{name}.{part}".lstrip(".")).items()}
