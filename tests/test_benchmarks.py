"""What docs show of benchmarks is what git keeps of them."""

from pathlib import Path

import pytest
from benchmarks.replay import CLONE, RECORD, RECORDING, STUDIES, table

from headstart.core.strict_json import parse_json

DOCS = Path(__file__).parents[1] / "docs/anneal.md"


@pytest.mark.parametrize("study", STUDIES)
def test_docs_show_what_was_measured_of_training_from_records(study: str) -> None:
    record = parse_json(RECORD.read_bytes(), str(RECORD))[study]
    assert record.keys() == {RECORDING, CLONE, *STUDIES[study]}
    assert "\n".join(table({way: record[way] for way in (RECORDING, CLONE, *STUDIES[study])})) in DOCS.read_text()
