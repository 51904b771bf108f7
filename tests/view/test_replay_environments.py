"""Captured environments of users, of one agent and of several, are rebuilt from the seed of the world and drawn by themselves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.recordings import ROOT, captured, edited
from tests.view.test_replay import play

from headstart.config.params import for_scenario, load_params
from headstart.dataset.episodes import Episodes
from headstart.view.play_dataset import open_dataset
from headstart.view.sheet import sheet

TASKS: dict[str, dict[str, Any]] = {
    "pole": {"world": "gym", "setup": {"id": "CartPole-v1"}, "success": ["every steps >= 20"], "harm": ["any terminated > 0"]},
    "spread": {
        "world": "pettingzoo",
        "setup": {"id": "mpe2.simple_spread_v3"},
        "success": ["every steps >= 20"],
        "harm": ["any return < -1000"],
    },
}
LEARNED = {"expert": {"policy": "ppo", "success_rate": 0, "harm_rate": 1}, "targets": {"any": {"success_rate": 0.5}}}


def drawn_at_random(name: str) -> Path:
    """Three worlds in which actions were drawn at random, as a learned expert's are captured."""
    Path("scenarios").mkdir()
    Path("data", name, "curated").mkdir(parents=True)
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path(f"scenarios/{name}.yaml").write_text(json.dumps(TASKS[name] | LEARNED | {"horizon": 20}))
    random = np.random.default_rng(0)
    return captured(name, 3, lambda world: lambda obs: random.integers(0, len(world.names.actions), world.num_envs))


@pytest.mark.parametrize("name", TASKS)
def test_every_step_comes_out_as_recorded_and_is_drawn(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = drawn_at_random(name)
    track, wrong = play(name, "2", "rgb_array")
    assert (track.says[0], wrong) == (f"recorded == replayed: {len(track)} of {len(track)} steps", "")
    assert len(track.frames) == len(track) + 1
    dataset = open_dataset(name)
    _, says = sheet(dataset, for_scenario(load_params(), dataset.scenario), 100, as_png=False)
    assert says.endswith("pictures: the last moment of each")

    def change(episodes: Episodes) -> None:
        row = int(episodes.table.start[2]) + 5
        episodes.action[row] = (episodes.action[row] + 1) % 2

    edited(path, change)
    track, wrong = play(name, "2")
    assert "recorded != replayed: first at step " in wrong
