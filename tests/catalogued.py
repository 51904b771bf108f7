"""A small project in git and DVC with validated datasets, and what DVC and git keep of them."""

import shutil
import subprocess
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

import yaml
from tests.forked import require
from tests.released import Project, manifest_for, new_project

from headstart.core.dvc_lock import content_md5
from headstart.core.files import sha256_file, write_record
from headstart.dataset.catalogue import Entry, Stored, add_entry, entry_of
from headstart.dataset.manifest import DatasetFacts, manifest_of, stored_file

FILES = ("block-0/train.h5", "block-0/heldout.h5", "episodes.tsv")
ENTRY_STAGES = {  # as DVC sees them: who made what
    "curate_walk": {"cmd": "true", "deps": ["scenarios/walk.yaml"], "outs": ["data/walk/curated"]},
    "validate_walk": {"cmd": "true", "deps": ["data/walk/curated"], "outs": ["data/walk/validated.json"]},
    "catalogue_walk": {
        "cmd": "true",
        "deps": ["data/walk/curated", "data/walk/validated.json"],
        "outs": [{"data/catalogue/walk.json": {"cache": False, "persist": True}}],
    },
    "bc_train_walk": {"cmd": "true", "deps": ["data/walk/validated.json"], "outs": ["models/walk/bc"]},
}


class Catalogued(Project):
    """A project whose stages curate, validate and catalogue ran."""

    def make(self, content: str, created_at: str = "2026-01-01T00:00:00.000Z", commit: bool = True) -> Entry:
        """A version of the dataset with files of this content: in the workspace, in DVC's cache, in dvc.lock, in the catalogue, and in git."""
        folder = self.root / "data/walk/curated"
        shutil.rmtree(folder, ignore_errors=True)
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f"{name}: {content}")
        drafted = manifest_for("scripted")
        facts = DatasetFacts(**{name: getattr(drafted, name) for name in DatasetFacts.model_fields})
        facts = facts.model_copy(update={"files": {name: stored_file(folder / name) for name in FILES}})
        write_record(folder / "manifest.json", manifest_of(facts))
        manifest = manifest_of(facts, "validated")
        path = self.root / "data/walk/validated.json"
        write_record(path, manifest)
        stored = Stored(manifest_sha256=sha256_file(path), manifest_md5=content_md5(path), files_md5=content_md5(folder))
        entry = entry_of(manifest, stored, created_at, {"capture": {"worlds": 1}}, None)
        found = add_entry(self.root, entry)[-1]
        (self.root / "models/walk/bc").mkdir(parents=True, exist_ok=True)
        (self.root / "models/walk/bc/clone").write_text(f"learned from {content}")
        self.dvc_commit()
        if commit:
            self.commit()
        return found

    def remote(self, name: str, *, default: bool = False) -> Path:
        """Add a remote, a folder beside the project."""
        place = self.root.parent / f"{self.root.name}-{name}"
        self.dvc("remote", "add", *(["--default"] if default else []), name, str(place))
        self.commit()
        return place

    def dvc(self, *arguments: str) -> str:
        return require(self.root, "dvc", *arguments).out

    def push(self, remote: str) -> None:
        """All objects of the cache, of every version."""
        place = self.root.parent / f"{self.root.name}-{remote}"
        shutil.copytree(self.root / ".dvc/cache/files", place / "files", dirs_exist_ok=True)

    def cached(self, md5: str) -> Path:
        return object_of(self.root / ".dvc/cache", md5)

    def clone(self, root: Path) -> "Catalogued":
        """A fresh clone: what git has, and nothing else."""
        subprocess.run(["git", "clone", "--quiet", str(self.root), str(root)], check=True)
        return Catalogued(root)


def object_of(store: Path, md5: str) -> Path:
    return store / "files/md5" / md5[:2] / md5[2:]


def flip(path: Path) -> None:
    """Change one byte, as a bad disk would: the file keeps its size, time and mode."""
    mode, data = path.stat().st_mode, bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    path.chmod(mode)


def new_catalogued(root: Path) -> Catalogued:
    root.mkdir(parents=True, exist_ok=True)
    new_project(root)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": ENTRY_STAGES}))
    return Catalogued(root)


def with_versions(root: Path, contents: Sequence[str]) -> tuple[Catalogued, list[Entry]]:
    """A project in which each version followed the other; the last is checked out."""
    project = new_catalogued(root)
    with chdir(root):
        return project, [project.make(one, f"2026-01-0{i + 1}T00:00:00.000Z") for i, one in enumerate(contents)]
