"""Stage `catalogue`: the facts of the validated dataset in data/catalogue/<scenario>.json, which git tracks.

DVC holds the file's hash but not its bytes, and leaves what it finds there (`cache: false`, `persist: true`): a file that is missing or was
edited makes DVC run this stage again. It is a stage of its own, because such an output would keep `validate` out of the run cache.
"""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import stage_command
from headstart.core.dvc_lock import content_md5
from headstart.core.files import read_record, sha256_file
from headstart.core.provenance import utc_text
from headstart.dataset.catalogue import Stored, add_entry, checked_out, entry_of
from headstart.dataset.manifest import DatasetManifest, require_files


def catalogue(params: Params, scenario: Scenario) -> Done:
    """Adds the dataset version that is checked out, unless the file has it already."""
    path, folder = checked_out(scenario.name)
    manifest = read_record(path, DatasetManifest, made_by=stage_command("validate", scenario.name))
    require_files(manifest, folder)
    stored = Stored(manifest_sha256=sha256_file(path), manifest_md5=content_md5(path), files_md5=content_md5(folder))
    parameters: dict[str, JsonValue] = {
        "capture": params.capture.model_dump(mode="json"),
        "curate": params.curate.model_dump(mode="json"),
    }
    entry = entry_of(manifest, stored, utc_text(datetime.now(UTC)), parameters, scenario.licence)
    entries = add_entry(Path(), entry)
    says = f"catalogue {scenario.name}: {entry.name} is one of {len(entries)} versions"
    return Done(says, look=f"data/catalogue/{scenario.name}.json; `headstart catalogue show {entry.name}`")


if __name__ == "__main__":
    main(catalogue)
