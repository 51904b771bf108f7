"""A HOLD or a FAIL reaches a person: a line in `.headstart/notifications.ndjson`, and `notify.command`, which reads the same JSON on stdin.

A message that cannot be delivered is said in one line on stderr, and stops nothing.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from headstart.config.params import NotifyParams
from headstart.config.project import WORK_DIR
from headstart.core.errors import printable
from headstart.core.provenance import utc_text
from headstart.core.record import Record, UtcTime

OUTBOX = WORK_DIR / "notifications.ndjson"
PATIENCE_S = 10.0  # so long a stage waits for the command
MAX_REASONS, MAX_TEXT = 20, 500  # of one message: its line stays far below what one write puts at the end of a file as a whole


class Notification(Record):
    """One message."""

    schema_id: Literal["notification/1"] = "notification/1"
    at: UtcTime
    stage: str
    scenario: str
    arm: str | None = None
    seed: int | None = None  # of the run that a guardrail held; null: the message is of the whole stage
    outcome: Literal["HOLD", "FAIL"]
    reasons: tuple[str, ...]
    project: str  # its folder


def notify(
    settings: NotifyParams, whose: Sequence[str], outcome: str, reasons: Sequence[str], seed: int | None = None
) -> Notification | None:
    """Tell of a HOLD or a FAIL of `whose`: stage, scenario and, where there is one, arm. Of any other outcome nothing is told."""
    if outcome not in ("HOLD", "FAIL"):
        return None
    stage, scenario, *arm = whose
    message = Notification(
        at=utc_text(datetime.now(UTC)),
        stage=stage,
        scenario=scenario,
        arm=arm[0] if arm else None,
        seed=seed,
        outcome="FAIL" if outcome == "FAIL" else "HOLD",
        reasons=tuple(reason[:MAX_TEXT] for reason in reasons[:MAX_REASONS]),
        project=os.fsencode(Path.cwd()).decode(errors="replace"),
    )
    line = json.dumps(message.model_dump(), sort_keys=True, separators=(",", ":")).encode() + b"\n"  # ASCII: safe in a terminal
    try:
        _append(OUTBOX, line)
    except OSError as error:
        _say(f"{OUTBOX}: {error.strerror}")
    if settings.command:
        try:
            _call(settings.command, line)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            _say(f"notify.command: {error}")
    return message


def _append(path: Path, line: bytes) -> None:
    """One write at the end of the file: lines of processes side by side do not mix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def _call(command: Sequence[str], line: bytes) -> None:
    """Run the command in a session of its own, which ends as a whole where it takes too long; what it prints is not shown."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            process.communicate(line, PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(command[0], PATIENCE_S) from None
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command[0])


def _say(text: str) -> None:
    print(printable(f"note: a message was not delivered: {text}"), file=sys.stderr)
