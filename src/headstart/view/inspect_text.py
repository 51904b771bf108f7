"""A look at a dataset for a terminal, in 80 columns: what deserves a second look first, then the numbers, and what to type next."""

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np

from headstart.core.errors import printable
from headstart.dataset.inspection_against import Against, Apart
from headstart.dataset.inspection_coverage import BINS, Range
from headstart.dataset.inspection_episodes import Column
from headstart.dataset.inspection_look import Look, counts, groups_of, play_command, rejected_by
from headstart.view import WIDTH
from headstart.view.blocks import counted

MARKS = {"wrong": "WRONG", "look": "look ", "note": "note "}
BLOCKS = " ▁▂▃▄▅▆▇█"
SHOWN = (
    "return", "length", "success", "harm", "still", "blocked_share", "waiting_share", "change", "reversals", "commonest", "action_entropy",
    "slips", "violations", "state_coverage", "strangeness", "anomalies",
)  # fmt: skip
COMMAND = "`headstart"  # with which a cure begins that is one
DIFFERENT = 8  # features of a comparison that are shown
LISTED = ("return", "length", "success", "harm", "strangeness", "anomalies")  # of an episode in a list


def text_of(look: Look) -> str:
    """All of it."""
    parts = [_top(look), _findings(look), _numbers(look), _actions(look), _rejected(look), _rankings(look), _metadata(look)]
    parts += [_against(look.against)] if look.against else []
    return "\n\n".join(printable("\n".join(line.rstrip() for line in lines)) for part in parts if (lines := list(part)))


def list_of(look: Look, group: str, top: int) -> str:
    """The episodes of a group, the farthest from the others first, and the command that plays the first."""
    found = look.found
    rows = np.flatnonzero(groups_of(look)[group])
    rows = rows[np.argsort(-np.nan_to_num(found.columns["strangeness"].values[rows]), kind="stable")]
    columns = [found.columns[name] for name in LISTED if name in found.columns]
    wide = max([len(found.opened.ids[row]) for row in rows[:top]], default=16) + 2
    lines = [f"{len(rows):,} of {len(found.accepted):,} recorded episodes: {group}"]
    lines += [f"{'':{wide}}" + "".join(f"{_short(column):>12}" for column in columns)] if len(rows) else []
    for row in rows[:top]:
        cells = "".join(f"{shown(column.values[row]):>12}" for column in columns)
        name = found.opened.ids[row]
        why = [*found.opened.reasons[row], *(one.kind for one in found.anomalies.get(int(row), ()))]
        why += [f"flagged: {look.flags[name]}"] if name in look.flags else []
        lines.append(f"{name:{wide}}{cells}")
        lines += textwrap.wrap("; ".join(why), WIDTH, initial_indent="    ", subsequent_indent="    ") if why else []
    lines += [f"… and {len(rows) - top:,} more; --top {len(rows)} lists all"] if len(rows) > top else []
    if len(rows) and (command := play_command(found, found.opened.ids[rows[0]])):
        lines.append(f"watch the first: {command}")
    return printable("\n".join(lines))


def shown(value: float) -> str:
    """As a person rounds it."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e9 else f"{value:.3g}"


def spark(bins: Sequence[int]) -> str:
    """A histogram of one line; a cell with few steps is not empty."""
    most = max(bins, default=0)
    return "".join(BLOCKS[0 if not count else max(1, round(count / most * (len(BLOCKS) - 1)))] for count in bins)


def _top(look: Look) -> Iterator[str]:
    found, n = look.found, counts(look)
    yield from _wrapped(f"{found.opened.name}: {found.opened.state}", "")
    size = f"{size_of(look)}, {n['steps']:,} steps"
    yield from _wrapped(
        size + (f", {counted(n['worlds'], 'world')}, {counted(n['blocks'], 'block')}" if found.opened.scenario else ""), "  "
    )
    if split := found.split:
        sides = [
            f"{episodes:,} episodes of {worlds:,} worlds" for episodes, worlds in zip(split.episodes, split.worlds, strict=True)
        ]
        both = f"{len(split.leaked)} worlds on both sides, {len(split.copies)} held-out copies of others"
        yield from _wrapped(f"to train on {sides[0]}, held out {sides[1]}; {both}", "  ")
    hashes = found.opened.hashes
    said = (
        f"{sum(one.ok for one in hashes)} of {len(hashes)} checks of hashes hold"
        if hashes
        else "hashes: nothing is recorded of them"
    )
    yield f"  {said}"


def size_of(look: Look) -> str:
    n = counts(look)
    if look.found.opened.manifest is None:
        return f"{n['recorded']:,} recorded episodes"
    return f"{n['accepted']:,} of {n['recorded']:,} recorded episodes accepted"


def _findings(look: Look) -> Iterator[str]:
    yield "what deserves a look"
    if not look.findings:
        yield "  nothing that is checked here"
    for one in look.findings:
        yield from _wrapped(one.text, f"  {MARKS[one.level]} ", 8)
        command = one.command or (play_command(look.found, one.episodes[0]) if one.episodes else "")
        if command:
            yield f"    {command}"


def _numbers(look: Look) -> Iterator[str]:
    found = look.found
    yield (
        f"{'accepted episodes':20}"
        + "".join(f"{name:>10}" for name in ("mean", "least", "median", "most"))
        + f"{'measured':>10}  unit"
    )
    for name in SHOWN:
        if name in found.columns:
            column, spread = found.columns[name], found.spread.get(name)
            if spread is None:
                yield f"  {column.label:18}not measured: {'the world has no such action' if name == 'waiting_share' else 'it is not recorded'}"
                continue
            cells = "".join(f"{shown(value):>10}" for value in (spread.mean, spread.least, spread.median, spread.most))
            yield f"  {column.label:18}{cells}{spread.n:>10,}  {column.unit}".rstrip()


def _actions(look: Look) -> Iterator[str]:
    found = look.found
    total = sum(one.labelled for one in found.actions)
    if found.actions:
        wide = min(max(len(one.name) for one in found.actions), 24) + 2
        yield f"{'labels':{wide + 2}}{'share':>8}{'steps':>11}{'executed':>11}"
        for one in sorted(found.actions, key=lambda one: -one.labelled):
            bar = (
                "█" * round(20 * one.labelled / max(1, total))
                if one.labelled
                else "never allowed"
                if one.allowed == 0
                else "never"
            )
            share = one.labelled / max(1, total)
            said = "<0.1%" if 0 < share < 0.001 else f"{share:.1%}"
            yield f"  {one.name[: wide - 1]:{wide}}{said:>8}{one.labelled:>11,}{one.executed:>11,}  {bar}"
    yield from map(_range, found.dimensions)
    if found.behaviours:
        yield f"{'behaviours':26}{'total':>11}{'episodes':>11}{'most of one':>13}"
        for counter in found.behaviours:
            yield f"  {counter.name[:22]:24}{counter.total:>11,}{counter.episodes:>11,}{counter.most:>13,}"


def _range(one: Range) -> str:
    return f"  {one.name[:20]:22}{one.least:>10.4g} to {one.most:<10.4g} mean {one.mean:<10.4g} |{spark(one.bins):{BINS}}|"


def _rejected(look: Look) -> Iterator[str]:
    rejected = rejected_by(look.found)
    if rejected:
        yield "rejected episodes by reason"
    for reason, ids in rejected.items():
        yield from _wrapped(f"{reason}: {len(ids):,}, as {', '.join(ids[:2])}", "  ")
        said = {name: look.flags[name] for name in ids[:2] if name in look.flags} if reason == "flagged" else {}
        for name, why in said.items():
            yield from _wrapped(f"{name}: {why}", "      ")


def _rankings(look: Look) -> Iterator[str]:
    found = look.found
    if look.rankings:
        yield f"{'rankings':26}{'episode':18}{'value':>10}{'median':>10}"
    for one in look.rankings:
        column, spread = found.columns[one.column], found.spread[one.column]
        for place, row in enumerate(one.rows[:3]):
            title, median = (one.title, shown(spread.median)) if place == 0 else ("", "")
            yield f"  {title:24}{found.opened.ids[row]:18}{shown(column.values[row]):>10}{median:>10}".rstrip()


def _metadata(look: Look) -> Iterator[str]:
    yield "what is said beside the numbers"
    for item in look.metadata:
        if item.text is not None:
            yield from _wrapped(f"{item.name}: {item.text}", "  ok      ", 12)
    missing = dict[str, list[str]]()
    for item in look.metadata:
        if item.text is None:
            missing.setdefault(item.cure, []).append(item.name)
    for cure, names in missing.items():
        is_command = cure.startswith(COMMAND)
        yield from _wrapped(", ".join(names) + ("" if is_command else f": {cure}"), "  missing ", 12)
        if is_command:
            yield f"    {cure.strip('`')}"


def _against(found: Against) -> Iterator[str]:
    yield from _wrapped(f"against {found.there}", "")
    yield f"  {found.common:,} recorded episodes in both, {len(found.only_here):,} only here, {len(found.only_there):,} only there"
    if other := found.decided_otherwise:
        yield from _wrapped(f"{len(other):,} accepted in one and rejected in the other: {', '.join(other[:3])}", "  ")
    for one in found.differences:
        yield from _wrapped(f"{one.name}: {one.here} here, {one.there} there", "  ", 6)
    yield f"  {'':24}{'KS distance':>12}{'mean here':>12}{'mean there':>12}"
    yield from (_apart(one) for one in found.columns)
    yield from (_apart(one) for one in found.features[:DIFFERENT] if one.distance > 0)
    for names, side in ((found.features_only_here, "here"), (found.features_only_there, "there")):
        if names:
            yield from _wrapped(f"{len(names)} features only {side}: {', '.join(names[:6])}", "  ")
    for share in found.actions:
        if share.here != share.there:
            here, there = ("no such action" if side is None else f"{side:.1%}" for side in (share.here, share.there))
            yield f"  {share.name[:24]:24}{'label':>12}{here:>12}{there:>12}"


def _apart(one: Apart) -> str:
    return f"  {one.name[:24]:24}{one.distance:>12.3f}{shown(one.here.mean):>12}{shown(one.there.mean):>12}"


def _short(column: Column) -> str:
    return column.label[:11]


def _wrapped(text: str, indent: str, hang: int | None = None) -> list[str]:
    behind = " " * (len(indent) + 2 if hang is None else hang)
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=behind, break_on_hyphens=False) or [indent]
