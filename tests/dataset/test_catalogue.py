"""The catalogue only grows, and every entry that is checked out is what it says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.core.contents import stored_file
from headstart.core.errors import InputError, IntegrityError
from headstart.core.files import sha256_file, write_record
from headstart.dataset.catalogue import Catalogue, Entry, add_entry, add_tag, deprecate, read_catalogue, require_valid
from headstart.dataset.manifest import (
    DatasetFacts,
    DatasetManifest,
    Quality,
    Splits,
    Tally,
    manifest_of,
)

NOTHING = Tally(worlds=0, episodes=0, steps=0)


def dataset(root: Path, content: bytes, folder: str = "data/curated") -> tuple[DatasetManifest, Entry]:
    """A dataset of one file on disk, and its entry."""
    directory = root / folder
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "episodes.h5").write_bytes(content)
    manifest = manifest_of(
        DatasetFacts(
            dataset="queue_conflict",
            scenario="queue_conflict",
            scenario_sha256="a" * 64,
            expert="scripted",
            policy_sha256="b" * 64,
            seed=7,
            accepted=Tally(worlds=1, episodes=1, steps=2),
            rejected=Tally(worlds=0, episodes=0, steps=0),
            rejection_reasons={},
            quality=Quality(success_rate=0.9, harm_rate=0.1, return_mean=1.5, steps_mean=10.0),
            blocks=(),
            files={"episodes.h5": stored_file(directory / "episodes.h5")},
            splits=Splits(rule="all", seed=0, heldout_share=0.0, train=NOTHING, heldout=NOTHING),
        ),
        "validated",
    )
    write_record(directory / "manifest.json", manifest)
    entry = Entry(
        dataset=manifest.dataset,
        version=manifest.version,
        scenario=manifest.scenario,
        manifest=f"{folder}/manifest.json",
        directory=folder,
        manifest_sha256=sha256_file(directory / "manifest.json"),
        episodes=1,
        steps=2,
        success_rate=0.9,
        return_mean=1.5,
        expert="scripted",
        policy_sha256="b" * 64,
        created_at="2025-01-31T12:00:00.000Z",
        git_revision=None,
        parameters={},
        licence="Apache-2.0",
    )
    return manifest, entry


def test_a_missing_catalogue_is_empty(tmp_path: Path) -> None:
    assert read_catalogue(tmp_path / "catalogue.json") == Catalogue()


def test_an_entry_without_quality_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    old, new = (dataset(tmp_path, content)[1].model_dump(mode="json") for content in (b"one", b"two"))
    del old["success_rate"], old["return_mean"]
    path.write_text(json.dumps({"schema_id": "catalogue/2", "entries": [old]}))

    entries = add_entry(path, Entry.model_validate_json(json.dumps(new))).entries

    assert [(entry.success_rate, entry.return_mean) for entry in entries] == [(None, None), (0.9, 1.5)]


def test_an_entry_is_appended_behind_the_others(tmp_path: Path, require_schema: Callable[[bytes | str, str], None]) -> None:
    path = tmp_path / "catalogue.json"
    entries = [dataset(tmp_path, content)[1] for content in (b"one", b"two")]

    for entry in entries:
        add_entry(path, entry)

    assert read_catalogue(path).entries == tuple(entries)
    require_schema(path.read_bytes(), "catalogue/2")


def test_the_same_manifest_is_entered_once(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    _, entry = dataset(tmp_path, b"one")
    add_entry(path, entry)
    before = path.read_bytes()

    again = add_entry(path, entry.model_copy(update={"created_at": "2026-01-01T00:00:00Z", "tags": ("again",)}))

    assert again.entries == (entry,)
    assert path.read_bytes() == before


def test_the_same_version_with_another_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    _, entry = dataset(tmp_path, b"one")
    add_entry(path, entry)

    with pytest.raises(IntegrityError, match=f"{entry.name} has manifest {entry.manifest_sha256}, not {'d' * 64}"):
        add_entry(path, entry.model_copy(update={"manifest_sha256": "d" * 64}))


def test_status_and_tags_change_in_place(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    _, entry = dataset(tmp_path, b"one")
    add_entry(path, entry)

    deprecate(path, entry.name)
    add_tag(path, entry.name, "golden")
    add_tag(path, entry.name, "golden")

    assert read_catalogue(path).entries == (entry.model_copy(update={"status": "deprecated", "tags": ("golden",)}),)


def test_an_unknown_entry_and_a_malformed_tag_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    _, entry = dataset(tmp_path, b"one")
    add_entry(path, entry)
    before = path.read_bytes()

    with pytest.raises(InputError, match="expected an entry 'other@1'"):
        deprecate(path, "other@1")
    with pytest.raises(InputError, match=r"field entries.0.tags.0"):
        add_tag(path, entry.name, "no spaces")

    assert path.read_bytes() == before


def test_a_catalogue_with_two_entries_of_one_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"
    _, entry = dataset(tmp_path, b"one")
    other = entry.model_copy(update={"manifest_sha256": "d" * 64})
    text = Catalogue(entries=(entry,)).model_dump_json()
    path.write_text(text.replace("[{", f"[{other.model_dump_json()},{{", 1))

    with pytest.raises(InputError, match="occurs twice"):
        read_catalogue(path)


def test_entries_that_are_checked_out_are_checked_and_others_are_not(tmp_path: Path) -> None:
    _, gone = dataset(tmp_path, b"one")
    _, here = dataset(tmp_path, b"two")
    _, elsewhere = dataset(tmp_path, b"three", "elsewhere")
    (tmp_path / "elsewhere" / "manifest.json").unlink()

    assert require_valid(Catalogue(entries=(gone, here, elsewhere)), tmp_path) == (here.name,)


def test_a_dataset_whose_manifest_lies_apart_is_checked_in_its_directory(tmp_path: Path) -> None:
    _, entry = dataset(tmp_path, b"one")
    (tmp_path / "data/curated/manifest.json").rename(tmp_path / "data/validated.json")
    entry = entry.model_copy(update={"manifest": "data/validated.json"})

    assert require_valid(Catalogue(entries=(entry,)), tmp_path) == (entry.name,)
    (tmp_path / "data/curated/episodes.h5").write_bytes(b"two")
    with pytest.raises(IntegrityError, match=r"episodes\.h5: expected 3 bytes"):
        require_valid(Catalogue(entries=(entry,)), tmp_path)


def test_all_that_is_not_as_recorded_is_named(tmp_path: Path) -> None:
    manifest, entry = dataset(tmp_path, b"one")
    write_record(tmp_path / entry.manifest, manifest.model_copy(update={"status": "draft"}))
    (tmp_path / "data/curated/episodes.h5").unlink()

    with pytest.raises(
        IntegrityError, match=r"manifest\.json with hash .*; .*episodes\.h5: expected a file of 3 bytes, found none"
    ):
        require_valid(Catalogue(entries=(entry,)), tmp_path)


def test_a_manifest_outside_of_the_project_cannot_be_entered(tmp_path: Path) -> None:
    _, entry = dataset(tmp_path, b"one")

    with pytest.raises(InputError, match=r"field entries.0.manifest"):
        add_entry(tmp_path / "catalogue.json", entry.model_copy(update={"manifest": "../manifest.json"}))
