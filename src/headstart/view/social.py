"""What passed between the agents of a town, in words for a person: names of the events, and a section of the report."""

from headstart.telemetry.kinds import Evaluation
from headstart.telemetry.social import EVENTS, MEANS, Counted, evaluated
from headstart.view.blocks import Block, Note, Section, Table, Text, counted, section
from headstart.view.went import Logs

PER = 100  # episodes


def social_sections(logs: Logs, arm: str) -> list[Section]:
    """The first and the last evaluation of every run of the arm, or nothing where no log has them."""
    runs = [[one for one in log if isinstance(one, Evaluation) and one.social is not None] for log in logs.values()]
    runs = [[one for one in run if one.policy_mode == run[0].policy_mode] for run in runs if run]
    if not runs:
        return []
    first, last = (evaluated([run[at] for run in runs], of) for at, of in ((0, "first"), (-1, "last")))
    rows = [(EVENTS[name], _rate(first, name), _rate(last, name)) for name in EVENTS if first.counts[name] or last.counts[name]]
    never = [text for name, text in EVENTS.items() if name not in MEANS and not first.counts[name] and not last.counts[name]]
    said = Text(
        f"What passed between the agents of {arm}, as the town counted it in the first and in the last evaluation of "
        f"{counted(len(runs), 'run')}: {first.n:,} and {last.n:,} worlds with all their agents, {runs[0][0].policy_mode} actions. "
        f"Counts are per {PER} worlds."
    )
    blocks: list[Block] = [said, Table("event | at the start | at the end", rows)]
    blocks += [Note(f"Never: {', '.join(never)}.")] if never else []
    return [section("social", "Between agents", *blocks)]


def _rate(of: Counted, name: str) -> str:
    value = of.counts[name]
    return "–" if value is None else f"{value if name in MEANS else PER * value / of.n:,.4g}"
