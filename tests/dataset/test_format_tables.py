"""The tables of formats in docs/data.md have every path, dtype, shape and key of the code, in its order, and no other."""

import re
from pathlib import Path

import pytest

from headstart.core.record import Record
from headstart.dataset.catalogue import Entry
from headstart.dataset.curation import INDEX_COLUMNS
from headstart.dataset.episodes import Header
from headstart.dataset.episodes_file import (
    ATTRIBUTES,
    BEHAVIOUR,
    BEHAVIOUR_DTYPE,
    CONTINUOUS,
    DISCRETE,
    ESTIMATED,
    EVERY_WORLD,
    WITH_MAP,
)
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.checkpoint import Card
from headstart.telemetry.kinds import KINDS, Line, Wall

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text().partition("\n## Formats\n")[2]


def rows(section: str, head: str) -> list[list[str]]:
    """The cells of the table below a heading whose first cell is `head`."""
    text = re.split(r"^### ", PAGE.partition(f"\n### {section}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    (table,) = re.findall(rf"^\| {head} \|.*\n\|(?:---\|)+\n((?:\|.*\n?)+)", text, flags=re.MULTILINE)
    cells = [
        [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table.splitlines()
    ]
    assert all(row[-1] for row in cells), "every row says what it is"
    return cells


def test_every_column_of_an_episodes_file_stands_there_with_dtype_and_shape() -> None:
    expected = {
        (path, dtype, f"[{', '.join(shape)}]")
        for columns in (EVERY_WORLD, DISCRETE, CONTINUOUS, WITH_MAP, ESTIMATED)
        for path, (dtype, shape) in columns.items()
    }
    found = [tuple(row[:3]) for row in rows("Episodes file", "path")]
    ((counter, *of_counter),) = [row for row in found if row[0] not in {path for path, *_ in expected}]
    assert re.fullmatch(BEHAVIOUR, counter.replace("NAME", "showers"))
    assert of_counter == [BEHAVIOUR_DTYPE, "[E]"]
    assert sorted(row for row in found if row[0] != counter) == sorted(expected)
    assert all(f"`{name}`" in PAGE for name in ATTRIBUTES)


@pytest.mark.parametrize(
    ("section", "head", "model"),
    [
        ("Episodes file", "header", Header),
        ("Manifest", "key", DatasetManifest),
        ("Catalogue entry", "key", Entry),
        ("Checkpoint", "key", Card),
        ("Telemetry log", "key", Line),
    ],
)
def test_every_key_of_a_record_stands_there(section: str, head: str, model: type[Record]) -> None:
    assert [row[0] for row in rows(section, head)] == list(model.model_fields)


def test_the_columns_of_the_index_and_the_kinds_of_lines_stand_there() -> None:
    assert [row[0] for row in rows("Index", "column")] == list(INDEX_COLUMNS)
    assert sorted(row[0] for row in rows("Telemetry log", "kind")) == sorted(KINDS)
    assert all(f"`{name}`" in PAGE for name in Wall.model_fields)


def test_the_schema_ids_of_the_page_are_those_that_are_written() -> None:
    written = {str(model.model_fields["schema_id"].default) for model in (Header, DatasetManifest, Card, Line)} | {
        "episode-index/1",
        "catalogue/3",
        "catalogue-marks/1",
    }
    assert set(re.findall(r"`([a-z-]+/\d+)`", PAGE)) == written
