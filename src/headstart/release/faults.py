"""What a check of integrity finds: how much it checked, what was not there to be checked, and every fault with its cure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headstart.core.errors import HeadstartError

WORKSPACE, CACHE, RUNS, GIT, RELEASES = (
    "the workspace",
    "the cache",
    "runs",
    "git",
    "releases",
)  # where bytes lie, beside the remotes
SHOWN = 8  # missing objects of one store that are named; of more the first is, and the others are counted


class Fault(NamedTuple):
    """Something that is not as recorded. With `path` or `md5`, `headstart verify --repair` can act on it."""

    text: str  # what it is, what was expected, what was found
    cure: str = ""  # what to type
    store: str = ""  # where its bytes lie: one of the above, or the name of a remote
    path: str | None = None  # of the offender: below the project, or the name of an object in its store
    md5: str | None = None  # of the bytes that belong there
    found: str | None = None  # MD5 of the bytes that are there instead
    output: str | None = None  # of a stage, to which a missing object belongs
    stage: str | None = None  # that makes it

    def __str__(self) -> str:
        return f"{self.text}; {self.cure}" if self.cure else self.text


class Findings(NamedTuple):
    """The result of one check."""

    checked: int
    faults: tuple[Fault, ...] = ()
    absent: str = ""  # how much was not there to be checked, and what brings it

    def __str__(self) -> str:
        """`31 checked, 4 not here (…)`."""
        return f"{self.checked} checked" + (f", {self.absent}" if self.absent else "")


def lines(faults: Sequence[Fault]) -> list[str]:
    """One line a fault; many missing objects of one place are one line."""
    missing = [fault for fault in faults if fault.output]
    many = {store for store in {fault.store for fault in missing} if sum(fault.store == store for fault in missing) > SHOWN}
    said = [str(fault) for fault in faults if fault.output is None or fault.store not in many]
    for store in sorted(many):
        gone = [fault for fault in missing if fault.store == store]
        outputs = {fault.output for fault in gone}
        said.append(
            f"{gone[0].text}, as of {len(gone) - 1} more of {len(outputs)} output{'s' if len(outputs) > 1 else ''}; {gone[0].cure}"
        )
    return said


def guarded(check: Callable[[], Findings]) -> Findings:
    """The findings of a check that may raise: its error is a fault."""
    try:
        return check()
    except HeadstartError as error:
        return Findings(0, (Fault(str(error)),))


def errors(check: Callable[..., object], *arguments: object) -> list[Fault]:
    """The error that a call raises, as a fault; none if it returns."""
    try:
        check(*arguments)
    except HeadstartError as error:
        return [Fault(str(error))]
    return []
