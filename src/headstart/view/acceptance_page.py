"""reports/<scenario>/acceptance.html and acceptance.md: the decision, what is open, every criterion, and how to decide."""

from pathlib import Path

from headstart.config.project import LOCKS, REPORTS
from headstart.core.files import write_bytes
from headstart.core.lock import held, remove_unfinished
from headstart.view.acceptance import GO, Acceptance
from headstart.view.blocks import (
    Block,
    Command,
    Items,
    Lead,
    Linked,
    Section,
    Table,
    Text,
    as_markdown,
    kind_of,
    markdown,
    section,
)
from headstart.view.page import page

ENDED = "What this page says is computed from the history and from the files that it names; nothing of it was typed in."
BESIDE = "`report.html` beside this page has everything that was measured, and what was not."
COLUMNS = "criterion | met | what was found | evidence | recorded by"


def write_acceptance(root: Path, made: Acceptance) -> Path:
    """The page and its Markdown; returns the path of the page."""
    path = root / REPORTS / made.scenario / "acceptance.html"
    with held(root / LOCKS / f"acceptance-{made.scenario}", f"headstart report {made.scenario} --acceptance"):
        remove_unfinished([path, path.with_suffix(".md")])
        sections = sections_of(made)
        shown = page(
            "report.html",
            f"{made.scenario}: {made.decision}",
            scenario=made.scenario,
            outcome=made.decision,
            sign="✓" if made.decision == GO else "✗",
            told="",
            sections=sections,
            ended=ENDED,
            meaning=meaning(made),
            linked=Linked({}),
            address=str,
            kind_of=kind_of,
        )
        text = [f"# {made.scenario}: {made.decision}", as_markdown(Lead(meaning(made))), markdown(sections, ""), f"*{ENDED}*"]
        write_bytes(path.with_suffix(".md"), ("\n\n".join(text) + "\n").encode())
        write_bytes(path, shown)
    return path


def meaning(made: Acceptance) -> str:
    """The decision in a sentence."""
    if made.promoted is not None:
        line = made.promoted
        return f"{made.decision}: {made.candidate} was promoted by {line.actor} on {line.at[:10]}: {line.reason}."
    if not made.candidate:
        return f"{made.decision}: there is no candidate; no PASS counts."
    if made.decision == GO:
        return f"GO: {made.candidate} may be promoted. All {len(made.criteria)} criteria are met."
    return f"NO-GO: {made.candidate} must not be promoted; {len(made.open)} of {len(made.criteria)} criteria are open."


def sections_of(made: Acceptance) -> list[Section]:
    """Open points first, then everything with its evidence."""
    todo = [section("open", "Open points", Items([f"{one.name}: {one.found}" for one in made.open]))] if made.open else []
    rows = [(one.name, "yes" if one.met else "open", one.found, one.evidence or "–", one.by or "–") for one in made.criteria]
    return [
        *todo,
        section("criteria", "Criteria and evidence", Table(COLUMNS, rows)),
        section("next", "What next", *_next(made), Text(BESIDE)),
    ]


def _next(made: Acceptance) -> list[Block]:
    if made.promoted is not None:
        return [
            Text("If it has to be taken back:"),
            Command(f"headstart release rollback {made.scenario} --by NAME --reason TEXT"),
        ]
    if made.decision == GO:
        return [
            Text("Promote it, commit `governance`, and push with tags:"),
            Command(f"headstart promote {made.scenario} --by NAME --reason TEXT"),
        ]
    return [
        Text("Settle the open points, commit, and look again:"),
        Command(f"headstart report {made.scenario} --acceptance"),
        Text(
            "A HOLD is not signed away: `headstart promote` takes nothing but a PASS. Whoever needs it all the same puts a checkpoint to "
            "use by name and with a reason, and it is marked unverified until a PASS stands behind it:"
        ),
        Command(f"headstart release swap {made.scenario} CHECKPOINT --by NAME --reason TEXT"),
    ]
