"""Stage `demonstrations`: read the recording that a scenario names in place of an expert, and deal its episodes to blocks.

Of a scenario with an expert it leaves an empty record, which never changes: so the stages of such a scenario do not run again when a file of
demonstrations/ changes.
"""

from collections.abc import Iterable

import numpy as np

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.files import fresh_directory, write_record
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import write_episodes
from headstart.runs.importing import import_recording
from headstart.runs.recorded import RECORDING, FoundRecording, recording_folder


def demonstrations(params: Params, scenario: Scenario) -> Done:
    """Writes data/<scenario>/demonstrations: recording.json, and episodes.h5 where the scenario names a recording."""
    name, source = scenario.name, scenario.demonstrations
    with fresh_directory(recording_folder(scenario)) as folder:
        if source is None:
            write_record(folder / RECORDING, FoundRecording())
            return Done(f"demonstrations {name}: none to import, its expert is recorded")
        episodes, header, files = import_recording(params, scenario, source)
        write_episodes(folder / "episodes.h5", episodes, header)
        found = FoundRecording(
            format=source.format,
            files=files,
            sha256=header.policy_sha256,
            seed=header.seed,
            episodes=len(episodes.table.length),
            steps=len(episodes.reward),
            absent=header.absent,
            score=_score(episodes, header, scenario.measures),
        )
        write_record(folder / RECORDING, found)
    missing = f"; absent: {', '.join(found.absent)}" if found.absent else ""
    shown = f"; success {found.score.success_rate:.3f}, return {found.score.return_mean:.3f}" if found.score else ""
    says = f"demonstrations {name}: {found.episodes} episodes, {found.steps:,} steps of {source.path}{shown}{missing}"
    return Done(says, {"episodes": found.episodes, "steps": found.steps})


def _score(episodes: Episodes, header: Header, measures: Iterable[str]) -> Score | None:
    """Of the recorded episodes; None where the recording does not have all of it."""
    table, own = episodes.table, {"return": episodes.table.total_reward, "steps": episodes.table.length}
    if {"rewards", "success", "harm"} & set(header.absent):
        return None
    return Score(
        episodes=len(table.length),
        success=int(table.success.sum()),
        harm=int(table.harm.sum()),
        return_mean=float(table.total_reward.mean(dtype=np.float64)),
        return_sd=float(table.total_reward.std(dtype=np.float64)),
        measures={name: float(own[name].mean()) for name in measures if name in own},
    )


if __name__ == "__main__":
    main(demonstrations)
