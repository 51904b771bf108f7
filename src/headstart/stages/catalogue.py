"""Stage `catalogue`: one line for the validated dataset in data/catalogue.json, which git tracks.

This is a separate stage without outputs for DVC, because an output that DVC does not cache would exclude `validate` from the run cache.
"""

from datetime import UTC, datetime
from pathlib import Path

from headstart.config.params import Params
from headstart.config.project import CATALOGUE, DATA
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import stage_command
from headstart.core.files import read_record, sha256_file
from headstart.core.git import git_state
from headstart.core.provenance import utc_text
from headstart.dataset.catalogue import Entry, add_entry
from headstart.dataset.manifest import DatasetManifest


def catalogue(params: Params, scenario: Scenario) -> Done:
    """Appends to data/catalogue.json unless it contains this dataset version already."""
    path = DATA / scenario.name / "validated.json"
    manifest = read_record(path, DatasetManifest, made_by=stage_command("validate", scenario.name))
    revision, _ = git_state(Path())
    entry = Entry(
        dataset=manifest.dataset,
        version=manifest.version,
        scenario=manifest.scenario,
        manifest=path.as_posix(),
        directory=(DATA / scenario.name / "curated").as_posix(),
        manifest_sha256=sha256_file(path),
        episodes=manifest.accepted.episodes,
        steps=manifest.accepted.steps,
        success_rate=manifest.quality.success_rate,
        return_mean=manifest.quality.return_mean,
        expert=manifest.expert,
        policy_sha256=manifest.policy_sha256,
        created_at=utc_text(datetime.now(UTC)),
        git_revision=revision,
        parameters={"capture": params.capture.model_dump(mode="json"), "curate": params.curate.model_dump(mode="json")},
        licence="Apache-2.0",
    )
    entries = add_entry(CATALOGUE, entry).entries
    return Done(f"catalogue: {entry.name} is one of {len(entries)} dataset versions")


if __name__ == "__main__":
    main(catalogue)
