"""Wrong arguments of every command end in one line and an exit code, never in a traceback, and write nothing."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from headstart.cli import main as program
from headstart.cli import project

ROOT = Path(__file__).parents[2]
NAMES = ("../../x", "/etc/passwd", "nope", "", "a b", "x" * 300, "\x1b[31m", "-1", "é", "a\nb", "\u202e")
FILES = (
    "folder",
    "folder.yaml",
    "garbage",
    "garbage.yaml",
    "pipe",
    "pipe.yaml",
    "loop.yaml",
    "none.yaml",
    "empty.yaml",
    "x" * 5000,
    "/dev/zero",
    "",
)
NUMBERS = ("-3", "0", "10000000000000", "1" + "0" * 30, "x", "", "1.5", "NaN")
STAGES = ("settings", "source", "capture", "curate", "validate", "bc-train", "evaluate", "expert", "targets", "check")
BY = ("--by", "Ada", "--reason", "why")


def lines() -> Iterator[tuple[str, ...]]:
    """Command lines that are all wrong."""
    for name in NAMES:
        yield from ((stage, name) for stage in STAGES)
        yield from (("baseline", "cartpole", name), ("anneal", "cartpole", name), ("baseline", name, "scratch"))
        yield from (("tune", name, "scratch", "--trials", "1"), ("tune", "cartpole", name, "--trials", "1"), ("play", name))
        yield from (("promote", name, *BY), ("release", "record", name, *BY[:2]), ("release", "rollback", name, *BY))
        yield from (
            ("release", "withdraw", name, *BY),
            ("release", "swap", name, "folder", *BY),
            ("release", "swap", "cartpole", name, *BY),
        )
        yield from (
            ("drill", "rollback", "--scenario", name),
            ("drill", "rollback", "--guardrail", name, "--scenario", "cartpole"),
        )
        yield from (
            ("schedule", "check", name),
            ("schedule", "check", "scratch", "--scenario", name or "x"),
            ("schema", name),
            ("formats", name),
        )
        yield from (
            ("evidence", name),
            ("export", name, "--format", "npz", "--out", "new.npz"),
            ("export", "x", "--format", name, "--out", "new"),
        )
    for path in FILES:
        yield from (
            ("schedule", "check", path),
            ("schedule", "simulate", path, "--trace", "steady"),
            ("schedule", "simulate", "scratch", "--trace", f"{path}.tsv"),
        )
        yield from (
            ("export-policy", path, "--onnx", "new.onnx"),
            ("convert-sb3", path, "--algorithm", "PPO", "--out", "new.onnx"),
        )
        yield from (
            ("play", "queue_conflict", "--policy", path or "none", "--ticks", "1"),
            ("init", "new", "--demonstrations", path or "none", "--env", "CartPole-v1"),
        )
    for number in NUMBERS:
        yield from (("expert", "cartpole", "--worlds", number), ("targets", "cartpole", "--worlds", number))
        if number not in ("10000000000000", "1" + "0" * 30):
            yield ("tune", "cartpole", "scratch", "--trials", number)
        if number != "0":
            yield from (("play", "queue_conflict", "--seed", number), ("play", "queue_conflict", "--world", number))
        yield ("drill", "rollback", "--runs", number)
        if number != "1.5":
            yield ("play", "queue_conflict", "--ticks-per-second", number)
    for trace in ("nan@x", "nan@-1", "nan@" + "9" * 5000, "noisy:x", "noisy:" + "9" * 5000, "unknown", "", "folder.tsv"):
        yield ("schedule", "simulate", "scratch", "--trace", trace)
    yield from (
        ("nope",),
        ("--nope",),
        ("expert",),
        ("expert", "cartpole", "more"),
        ("schedule", "nope"),
        ("expert", "cartpole", "--worlds"),
    )


LINES = list(lines())


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[object, str]]:
    """Types a command in a new project; returns its exit code and all that it printed."""
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "scenarios").mkdir()
    for name in ("cartpole", "queue_conflict"):
        (tmp_path / f"scenarios/{name}.yaml").write_bytes((ROOT / f"scenarios/{name}.yaml").read_bytes())
    for name in ("folder", "folder.yaml", "folder.tsv"):
        (tmp_path / name).mkdir()
    for name in ("garbage", "garbage.yaml", "garbage.tsv"):
        (tmp_path / name).write_bytes(bytes(range(256)))
    for name in ("pipe", "pipe.yaml", "pipe.tsv"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "require_own_code", lambda root: None)

    def types(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["headstart", *arguments])
        printed = io.StringIO()
        with redirect_stdout(printed), redirect_stderr(printed):
            try:
                program.main()
            except SystemExit as ended:
                return ended.code, printed.getvalue()
        return 0, printed.getvalue()

    return types


def test_wrong_arguments_end_in_one_line_and_an_exit_code_and_write_nothing(
    typed: Callable[..., tuple[object, str]], tmp_path: Path
) -> None:

    def there() -> list[str]:
        """Without what commands lock."""
        return sorted(path.as_posix() for path in tmp_path.rglob("*") if ".headstart" not in path.parts)

    before = there()

    for arguments in LINES:
        code, printed = typed(*arguments)
        assert code not in (0, None, 1), (arguments, code, printed[-300:])
        assert printed.strip() and "Traceback" not in printed, (arguments, printed[-300:])
        assert "\x1b[31m" not in printed and "\u202e" not in printed, arguments
        assert there() == before, arguments
