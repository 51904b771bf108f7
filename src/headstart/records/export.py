"""The JSON Schemas of all records: `python -m headstart.records.export` rewrites `schemas/`, a test compares the bytes."""

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from headstart.records.catalogue import Catalogue
from headstart.records.checkpoint import Card
from headstart.records.clone import CloneReport
from headstart.records.episode_index import EpisodeRow
from headstart.records.episodes_layout import Header
from headstart.records.expert import ExpertPolicy
from headstart.records.files import write_bytes
from headstart.records.history import Line
from headstart.records.manifest import DatasetManifest
from headstart.records.observation import ObservationSchema
from headstart.records.progress import Progress
from headstart.records.provenance import RunRecord
from headstart.records.reference import Reference
from headstart.records.releases import Releases
from headstart.records.runs import ArmRuns
from headstart.records.shift import CloneShift
from headstart.records.strict_json import pretty_json
from headstart.records.telemetry import SegmentIndex
from headstart.records.telemetry_kinds import ANY_LINE

DIRECTORY = Path(__file__).parent / "schemas"

RECORDS: dict[str, TypeAdapter[Any]] = {
    "arm-runs/2": TypeAdapter(ArmRuns),
    "catalogue/1": TypeAdapter(Catalogue),
    "checkpoint/1": TypeAdapter(Card),
    "clone-report/1": TypeAdapter(CloneReport),
    "clone-shift/1": TypeAdapter(CloneShift),
    "dataset/1": TypeAdapter(DatasetManifest),
    "episode-index/1": TypeAdapter(EpisodeRow),  # a row; the file is a TSV
    "episodes/1": TypeAdapter(Header),  # the header; the columns are in episodes_layout
    "expert-policy/1": TypeAdapter(ExpertPolicy),
    "history/1": TypeAdapter(Line),  # a line
    "observation/1": TypeAdapter(ObservationSchema),
    "progress/2": TypeAdapter(Progress),
    "reference/1": TypeAdapter(Reference),
    "releases/1": TypeAdapter(Releases),
    "run/1": TypeAdapter(RunRecord),
    "telemetry-index/1": TypeAdapter(SegmentIndex),
    "telemetry/2": ANY_LINE,  # a line
}


def export_schemas(directory: Path = DIRECTORY) -> list[Path]:
    """Write one JSON Schema (draft 2020-12) a record, as `<name>.v<major>.json`; returns the paths."""
    paths = []
    for schema_id, adapter in RECORDS.items():
        name, major = schema_id.split("/")
        schema = adapter.json_schema(mode="serialization")
        schema |= {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:headstart:{schema_id}",
        }
        paths.append(directory / f"{name}.v{major}.json")
        write_bytes(paths[-1], pretty_json(schema))
    return paths


if __name__ == "__main__":
    for path in export_schemas():
        print(path)
