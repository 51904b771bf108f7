"""Where the program begins: Ctrl-C is heeded from the first import on, before `ending` can."""

import sys


def main() -> None:
    """Entry point."""
    try:
        from headstart.cli.main import main as program
    except KeyboardInterrupt:
        print("interrupted before it began", file=sys.stderr)
        sys.exit(130)
    program()
