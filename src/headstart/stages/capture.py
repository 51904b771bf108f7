"""Stage `capture`: the approved expert acts, and every step is written, shard by shard.

A shard contains the complete episodes of some worlds; it is on disk completely or not at all. Shards of an interrupted capture are kept in
.headstart/ under a hash of everything that decides their bytes, and the next run resumes from them.
"""

import shutil
from pathlib import Path

from headstart.config.params import Params
from headstart.config.project import DATA
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.config.stage_command import stage_command
from headstart.core.closure import code_sha256
from headstart.core.contents import sealed_directory
from headstart.core.errors import IntegrityError
from headstart.core.progress_lines import Amount, Kept, progress
from headstart.dataset.episodes_file import SHARD, read_episodes, write_episodes
from headstart.runs.expert import approved_expert
from headstart.runs.recorded import Source, found_recording, source_folder
from headstart.runs.recording import recorded_shard
from headstart.runs.states import begin_work, end_work, work_folder


def capture(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/raw/shard-0000.h5 …; refuses an expert that is not approved (exit 6)."""
    settings, policy_sha256 = params.capture, approved_expert(scenario).policy_sha256
    if scenario.demonstrations is not None:
        return _imported(scenario, policy_sha256)
    code = code_sha256(["headstart.stages.capture"])
    shards = work_folder("capture", scenario.name, params, scenario, {"capture"}, policy_sha256, code)
    begin_work(shards)
    parts = settings.parts
    with progress(f"capture {scenario.name}", Amount(settings.all_worlds, "worlds")) as work:
        for number, (block, part) in enumerate(parts):
            path = shards / SHARD.format(number)
            if path.exists():
                work.advance(Kept(len(part)))
                continue
            _write_shard(path, params, scenario, policy_sha256, block, part)
            work.advance(len(part))
    with sealed_directory(DATA / scenario.name / "raw") as raw:
        for number in range(len(parts)):
            shutil.copy2(shards / SHARD.format(number), raw)
    end_work(shards)
    worlds, shards_made = settings.all_worlds, len(parts)
    says = f"capture {scenario.name}: {worlds} worlds × {scenario.horizon} ticks in {shards_made} shards"
    return Done(
        says,
        {"worlds": worlds, "shards": shards_made},
        seeds=(settings.seed,),
        look=f"{DATA / scenario.name / 'raw'}, every step",
    )


def _imported(scenario: Scenario, sha256: str) -> Done:
    """The episodes that the stage `source` read; the artefact of the expert stage says from which files."""
    found, folder = found_recording(scenario), source_folder(scenario)
    if found.sha256 != sha256:
        raise IntegrityError(
            f"{folder}: expected the recording of which the stage expert took note, got another; "
            f"`{stage_command('expert', scenario.name)}` takes note of it"
        )
    with sealed_directory(DATA / scenario.name / "raw") as raw:
        shutil.copy2(folder / "episodes.h5", raw / SHARD.format(0))
        _require_recording(raw / SHARD.format(0), scenario, found)
    says = f"capture {scenario.name}: {found.episodes} recorded episodes, {found.steps:,} steps"
    return Done(says, {"worlds": found.episodes, "shards": 1}, look=f"{DATA / scenario.name / 'raw'}, every step")


def _require_recording(path: Path, scenario: Scenario, found: Source) -> None:
    """IntegrityError unless the file has the episodes that the stage source counted, of this scenario and these files."""
    episodes, header = read_episodes(path)
    expected = {
        "scenario": scenario.name,
        "scenario_sha256": scenario.sha256,
        "policy_sha256": found.sha256,
        "episodes": found.episodes,
        "steps": found.steps,
    }
    got = header.model_dump() | {"episodes": len(episodes.table.length), "steps": len(episodes.reward)}
    for key, value in expected.items():
        if got[key] != value:
            raise IntegrityError(
                f"{source_folder(scenario)}: expected {key} {value} in its episodes, got {got[key]}; "
                f"`{stage_command('source', scenario.name)}` reads the recording again"
            )


def _write_shard(path: Path, params: Params, scenario: Scenario, policy_sha256: str, block: int, numbers: range) -> None:
    """Record some worlds of a block."""
    write_episodes(path, *recorded_shard(scenario, scenario, params.capture, policy_sha256, block, numbers))


if __name__ == "__main__":
    main(capture)
