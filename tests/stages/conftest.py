"""In these tests every stage sees the settings that dvc.yaml names for it, and no others, as when DVC runs it."""

import importlib
from functools import wraps
from pathlib import Path

import yaml
from tests.cloned import ROOT

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.settings import only
from headstart.config.stage import Done, keys_of

ENTRIES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def _narrow(name: str) -> None:
    """Before a test module imports the stage's function."""
    module = importlib.import_module(f"headstart.stages.{name}")
    stage = getattr(module, name)

    @wraps(stage)
    def narrowed(params: Params, scenario: Scenario, *arm: str | Path) -> Done:  # an arm, or the folder of a draft
        keys = keys_of(ENTRIES[name]["params"], {"arm": "".join(map(str, arm))})
        assert keys is not None
        done: Done = stage(*only(params, scenario, keys), *arm)
        return done

    setattr(module, name, narrowed)


for _name in ENTRIES.keys() - {"settings"}:
    _narrow(_name)
