"""What a campaign of planted faults found."""

from typing import NamedTuple


class Counts(NamedTuple):
    """How many faults were planted, and a line for each after which something was lost, unnoticed, or ended in a traceback."""

    planted: int
    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        first = "".join(f"\n  {line}" for line in self.problems[:20])
        return f"{self.planted} planted, {len(self.problems)} problems{first}"
