"""What passed between the agents of a town over a whole log: while it trained, and in its first and its last evaluation."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from headstart.core.record import Record
from headstart.telemetry.kinds import Evaluation, Social, Update

# fields of `Social` in words, each short enough for a column
EVENTS = {
    "chats": "chats",
    "chat_failures": "chats that failed",
    "chat_quality_mean": "quality of a chat, mean, 0 … 1",
    "shared_meals": "shared meals",
    "yields": "places in a queue yielded",
    "late": "late for a shift",
    "lateness_mean": "ticks late, mean",
    "late_help": "colleagues there for the late",
    "absent": "absent from a shift",
    "shift_takeovers": "colleagues there for the absent",
    "blackouts": "blackouts",
    "outages": "outages of water",
}
# a mean is one over as many events as another field counts
MEANS = {"chat_quality_mean": "chats", "lateness_mean": "late"}


class Counted(NamedTuple):
    """Sums of counters, and means."""

    of: str  # training, first evaluation, last evaluation
    n: int  # updates, or whole episodes
    counts: dict[str, float | None]  # by the fields of `Social`; null: a mean of nothing


def social_of(records: Sequence[Record]) -> tuple[Counted, ...]:
    """None of a log without them: of another world, or of an earlier version. Of evaluations those with sampled actions, if there are any."""
    updates = [record.social for record in records if isinstance(record, Update) and record.social is not None]
    evaluations = [record for record in records if isinstance(record, Evaluation) and record.social is not None]
    evaluations = [one for one in evaluations if one.policy_mode == "sampled"] or evaluations
    found = [Counted("training", len(updates), summed(updates))] if updates else []
    found += [evaluated(evaluations[:1], "first evaluation")] if evaluations else []
    found += [evaluated(evaluations[-1:], "last evaluation")] if len(evaluations) > 1 else []
    return tuple(found)


def evaluated(evaluations: Iterable[Evaluation], of: str) -> Counted:
    """Those of several runs."""
    known = [(one.success.n, one.social) for one in evaluations if one.social is not None]
    return Counted(of, sum(n for n, _ in known), summed(social for _, social in known))


def summed(parts: Iterable[Social]) -> dict[str, float | None]:
    """Field → the sum of its counts, or the mean over all that its means are over."""
    said = list(parts)
    found: dict[str, float | None] = {}
    for name in Social.model_fields:
        if name in MEANS:
            counts = [getattr(one, MEANS[name]) for one in said]
            total = sum(count * (getattr(one, name) or 0.0) for count, one in zip(counts, said, strict=True))
            found[name] = total / sum(counts) if sum(counts) else None
        else:
            found[name] = sum(getattr(one, name) for one in said)
    return found
