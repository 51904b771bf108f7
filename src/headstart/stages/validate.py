"""Stage `validate`: check every gate of a dataset. A dataset that fails goes into quarantine with its report, and no later stage may read it."""

import shutil
from pathlib import Path

import numpy as np

from headstart.config.params import Params
from headstart.config.project import DATA, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import pipeline_command, stage_command
from headstart.core.contents import sealed_directory
from headstart.core.errors import GateFailed
from headstart.core.files import sha256_file, write_bytes, write_record
from headstart.core.verdict import Outcome, Subject, judge, misses
from headstart.dataset.completeness import Records, completeness_gates
from headstart.dataset.curation import read_index
from headstart.dataset.cures import cures
from headstart.dataset.episodes import concatenate
from headstart.dataset.episodes_file import read_episodes
from headstart.dataset.gates import Dataset, Provenance, dataset_gates, thresholds
from headstart.dataset.manifest import HELDOUT, TRAIN, read_manifest, require_files, stamp_bytes
from headstart.dataset.metrics import read_metrics
from headstart.dataset.near_duplicates import near_duplicates
from headstart.runs.expert import approved_expert
from headstart.runs.recording import record_random
from headstart.runs.replay import replay, replay_recorded
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD


def validate(params: Params, scenario: Scenario, home: Path | None = None) -> Done:
    """Writes reports/<scenario>/validate/verdict.json and, for a PASS, data/<scenario>/validated.json, or those of a draft at `home`.

    Exits 6 otherwise.
    """
    home = home or DATA / scenario.name
    folder, validated, report = home / "curated", home / "validated.json", REPORTS / home.name / "validate"
    validated.unlink(missing_ok=True)  # until this run has passed, nothing may learn from the dataset
    manifest = read_manifest(folder, made_by=stage_command("curate", home.name))
    require_files(manifest, folder)
    world = worlds_of(scenario, "capture", 1, params.capture.observation)
    schema = schema_of(world)
    blocks = range(len(manifest.blocks))
    parts = [read_episodes(folder / side.format(number), schema) for number in blocks for side in (TRAIN, HELDOUT)]
    episodes, header = concatenate([part for part, _ in parts]), parts[0][1]
    sides = np.concatenate([np.full(len(part.table.start), bool(index % 2)) for index, (part, _) in enumerate(parts)])
    found = (
        replay(episodes, header, params, scenario)
        if scenario.demonstrations is None
        else replay_recorded(episodes, params, scenario, header.absent)
    )
    random = None if scenario.demonstrations is None else record_random(params, scenario, header)
    replayed, differing = (0, 0) if isinstance(found, str) else found
    in_block = np.concatenate([np.full(len(part.table.start), index // 2) for index, (part, _) in enumerate(parts)])
    table, reasons, lines = read_index(folder / "episodes.tsv")
    _, numbers = read_metrics(folder / "metrics.tsv", [name.decode() for name in table.episode_id.tolist()])
    recorded = Records(manifest, header, table, reasons, lines, numbers, in_block, home.name)

    data = Dataset(
        episodes,
        sides,
        schema,
        scenario,
        params.validate_,
        manifest.blocks,
        world.feature_bounds,
        header.absent,
        header.slip or 0.0,
        random,
    )
    provenance = Provenance(
        seed=params.capture.seed,
        expert_sha256=approved_expert(scenario).policy_sha256,
        recorded_sha256=header.policy_sha256,
        replayed=replayed,
        differing=differing,
        no_replay=found if isinstance(found, str) else None,
    )
    checks = [
        *dataset_gates(data, provenance),
        *completeness_gates(data, recorded, params.capture, FIRST_WORLD["capture"]),
        near_duplicates(episodes, sides),
    ]
    subject = Subject(type="dataset", id=f"{manifest.dataset}@{manifest.version}", sha256=sha256_file(folder / "manifest.json"))
    verdict = judge(subject, checks, thresholds(data))
    write_record(report / "verdict.json", verdict)
    asked, left_out = (sum(check.applies is applies for check in checks) for applies in (True, False))
    if verdict.outcome is not Outcome.PASS:
        again, kept = f"`{pipeline_command(home.name)}` runs", home
        if home.name == scenario.name:
            kept = DATA / "quarantine" / subject.id
            with sealed_directory(kept) as quarantine:
                shutil.copytree(folder, quarantine, dirs_exist_ok=True)
                write_record(quarantine / "manifest.json", manifest.model_copy(update={"status": "quarantined"}))
                write_record(quarantine / "verdict.json", verdict)
        raise GateFailed(
            f"{subject.id} is {verdict.outcome}: {len(verdict.reasons)} of {asked} gates\n{misses(verdict)}\n"
            f"possible remedies, before {again} again:\n{cures(verdict, scenario, home.name)}\nkept in {kept}"
        )
    write_bytes(validated, stamp_bytes(manifest))
    says = f"validate {home.name}: {subject.id} passes {asked} gates; {replayed} episodes replayed exactly"
    if left_out:
        says += f"; {left_out} gates do not apply: " + ", ".join(check.name for check in checks if not check.applies)
    look = f"{report / 'verdict.json'}, every gate with its limit; `headstart inspect {home.name}`"
    return Done(says, {"gates": asked, "replayed": replayed}, look=look)


if __name__ == "__main__":
    main(validate)
