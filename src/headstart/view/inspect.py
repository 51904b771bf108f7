"""A look at a dataset as a page: all episodes in one table, their spread, rankings that lead into it, and what the terminal says."""

from typing import Any

import numpy as np

import headstart
from headstart.dataset.inspection import Inspection
from headstart.dataset.inspection_against import Against, Apart
from headstart.dataset.inspection_coverage import Range
from headstart.dataset.inspection_look import GROUPS, Look, counts, groups_of, play_command, rejected_by
from headstart.view.inspect_charts import FLAGS, action_bars, histograms, varies
from headstart.view.inspect_text import MARKS, shown, size_of, spark
from headstart.view.page import page

ALWAYS = ("return", "length", "success", "harm", "anomalies", "strangeness")  # columns of the table; others where they vary
LINKED = 5  # episodes of a list that have a link
STYLES = {"wrong": "bad", "look": "warn", "note": "faint"}


def page_of(look: Look) -> bytes:
    """The page; equal looks give equal bytes."""
    found, opened, n = look.found, look.found.opened, counts(look)
    charts = histograms(found)
    data: dict[str, Any] = {"episodes": _episodes(look)} | {f"chart-{chart['name']}": chart["spec"] for chart in charts}
    if found.actions:
        data["chart-actions"] = action_bars(found)
    return page(
        "inspect.html",
        f"{opened.name}: a look",
        data,
        ["inspect.js"],
        charts=True,
        name=opened.name,
        state=opened.state[:1].upper() + opened.state[1:],
        summary=f"{size_of(look)}, {n['steps']:,} steps.",
        findings=[_finding(look, one) for one in look.findings],
        groups=GROUPS,
        histograms=charts,
        spread_text=_spread_text(found),
        spread=[_spread_row(found, name) for name in found.columns if name in found.spread],
        unmeasured=[column.label for name, column in found.columns.items() if name not in found.spread],
        rankings=[_ranking(found, one.title, one.column, one.rows) for one in look.rankings],
        rejected=[(reason, f"{len(ids):,}", ids[:LINKED]) for reason, ids in rejected_by(found).items()],
        flags=look.flags,
        flag_command=f"headstart inspect {opened.play} --flag EPISODE --reason TEXT"
        if opened.scenario and "/" not in opened.play
        else "",
        split=_split_text(found),
        actions=_action_rows(found),
        actions_text=_actions_text(found),
        dimensions=[_range_row(one)[:7] for one in found.dimensions],
        behaviours=[(one.name, f"{one.total:,}", f"{one.episodes:,}", f"{one.most:,}") for one in found.behaviours],
        features_text=_features_text(found),
        features=[_range_row(one) for one in found.features],
        metadata=look.metadata,
        hashes=opened.hashes,
        against=None if look.against is None else _against(look.against),
        version=headstart.__version__,
    )


# --- the table ----------------------------------------------------------------------------------------------------------


def _episodes(look: Look) -> dict[str, Any]:
    """What the script reads: columns of numbers, the groups of each episode as bits, and notes of those that have some."""
    found, opened = look.found, look.found.opened
    groups = sum(members.astype(np.int64) << bit for bit, members in enumerate(groups_of(look).values()))
    columns = [
        {"label": column.label, "unit": column.unit, "flag": name in FLAGS, "values": _short(column.values)}
        for name in dict.fromkeys([*ALWAYS, *found.columns])
        if np.isfinite((column := found.columns[name]).values).any() and (name in ALWAYS or varies(column))
    ]
    notes = {row: list(found.opened.reasons[row]) for row in np.flatnonzero(~found.accepted).tolist()}
    for row, odd in found.anomalies.items():
        notes.setdefault(row, []).extend(f"steps {one.first_step} to {one.last_step}: {one.kind}: {one.text}" for one in odd)
    place = {name: row for row, name in enumerate(opened.ids)}
    for name, why in look.flags.items():
        if name in place:
            notes.setdefault(place[name], []).append(f"flagged: {why}")
    return {
        "ids": opened.ids,
        "columns": columns,
        "groups": np.asarray(groups).tolist(),
        "states": [
            side or ("rejected" if why else "accepted") for side, why in zip(opened.side.tolist(), opened.reasons, strict=True)
        ],
        "notes": notes,
        "sort": next(i for i, column in enumerate(columns) if column["label"] == "strangeness"),
        "play": play_command(found, "EPISODE"),
    }


def _short(values: np.ndarray) -> list[float | int | None]:
    """Four digits, whole numbers without a point: the table of 10,000 episodes is a part of the page."""
    rounded = (None if not np.isfinite(value) else float(f"{value:.4g}") for value in values.tolist())
    return [int(value) if value is not None and value.is_integer() else value for value in rounded]


# --- texts and rows -----------------------------------------------------------------------------------------------------


def _finding(look: Look, one: Any) -> dict[str, Any]:
    command = one.command or (play_command(look.found, one.episodes[0]) if one.episodes else "")
    return {
        "level": MARKS[one.level].strip(),
        "style": STYLES[one.level],
        "text": one.text,
        "command": command,
        "episodes": one.episodes[:LINKED],
    }


def _spread_text(found: Inspection) -> str:
    parts = [
        f"{found.columns[name].label} {shown(spread.median)} (median; {shown(spread.least)} to {shown(spread.most)})"
        for name in ("return", "length")
        if (spread := found.spread.get(name))
    ]
    return f"Accepted episodes: {', '.join(parts)}." if parts else "No episode was accepted."


def _spread_row(found: Inspection, name: str) -> list[str]:
    column, spread = found.columns[name], found.spread[name]
    values = (spread.mean, spread.least, spread.q25, spread.median, spread.q75, spread.most)
    return [column.label, *map(shown, values), f"{spread.n:,}", column.unit]


def _ranking(found: Inspection, title: str, name: str, rows: tuple[int, ...]) -> dict[str, Any]:
    column, spread = found.columns[name], found.spread[name]
    median = f"median {shown(spread.median)} {column.unit}, n = {spread.n:,}"
    return {"title": title, "median": median, "rows": [(found.opened.ids[row], shown(column.values[row])) for row in rows]}


def _split_text(found: Inspection) -> str:
    split = found.split
    if split is None:
        return "Nothing was split yet."
    sides = f"{split.episodes[0]:,} episodes of {split.worlds[0]:,} worlds to train on, {split.episodes[1]:,} of {split.worlds[1]:,} held out."
    copies = f"Held-out episodes that stand, with little noise, among the others: {len(split.copies)}."
    return f"{sides} Worlds on both sides: {len(split.leaked)}. {copies}"


def _actions_text(found: Inspection) -> str:
    total = sum(one.labelled for one in found.actions)
    ranked = sorted(found.actions, key=lambda one: -one.labelled)
    if not total:
        return "No step has a label."
    never = sum(not one.labelled for one in ranked)
    return f"{ranked[0].name} is {ranked[0].labelled / total:.1%} of {total:,} labels; {never} of {len(ranked)} actions are never shown"


def _action_rows(found: Inspection) -> list[list[str]]:
    total = max(1, sum(one.labelled for one in found.actions))
    return [
        [
            one.name,
            f"{one.labelled:,}",
            f"{one.labelled / total:.2%}",
            f"{one.executed:,}",
            "–" if one.allowed is None else f"{one.allowed:,}",
            *("–" if side is None else f"{side:.2%}" for side in (one.train, one.heldout)),
        ]
        for one in found.actions
    ]


def _features_text(found: Inspection) -> str:
    constant, gaps, lacking = (
        sum(one.constant for one in found.features),
        sum(bool(one.gaps) for one in found.features),
        sum(bool(one.untrained) for one in found.features),
    )
    return (
        f"{len(found.features)} features: {constant} constant, {gaps} with a range without a value, {lacking} with held-out values that "
        "training lacks. Each range is cut into ten cells."
    )


def _range_row(one: Range) -> list[str]:
    cells = [", ".join(f"{shown(low)} to {shown(high)}" for low, high in some[:3]) for some in (one.gaps, one.untrained)]
    return [
        one.name,
        *map(shown, (one.least, one.mean, one.most, one.sd)),
        "constant" if one.constant else spark(one.bins),
        *cells,
    ]


def _against(found: Against) -> dict[str, Any]:
    text = f"{found.common:,} recorded episodes are in both, {len(found.only_here):,} only here, {len(found.only_there):,} only there."
    if found.decided_otherwise:
        text += (
            f" {len(found.decided_otherwise):,} were accepted in one and rejected in the other, as {found.decided_otherwise[0]}."
        )
    for names, side in ((found.features_only_here, "here"), (found.features_only_there, "there")):
        text += f" Features only {side}: {', '.join(names)}." if names else ""
    return {
        "there": found.there,
        "text": text,
        "differences": found.differences,
        "columns": [_apart(one) for one in found.columns],
        "features": [_apart(one) for one in found.features],
        "actions": [(one.name, *map(_share, (one.here, one.there))) for one in found.actions],
    }


def _share(side: float | None) -> str:
    return "no such action" if side is None else f"{side:.2%}"


def _apart(one: Apart) -> list[str]:
    means = (one.here.mean, one.there.mean, one.here.median, one.there.median)
    return [one.name, f"{one.distance:.3f}", *map(shown, means), f"{one.here.n:,}", f"{one.there.n:,}"]
