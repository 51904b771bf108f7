"""What a curated dataset says of where it is from."""

from pathlib import Path

import pytest

from headstart.config.params import load_params
from headstart.config.scenario import Scenario
from headstart.core.files import read_record
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.manifest import DatasetManifest
from headstart.stages.curate import curate

PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")


@pytest.mark.parametrize("policy", ["scripted", "ppo"])
def test_the_manifest_names_the_kind_of_expert(
    policy: str, robot_walks: tuple[Scenario, Episodes, Header], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script, episodes, header = robot_walks
    raw = tmp_path / "data" / script.name / "raw"
    raw.mkdir(parents=True)
    write_episodes(raw / "shard-0000.h5", episodes, header)
    gate = script.expert.model_copy(update={"policy": policy})
    curate(PARAMS, script.model_copy(update={"expert": gate}))
    manifest = read_record(raw.parent / "curated" / "manifest.json", DatasetManifest)
    assert manifest.expert == policy
