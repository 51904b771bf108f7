"""A validation that does not pass leaves no earlier stamp to learn from."""

from pathlib import Path

import pytest

from headstart.config.params import load_params
from headstart.config.scenario import load_scenario
from headstart.core.errors import InputError
from headstart.stages.validate import validate

ROOT = Path(__file__).parents[2]


def test_an_earlier_stamp_is_gone_before_the_gates_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stamp = Path("data/queue_conflict/validated.json")
    stamp.parent.mkdir(parents=True)
    stamp.write_text("{}")
    with pytest.raises(
        InputError, match=r"manifest\.json: expected a file, found none; `dvc repro curate@queue_conflict` makes it"
    ):
        validate(load_params(ROOT / "params.yaml"), load_scenario("queue_conflict", ROOT / "scenarios"))
    assert not stamp.exists()
