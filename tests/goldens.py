"""Golden values: results kept in `tests/golden/`, which a test compares with what the code gives today. They move on purpose only.

`make goldens` runs those tests (each has `golden` in its name), shows what changed, here and among the samples, and asks before it writes.
It ends with 7 if values differ and nobody said yes.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from difflib import unified_diff
from pathlib import Path
from typing import Any

from tests.logged import SAMPLES, samples
from tests.sampled import RECORDINGS, recordings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "golden"
NOTED = "HEADSTART_GOLDENS"  # environment variable: the file into which differences are written instead of failing
LIMIT_PASSED = 7
SHOWN = 40  # lines of a difference


def same_as_golden(found: Any, file: str, *keys: str) -> None:
    """Assert that `found`, JSON, is what `tests/golden/<file>` holds under `keys`."""
    kept = json.loads((FOLDER / file).read_text())
    for key in keys:
        kept = kept.get(key)
    if found != kept and (noted := os.environ.get(NOTED)):
        with open(noted, "a") as out:
            out.write(json.dumps([file, keys, found]) + "\n")
        return
    assert found == kept, (
        f"tests/golden/{file} {'.'.join(keys)} holds another value; `make goldens` shows the difference and asks"
    )


def changed_goldens(noted: str) -> dict[Path, str]:
    """File → its new text, from the lines that `same_as_golden` noted."""
    values: dict[Path, Any] = {}
    for line in noted.splitlines():
        name, keys, found = json.loads(line)
        path = FOLDER / name
        whole = inner = values.setdefault(path, json.loads(path.read_text()))
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
        if keys:
            inner[keys[-1]] = found
        else:
            whole = found
        values[path] = whole
    return {path: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for path, value in values.items()}


def difference(path: Path, text: str | bytes) -> str:
    """At most so many lines of what changes in the file; of bytes, how many there were and are."""
    if isinstance(text, bytes):
        return f"{path}: {path.stat().st_size if path.exists() else 0} bytes (kept), {len(text)} others (now)"
    before = path.read_text().splitlines() if path.exists() else []
    lines = list(unified_diff(before, text.splitlines(), f"{path} (kept)", f"{path} (now)", n=1, lineterm=""))
    more = [f"… and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
    return "\n".join(lines[:SHOWN] + more)


def move(changed: Mapping[Path, str | bytes], answer: Callable[[str], str] | None) -> int:
    """Show every change, ask, and write; the exit code. `answer` None: nobody is there to be asked."""
    if not changed:
        print("Every golden value and sample is what the code gives.")
        return 0
    print("\n\n".join(difference(path, text) for path, text in changed.items()))
    question = (
        f"\nReplace {len(changed)} {'file' if len(changed) == 1 else 'files'}? Say in the commit why the values moved. [y/N] "
    )
    if answer is None or answer(question).strip().lower() not in ("y", "yes"):
        print("Nothing was written.")
        return LIMIT_PASSED
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        print(f"wrote {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
    return 0


def main() -> int:
    with tempfile.NamedTemporaryFile("r", suffix=".ndjson") as noted:
        tests = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-k", "golden", "tests"]
        ended = subprocess.run(tests, cwd=ROOT, env=os.environ | {NOTED: noted.name}, check=False).returncode
        goldens = changed_goldens(noted.read())
    if ended:
        print("A test failed for another reason than its golden value; nothing was written.")
        return 1
    texts = {ROOT / SAMPLES / name: data.decode() for name, data in samples().items()}
    moved: dict[Path, str | bytes] = {path: text for path, text in texts.items() if not path.exists() or path.read_text() != text}
    recorded = {ROOT / RECORDINGS / name: data for name, data in recordings().items()}
    moved |= {path: data for path, data in recorded.items() if not path.exists() or path.read_bytes() != data}
    return move(goldens | moved, input if sys.stdin.isatty() else None)


if __name__ == "__main__":
    sys.exit(main())
