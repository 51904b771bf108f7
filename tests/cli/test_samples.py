"""The recordings in samples/ are what the code records, prove themselves, and differ as the number of agents at the shower does."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sampled import AGENTS, RECORDINGS, recordings

from headstart.dataset.episodes_file import read_episodes

ROOT = Path(__file__).parents[2]


def test_the_recordings_are_made_byte_for_byte_and_are_small() -> None:
    made = recordings()
    for name, data in made.items():
        assert (ROOT / RECORDINGS / name).read_bytes() == data, f"samples/{name}: `make goldens` shows and asks"
    there = [path for path in (ROOT / RECORDINGS).glob("queue_conflict.*/**/*") if path.is_file()]
    assert len(there) == len(made) == 3 * len(AGENTS)
    assert sum(map(len, made.values())) <= 200_000


def test_more_agents_wait_more_and_succeed_less() -> None:
    tables = {name: read_episodes(ROOT / RECORDINGS / f"queue_conflict.{name}/raw/shard-0000.h5")[0].table for name in AGENTS}
    waited = {name: table.behaviour["waited"].mean() for name, table in tables.items()}
    assert waited["sparse"] < waited["base"] < waited["crowded"]
    assert tables["sparse"].success.all() and not tables["crowded"].success.any()


@pytest.mark.parametrize("name", AGENTS)
def test_each_is_played_proved_and_inspected_by_its_path(
    name: str, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = f"samples/queue_conflict.{name}"
    code, said, _ = command("play", path, "1")
    assert (code, "recorded == replayed: 128 of 128 steps" in said) == (0, True)
    code, said, _ = command("inspect", path)
    assert code == 0
    assert f"{path}: a draft, not curated" in said
    assert "entry in the catalogue: none of a folder outside of data/" in said
    assert "request_shower" in said and "WRONG" not in said
