"""`headstart check`: what it prints, and with which code it ends."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.one_process import PoolHere
from tests.runs.test_check import SHOWN

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    Path("scenarios").mkdir()
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for name in ("queue_conflict", "nav_mixed"):
        Path(f"scenarios/{name}.yaml").write_bytes((ROOT / f"scenarios/{name}.yaml").read_bytes())


def mine(toy: str, **changes: object) -> None:
    content = SHOWN | {"setup": {"id": f"tests.worlds.toys:{toy}-v0"}} | changes
    Path("scenarios/mine.yaml").write_text(yaml.safe_dump({key: value for key, value in content.items() if key != "name"}))


def test_a_sound_scenario_ends_with_its_times(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.runs.check.ProcessPoolExecutor", PoolHere)
    mine("Shown")
    code, out, err = command("check", "mine")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "check mine: gym, horizon 20"
    assert "expert: 3 × 393,216 env steps at " in out
    assert "WRONG" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_fault_of_the_environment_ends_with_3_and_a_gate_with_6(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.runs.check.ProcessPoolExecutor", PoolHere)
    mine("Counting", recipe={"seeds": [40, 41]})
    code, out, err = command("check", "mine")
    assert code == 3
    assert out.count("WRONG") == 2
    assert "cure: reset(seed=…) must set everything" in out
    assert err == "error: mine: 2 of these must be mended before anything is trained\n"
    mine("Shown", recipe={"seeds": [40, 41]})
    code, out, err = command("check", "mine")
    assert code == 6
    assert "WRONG gates     seeds: 2; with fewer than 10 the verdict is no PASS" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["queue_conflict", "nav_mixed"])
def test_our_own_worlds_can_be_checked(command: Command, name: str) -> None:
    code, out, _ = command("check", name)
    assert code == 0
    assert "a second process: the same bits" in out
    assert max(map(len, out.splitlines())) <= 80
