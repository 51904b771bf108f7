"""`make torture`: every campaign at full size; `make test` runs the same with small counts. Prints its counts; exit 1 for a problem."""

import importlib
import sys
import time

CAMPAIGNS = {
    "kills": 1_000,
    "crash_states": 5_000,
    "release_faults": 300,
    "mutations": 10_000,
    "fuzz": 100_000,
}  # module beside this one: faults to plant


def main(names: list[str]) -> int:
    """Run the named campaigns, or all; returns the exit code."""
    problems = 0
    for name in names or CAMPAIGNS:
        began = time.monotonic()
        counts = importlib.import_module(f"tests.torture.{name}").run(CAMPAIGNS[name], seed=time.time_ns() % 2**32)
        problems += len(counts.problems)
        print(f"{name}: {counts} ({time.monotonic() - began:.0f} s)", flush=True)
    return min(problems, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
