"""Whether arrays fit into this machine, asked before they are made: the kernel hands out more than there is, and ends processes."""

import os

from headstart.core.errors import InputError


def require_memory(needed: int, what: str) -> None:
    """InputError, which begins with `what` and names both sizes, for arrays of more bytes than the machine has memory."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise InputError(
            f"{what}: expected what fits into the {there / 2**30:,.1f} GiB of this machine, they take {needed / 2**30:,.1f} GiB; set fewer"
        )
