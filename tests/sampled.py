"""The recordings in samples/: drafts of one world of the town each, with more and with fewer agents at its shower. `make goldens` writes them.

Neither the recorder's version nor the hash of the simulator's sources is in them, so that they change with what happens in the town alone.
"""

from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from headstart.config.params import load_params
from headstart.config.scenario import load_scenario
from headstart.dataset.drafts import task_of_draft
from headstart.runs.drafting import Asked, Plan, record_draft

ROOT = Path(__file__).parents[1]
RECORDINGS = Path("samples")
AGENTS = {"base": 4, "crowded": 6, "sparse": 2}
SEED = 7
NO_HASH = "0" * 64


def recordings() -> dict[str, bytes]:
    """Path below samples/ → content, recorded anew."""
    scenario, settings = load_scenario("queue_conflict", ROOT / "scenarios"), load_params(ROOT / "params.yaml").capture
    one = settings.model_copy(update={"seed": SEED, "worlds": 1, "blocks": 1, "shard_worlds": 1})
    with TemporaryDirectory() as folder, chdir(folder), patch("headstart.runs.recording.WRITER", "sample"):
        for name, agents in AGENTS.items():
            task = task_of_draft(scenario, None, agents)
            record_draft(Plan(f"queue_conflict.{name}", scenario, task, one, NO_HASH, agents, Asked(agents=agents)))
        files = sorted(path for path in Path("data").rglob("*") if path.is_file())
        return {path.relative_to("data").as_posix(): path.read_bytes() for path in files}
