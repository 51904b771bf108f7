"""Which code the stages ran: one hash over every file that a stage of dvc.yaml depends on."""

from pathlib import Path

import yaml

from headstart.errors import InputError
from headstart.lineage.git import tracked
from headstart.records.files import sha256_file
from headstart.records.strict_json import sha256_json

PIPELINE = "dvc.yaml"
NO_DEPENDENCY = "draw"  # folders that .dvcignore names


def code_sha256(root: Path) -> str:
    """SHA-256 over the paths and contents of the tracked files in `src/` that any stage depends on, as they lie in the working tree.

    Raises InputError outside of a repository, or without a pipeline.
    """
    try:
        stages = yaml.safe_load((root / PIPELINE).read_bytes())["stages"].values()
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{root / PIPELINE}: expected a pipeline of DVC: {' '.join(str(error).split())}") from None
    sources = {dep for stage in stages for dep in stage.get("deps", ()) if dep.startswith("src/")}
    files = [path for path in tracked(root, *sorted(sources)) if NO_DEPENDENCY not in path.split("/")]
    return sha256_json({path: sha256_file(root / path) for path in files})
