"""The index of episodes is a table that people and programs read alike."""

from pathlib import Path

import pytest

from headstart.core.errors import InputError
from headstart.dataset.episode_index import EpisodeRow, read_index, write_index

ACCEPTED = EpisodeRow(
    episode_id="0123456789abcdef",
    seed=7,
    world=100,
    episode=0,
    agent=2,
    length=128,
    total_reward=0.1,
    success=True,
    harm=False,
    accepted=True,
    split="train",
    reasons=(),
)
REJECTED = ACCEPTED.model_copy(update={"accepted": False, "split": "none", "reasons": ("too-short", "no-success")})
TEXT = (
    "# episode-index/1\n"
    "episode_id\tseed\tworld\tepisode\tagent\tlength\ttotal_reward\tsuccess\tharm\taccepted\tsplit\treasons\n"
    "0123456789abcdef\t7\t100\t0\t2\t128\t0.1\ttrue\tfalse\ttrue\ttrain\t\n"
    "0123456789abcdef\t7\t100\t0\t2\t128\t0.1\ttrue\tfalse\tfalse\tnone\ttoo-short,no-success\n"
)


def test_the_index_has_the_golden_text_and_comes_back(tmp_path: Path) -> None:
    write_index(tmp_path / "i.tsv", [ACCEPTED, REJECTED])

    assert (tmp_path / "i.tsv").read_text() == TEXT
    assert read_index(tmp_path / "i.tsv") == [ACCEPTED, REJECTED]


def test_an_index_without_episodes_comes_back(tmp_path: Path) -> None:
    write_index(tmp_path / "i.tsv", [])

    assert read_index(tmp_path / "i.tsv") == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("episode-index/1", "episode-index/2", "expected '# episode-index/1'"),
        ("\tagent\t", "\trobot\t", "a line of the columns"),
        ("no-success\n", "no-success", "a last newline"),
        ("\t128\t0.1\ttrue\tfalse\ttrue", "\t128\ttrue\tfalse\ttrue", "line 3: expected 12 cells, got 11"),
        ("\t128\t0.1\ttrue\tfalse\tfalse", "\tmany\t0.1\ttrue\tfalse\tfalse", "line 4: field length: .*integer.*, got 'many'"),
        ("0.1", "nan", "line 3: field total_reward: .*finite"),
        ("\ttrain\t", "\ttest\t", "line 3: field split"),
    ],
)
def test_a_wrong_index_is_refused_with_its_line(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in TEXT
    (tmp_path / "i.tsv").write_text(TEXT.replace(old, new))

    with pytest.raises(InputError, match=problem):
        read_index(tmp_path / "i.tsv")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "i.tsv").write_bytes(b"# episode\xff")

    with pytest.raises(InputError, match="expected UTF-8, got byte 0xff at 9"):
        read_index(tmp_path / "i.tsv")
