"""What a curated dataset says of where it is from."""

from pathlib import Path

import numpy as np
import pytest

from headstart.params import Scenario, load_params, load_scenario
from headstart.records.episodes import Header, write_episodes
from headstart.records.files import read_record
from headstart.records.manifest import DatasetManifest
from headstart.stages.capture import record
from headstart.stages.curate import curate
from headstart.stages.project import schema_of, worlds_of
from headstart.stages.teacher import teacher_of
from headstart.worlds import FIRST_WORLD

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("policy", ["scripted", "ppo"])
def test_the_manifest_names_the_kind_of_expert(policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml")
    script = Scenario.model_validate(load_scenario("nav_gap_seeker", ROOT / "scenarios").model_dump() | {"horizon": 12})
    world, ids = worlds_of(script, "capture", 10), FIRST_WORLD["capture"] + np.arange(10)
    header = Header(
        scenario=script.name,
        scenario_sha256=script.sha256,
        policy_sha256="e" * 64,
        seed=1,
        observation=schema_of(world),
        writer_version="test",
    )
    raw = tmp_path / "data" / script.name / "raw"
    raw.mkdir(parents=True)
    write_episodes(raw / "shard-0000.h5", record(world, teacher_of(script, world), ids, params.capture, header), header)
    gate = script.expert.model_copy(update={"policy": policy})
    curate(params, script.model_copy(update={"expert": gate}))
    manifest = read_record(raw.parent / "curated" / "manifest.json", DatasetManifest)
    assert manifest.expert == policy
