"""A look at a dataset as one record: what was measured, what deserves a second look, rankings of episodes, and all of it as JSON."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from headstart.core.record import Record
from headstart.dataset.flags import FLAGGED, read_flags
from headstart.dataset.inspection import Inspection, inspected
from headstart.dataset.inspection_against import Against, against
from headstart.dataset.inspection_findings import Finding, findings
from headstart.dataset.inspection_metadata import Item, checklist
from headstart.dataset.inspection_open import Opened

RANKINGS = (  # column, whether the greatest comes first, title
    ("return", False, "lowest return"),
    ("return", True, "highest return"),
    ("anomalies", True, "most anomalies"),
    ("strangeness", True, "strangest observations"),
    ("length", False, "shortest"),
    ("length", True, "longest"),
    ("still_run", True, "longest standstill"),
    ("reversals", True, "most reversals"),
    ("change", True, "most restless"),
    ("slips", True, "most slips"),
)
GROUPS = {  # name → what it holds; of the page and of --only
    "all": "all recorded episodes",
    "accepted": "in the dataset",
    "rejected": "left out of it",
    "train": "to train on",
    "heldout": "to judge by",
    "failed": "without success",
    "harmful": "with harm",
    "odd": "with an anomaly or far from the others",
    "flagged": "flagged for review",
}


class Ranking(NamedTuple):
    """The first episodes by one number."""

    title: str
    column: str
    rows: tuple[int, ...]


class Look(NamedTuple):
    """Everything that is said of a dataset."""

    found: Inspection
    flags: Mapping[str, str]  # episode → reason
    metadata: tuple[Item, ...]
    findings: tuple[Finding, ...]
    rankings: tuple[Ranking, ...]
    against: Against | None


def look_at(root: Path, opened: Opened, other: Opened | None, said: Mapping[str, str], top: int = 5) -> Look:
    """`other`: what it is compared with; `said`: what the files of a recording say of themselves."""
    found = inspected(root, opened)
    flags = read_flags(root, opened.scenario) if opened.scenario else {}
    metadata = checklist(root, opened, said)
    compared = None if other is None else against(root, found, inspected(root, other))
    return Look(found, flags, metadata, findings(found, flags, metadata), rankings(found, top), compared)


def rankings(found: Inspection, top: int) -> tuple[Ranking, ...]:
    """Of the accepted episodes; none by a number that is the same in all or was not measured."""
    made = []
    for column, greatest, title in RANKINGS:
        values = np.where(found.accepted, found.columns[column].values, np.nan)
        known = np.flatnonzero(np.isfinite(values))
        if len(known) and values[known].min() < values[known].max():
            order = known[np.argsort(-values[known] if greatest else values[known], kind="stable")]
            made.append(Ranking(title, column, tuple(order[:top].tolist())))
    return tuple(made)


def groups_of(look: Look) -> dict[str, np.ndarray]:
    """Name of a group → [E] bool."""
    found = look.found
    accepted, side = found.accepted, found.opened.side
    success, harm = (found.columns[name].values for name in ("success", "harm"))
    odd = found.columns["anomalies"].values > 0
    for one in found.outlying:
        odd[list(one.rows)] = True
    flagged = np.array([name in look.flags for name in found.opened.ids], bool)
    members = (np.ones(len(accepted), bool), accepted, ~accepted, side == "train", side == "heldout", success == 0, harm == 1)
    return dict(zip(GROUPS, (*members, odd, flagged), strict=True))


def rejected_by(found: Inspection) -> dict[str, list[str]]:
    """Reason → ids of the episodes."""
    by = dict[str, list[str]]()
    for name, why in zip(found.opened.ids, found.opened.reasons, strict=True):
        for reason in why:
            by.setdefault(reason, []).append(name)
    return dict(sorted(by.items()))


def play_command(found: Inspection, episode: str) -> str:
    """What shows an episode; of a recording, which has no scenario yet, empty."""
    opened = found.opened
    return f"headstart play {opened.play} {episode} --html {episode}.html" if opened.scenario else ""


def as_json(look: Look) -> dict[str, Any]:
    """Every number, with null for what was not measured."""
    found, opened = look.found, look.found.opened
    return {
        "dataset": opened.name,
        "state": opened.state,
        "hashes": plain(opened.hashes),
        "findings": plain(look.findings),
        "counts": counts(look),
        "spread": plain(found.spread),
        "outlying": {one.column: [opened.ids[row] for row in one.rows] for one in found.outlying},
        "rankings": {one.title: [opened.ids[row] for row in one.rows] for one in look.rankings},
        "rejected": rejected_by(found),
        "flags": dict(look.flags),
        "split": plain(found.split),
        "alignment": plain(found.alignment),
        "actions": plain(found.actions or found.dimensions),
        "behaviours": plain(found.behaviours),
        "features": plain(found.features),
        "metadata": plain(look.metadata),
        "anomalies": {opened.ids[row]: plain([vars(one) for one in odd]) for row, odd in found.anomalies.items()},
        "episodes": {
            "id": opened.ids,
            "reasons": opened.reasons,
            "split": opened.side.tolist(),
            "block": opened.block.tolist(),
            **{name: plain(column.values) for name, column in found.columns.items()},
        },
        "against": plain(look.against),
    }


def counts(look: Look) -> dict[str, int]:
    """How much there is."""
    found = look.found
    flagged = sum(FLAGGED in why for why in found.opened.reasons)
    return {
        "recorded": len(found.accepted),
        "accepted": int(found.accepted.sum()),
        "rejected": int((~found.accepted).sum()),
        "flagged": flagged,
        "steps": found.steps,
        "worlds": len(np.unique(found.opened.table.world)),
        "blocks": len(found.opened.manifest.blocks) if found.opened.manifest else 1,
    }


def plain(value: Any) -> Any:
    """What JSON can hold: tuples with names as mappings, arrays as lists, numbers of six digits, null for those that are not finite."""
    match value:
        case Record():
            return value.model_dump(mode="json")
        case np.ndarray():
            return [plain(one) for one in value.tolist()]
        case float():
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case Mapping():
            return {str(key): plain(one) for key, one in value.items()}
        case tuple() if hasattr(value, "_asdict"):
            return {key: plain(one) for key, one in value._asdict().items()}
        case list() | tuple():
            return [plain(one) for one in value]
        case _:
            return value
