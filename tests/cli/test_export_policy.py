"""`headstart export-policy`: what it writes and prints, outside a project too, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from gymnasium import spaces
from tests.deploy.made import checkpoint

import headstart


def test_the_command_writes_both_files_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("policy"), spaces.Box(-1, 1, (3,)), spaces.Discrete(2))
    code, out, err = command("export-policy", "policy", "--onnx", "out/mine.onnx")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("out/mine.onnx: computes what the policy does: at most ") and first.endswith(
        " apart on 10,000 observations"
    )
    assert second == "out/mine.onnx.json: takes obs [N, 3], gives logits"
    assert json.loads(Path("out/mine.onnx.json").read_text())["checkpoint_sha256"] == headstart.load("policy").card.weights_sha256

    code, out, err = command("export-policy", "policy")
    assert (code, err) == (2, "error: expected --onnx FILE or --sb3 FILE\n")
    code, out, err = command("export-policy", "nowhere", "--onnx", "x.onnx")
    assert (code, err) == (3, "error: nowhere: expected the folder of a checkpoint or of an arm, found none\n")
