"""What a curated dataset says of where it is from, and what becomes of one that fails its gates."""

from pathlib import Path

import pytest
from tests.stages.test_capture import approve

from headstart.config.params import load_params
from headstart.config.scenario import Scenario
from headstart.core.errors import GateFailed
from headstart.core.files import read_record
from headstart.core.verdict import Verdict
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.manifest import DatasetManifest
from headstart.stages.curate import curate
from headstart.stages.validate import validate

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


def test_a_dataset_that_fails_goes_to_quarantine_with_what_can_cure_it(
    robot_walks: tuple[Scenario, Episodes, Header], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scenario, episodes, header = robot_walks
    raw = tmp_path / "data" / scenario.name / "raw"
    raw.mkdir(parents=True)
    write_episodes(raw / "shard-0000.h5", episodes, header)
    approve(scenario, tmp_path)
    curate(PARAMS, scenario)

    with pytest.raises(GateFailed) as failed:
        validate(PARAMS, scenario)

    message = str(failed.value)
    assert "enough-episodes: 10 episodes: 10 >= 200 does not hold" in message
    assert "enough-episodes: more `capture.worlds`" in message
    assert "expert-hash: `dvc repro capture`" in message
    assert not (raw.parent / "validated.json").exists()
    verdict = read_record(tmp_path / "reports" / scenario.name / "validate" / "verdict.json", Verdict)
    assert verdict.thresholds.items() >= PARAMS.validate_.model_dump().items()  # under the names of params.yaml
    assert verdict.thresholds["feature_range.high"] == scenario.feature_range[1]
    kept = next((tmp_path / "data" / "quarantine").glob(f"{scenario.name}@*"))
    assert {path.name for path in kept.iterdir()} == {"episodes.tsv", "heldout.h5", "manifest.json", "train.h5", "verdict.json"}
