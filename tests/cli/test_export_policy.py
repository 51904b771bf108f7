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
    pytest.importorskip("onnxscript", reason="needs the extra `sb3`: onnxscript writes the file")
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


@pytest.mark.parametrize(("kind", "out"), [("--onnx", "out.onnx"), ("--sb3", "out.zip")])
def test_a_missing_package_is_named_with_its_extra(
    kind: str, out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str, str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("policy"), spaces.Box(-1, 1, (3,)), spaces.Discrete(2))
    monkeypatch.setattr("headstart.core.extras.find_spec", lambda package: None)
    code, said, err = command("export-policy", "policy", kind, out)
    assert (code, said) == (9, "")
    assert err == "error: export-policy needs torch, to compute the policy: `pip install 'headstart[sb3]'`\n"


def test_a_model_of_stable_baselines_is_written_with_its_normaliser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str, str]]
) -> None:
    pytest.importorskip("stable_baselines3", reason="needs the extra `sb3`")
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("policy"), spaces.Box(-1, 1, (3,)), spaces.Discrete(2))
    code, out, err = command("export-policy", "policy", "--sb3", "mine.zip")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "mine.zip: acts as the policy does on 10,000 observations",
        "mine.vecnormalize.pkl: the VecNormalize whose normalize_obs its observations need",
    ]
    assert {file.name for file in tmp_path.glob("mine*")} == {"mine.zip", "mine.vecnormalize.pkl"}
    code, _, err = command("export-policy", "policy", "--sb3", "mine")
    assert (code, err) == (3, "error: mine: expected the name of a file that ends in .zip\n")


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["--onnx", "policy/card.json"], "policy/card.json: expected the name of a file that ends in .onnx"),
        (["--onnx", "."], ".: expected the name of a file that ends in .onnx"),
        (["--onnx", ""], ".: expected the name of a file that ends in .onnx"),
        (["--onnx", "folder.onnx"], "folder.onnx: expected to write folder.onnx, which is a directory"),
        (["--onnx", "mine.onnx"], "mine.onnx: expected to write mine.onnx.json, which is a directory"),
        (["--sb3", "policy/weights.safetensors"], "policy/weights.safetensors: expected the name of a file that ends in .zip"),
        (["--sb3", "mine.zip"], "mine.zip: expected to write mine.vecnormalize.pkl, which is a directory"),
        (["--onnx", "policy/card.json/mine.onnx"], "policy/card.json/mine.onnx: expected a folder to write to, "),
        (["--onnx", "fine.onnx", "--sb3", "fine"], "fine: expected the name of a file that ends in .zip"),
        (["--onnx", "fine.onnx", "--sb3", "fine.zip"], "--sb3: the policy chooses among joint actions"),
    ],
)
def test_a_target_that_cannot_be_written_is_refused_before_anything_is(
    targets: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[..., tuple[int, str, str]]
) -> None:
    for extra in ("onnxscript", "stable_baselines3"):
        pytest.importorskip(extra, reason="needs the extra `sb3`")
    monkeypatch.chdir(tmp_path)
    checkpoint(Path("policy"), spaces.Box(-1, 1, (3,)), spaces.MultiDiscrete([2, 2]))
    for folder in ("folder.onnx", "mine.onnx.json", "mine.vecnormalize.pkl"):
        Path(folder).mkdir()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    code, out, err = command("export-policy", "policy", *targets)
    assert (code, out) == (3, "") and err.startswith(f"error: {said}") and err.count("\n") == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
