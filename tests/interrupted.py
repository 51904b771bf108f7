"""A process that heeds Ctrl-C, also where the tests run in the background, whose processes ignore it."""

import signal


def heeds_ctrl_c() -> None:
    """For `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
