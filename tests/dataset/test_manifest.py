"""A manifest is a function of the dataset's content, and says so when one of the two was changed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from headstart.core.contents import stored_file
from headstart.core.errors import HeadstartError, InputError, IntegrityError
from headstart.core.files import read_record, write_record
from headstart.dataset.manifest import (
    Block,
    DatasetFacts,
    DatasetManifest,
    Quality,
    Splits,
    Tally,
    manifest_of,
    require_files,
)


@pytest.fixture
def facts(tmp_path: Path) -> DatasetFacts:
    (tmp_path / "train.h5").write_bytes(b"abc")
    recorded, accepted = Tally(worlds=1, episodes=3, steps=6), Tally(worlds=1, episodes=2, steps=3)
    return DatasetFacts(
        dataset="queue_conflict",
        scenario="queue_conflict",
        scenario_sha256="a" * 64,
        expert="scripted",
        policy_sha256="b" * 64,
        seed=7,
        accepted=accepted,
        rejected=Tally(worlds=1, episodes=1, steps=3),
        rejection_reasons={"too-short": 1},
        quality=Quality(success_rate=0.9, harm_rate=0.1, return_mean=1.5, steps_mean=10.0),
        blocks=(Block(first_world=5, last_world=5, recorded=recorded, accepted=accepted),),
        files={"train.h5": stored_file(tmp_path / "train.h5")},
        splits=Splits(
            rule="by hash of world",
            seed=0,
            heldout_share=0.5,
            train=Tally(worlds=1, episodes=1, steps=2),
            heldout=Tally(worlds=1, episodes=1, steps=1),
        ),
    )


def test_a_manifest_comes_back_from_disk(
    tmp_path: Path, facts: DatasetFacts, require_schema: Callable[[bytes | str, str], None]
) -> None:
    manifest = manifest_of(facts)

    write_record(tmp_path / "manifest.json", manifest)

    assert read_record(tmp_path / "manifest.json", DatasetManifest) == manifest
    require_schema((tmp_path / "manifest.json").read_bytes(), "dataset/3")


def test_a_manifest_without_one_of_its_keys_is_no_dataset(tmp_path: Path, facts: DatasetFacts) -> None:
    path = tmp_path / "manifest.json"
    whole = manifest_of(facts).model_dump(mode="json")
    needed = {name for name, field in DatasetManifest.model_fields.items() if field.is_required()}
    assert {"scenario", "policy_sha256", "seed", "quality", "blocks", "files", "splits"} <= needed
    for key in needed:
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        with pytest.raises(HeadstartError, match=key):
            read_record(path, DatasetManifest)


def test_the_version_follows_the_content_but_not_the_status(facts: DatasetFacts) -> None:
    manifest = manifest_of(facts)

    assert manifest.version == "b0dc46136298"
    assert manifest_of(facts, "validated").version == manifest.version
    changes: list[dict[str, object]] = [{"seed": 8}, {"files": {}}, {"blocks": ()}]
    for change in changes:
        assert manifest_of(facts.model_copy(update=change)).version != manifest.version


def test_a_manifest_whose_content_was_edited_is_refused(tmp_path: Path, facts: DatasetFacts) -> None:
    path = tmp_path / "manifest.json"
    write_record(path, manifest_of(facts))
    path.write_text(path.read_text().replace('"episodes": 2', '"episodes": 3'))

    with pytest.raises(InputError, match=r"version .* is not that of the content"):
        read_record(path, DatasetManifest)


@pytest.mark.parametrize("name", ["../train.h5", "/train.h5", "a/../b", "a\\b", "C:train.h5", "a//b", "", ".", "a\nb"])
def test_a_file_outside_of_the_dataset_cannot_be_named(facts: DatasetFacts, name: str) -> None:
    with pytest.raises(ValidationError):
        DatasetFacts.model_validate(facts.model_dump() | {"files": {name: {"sha256": "a" * 64, "bytes": 1}}})


@pytest.mark.parametrize("name", ["train.h5", "shards/0001.h5", ".hidden", "..data", "a b"])
def test_a_file_inside_of_the_dataset_can_be_named(facts: DatasetFacts, name: str) -> None:
    changed = DatasetFacts.model_validate(facts.model_dump() | {"files": {name: {"sha256": "a" * 64, "bytes": 1}}})

    assert list(changed.files) == [name]


def test_files_as_recorded_pass(tmp_path: Path, facts: DatasetFacts) -> None:
    require_files(manifest_of(facts), tmp_path)


def test_every_file_that_is_not_as_recorded_is_named(tmp_path: Path, facts: DatasetFacts) -> None:
    recorded = facts.files["train.h5"]
    manifest = manifest_of(facts.model_copy(update={"files": {"train.h5": recorded, "heldout.h5": recorded}}))
    (tmp_path / "train.h5").write_bytes(b"abd")

    with pytest.raises(
        IntegrityError, match=r"heldout\.h5: expected a file of 3 bytes, found none; .*train\.h5: expected 3 bytes"
    ):
        require_files(manifest, tmp_path)
