"""The two files of an exported policy: at no moment does a model lie without the file that belongs to it."""

import os
from pathlib import Path
from typing import Any

import pytest

from headstart.core.errors import InputError
from headstart.deploy.pair import write_pair


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("told", [b"new", None])
def test_a_failure_at_any_step_leaves_the_old_pair_or_no_model(
    told: bytes | None, failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, beside = tmp_path / "mine.onnx", tmp_path / "mine.onnx.json"
    out.write_bytes(b"old")
    beside.write_bytes(b"old")
    calls = 0

    def failing_call(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == failing + 1:
                raise OSError(28, "No space left on device")
            return real(*arguments, **named)

        return call

    monkeypatch.setattr(Path, "write_bytes", failing_call(Path.write_bytes))
    monkeypatch.setattr(os, "replace", failing_call(os.replace))
    steps = 4 if told else 2
    if failing < steps:
        with pytest.raises(InputError, match=r"mine\.onnx: expected a file that can be written: No space left on device"):
            write_pair(out, b"new", beside, told)
    else:
        write_pair(out, b"new", beside, told)
    assert not list(tmp_path.glob(".*"))  # temporary files
    if out.exists():
        assert {out.read_bytes()} == {beside.read_bytes() if beside.exists() else b"new"}
    assert out.exists() or failing < steps


def test_a_pair_replaces_the_old_one_and_a_model_alone_removes_the_file_beside_it(tmp_path: Path) -> None:
    out, beside = tmp_path / "below/mine.zip", tmp_path / "below/mine.pkl"
    write_pair(out, b"1", beside, b"2")
    assert (out.read_bytes(), beside.read_bytes()) == (b"1", b"2")
    write_pair(out, b"3", beside, None)
    assert out.read_bytes() == b"3" and not beside.exists()
