"""Record a draft, a dataset of a scenario that no stage knows; or say what would be recorded, after a short run that leaves nothing."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from headstart.config.checked import checked
from headstart.config.params import CaptureParams, Params
from headstart.config.project import DATA, LOCKS
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.contents import sealed_directory
from headstart.core.errors import GateFailed, UsageError
from headstart.core.files import write_record
from headstart.core.lock import held, remove_unfinished
from headstart.core.progress_lines import Amount, progress
from headstart.dataset.drafts import DRAFT, Draft, new_folder, require_free, task_of_draft
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import SHARD, write_episodes
from headstart.runs.expert import approved_expert
from headstart.runs.recording import recorded_shard
from headstart.runs.worlds import worlds_of

TRIED = 4  # worlds at most, of the short run


class Asked(NamedTuple):
    """What a person asked for; None: as the pipeline has it."""

    episodes: int | None = None
    ticks: int | None = None
    seed: int | None = None
    agents: int | None = None
    tags: tuple[str, ...] = ()
    name: str | None = None


class Plan(NamedTuple):
    """What will be recorded."""

    name: str  # <scenario>, or <scenario>.<name> of a draft
    scenario: Scenario  # whose expert acts
    task: Scenario  # what is played: the scenario, with other ticks or agents where they were asked for
    settings: CaptureParams
    policy_sha256: str
    agents: int
    asked: Asked

    @property
    def at_least(self) -> int:
        """Episodes: of every agent at least one in each world."""
        return self.settings.all_worlds * self.agents


class Estimate(NamedTuple):
    """Of all that is planned, from `measured_worlds` that were recorded."""

    measured_worlds: int
    episodes: float
    steps: float
    bytes: float
    seconds: float  # as if all worlds were recorded in groups as small as that of the short run: fewer, where there are more


def planned(params: Params, scenario: Scenario, asked: Asked) -> Plan:
    """What will be recorded: as the pipeline does where nothing was asked for, else as a draft.

    GateFailed for an expert that is not approved; UsageError and InputError for what cannot be recorded.
    """
    if scenario.demonstrations is not None:
        raise UsageError(f"{scenario.name}: expected an expert that can act, the scenario has recorded demonstrations only")
    expert = approved_expert(scenario)
    if params.expert.approval == "manual" and expert.state != "passed":  # DVC runs the stage again, and nothing else would ask
        raise GateFailed(
            f"{scenario.name}: expected an expert that a person approved, got one that was judged before `expert.approval` was manual; "
            f"`{stage_command('expert', scenario.name)}` judges it again"
        )
    task = task_of_draft(scenario, asked.ticks, asked.agents)
    world = worlds_of(task, "capture", 1, params.capture.observation)  # an error of the setup is told before anything is recorded
    agents = world.num_agents
    world.close()
    if asked == Asked():
        return Plan(scenario.name, scenario, task, params.capture, expert.policy_sha256, agents, asked)
    worlds = params.capture.worlds if asked.episodes is None else -(-asked.episodes // agents)
    changes = {"worlds": worlds, "blocks": 1, "shard_worlds": min(worlds, params.capture.shard_worlds)}
    changes |= {} if asked.seed is None else {"seed": asked.seed}
    settings = checked(CaptureParams, params.capture.model_dump() | changes, "headstart capture")
    return Plan(new_folder(Path(), scenario.name, asked.name).name, scenario, task, settings, expert.policy_sha256, agents, asked)


def estimated(plan: Plan) -> Estimate:
    """Record a few of the worlds, twice so that what is compiled or loaded does not count, and keep nothing."""
    worlds = min(plan.settings.all_worlds, plan.settings.shard_worlds, TRIED)
    episodes, header = _shard(plan, 0, range(1))
    began = time.perf_counter()
    episodes, header = _shard(plan, 0, range(worlds))
    seconds = time.perf_counter() - began
    with TemporaryDirectory() as folder:
        write_episodes(Path(folder) / "tried.h5", episodes, header)
        size = (Path(folder) / "tried.h5").stat().st_size
    times = plan.settings.all_worlds / worlds
    return Estimate(worlds, times * len(episodes.table.length), times * len(episodes.reward), times * size, times * seconds)


def record_draft(plan: Plan) -> Draft:
    """Write data/<scenario>.<name>/raw: shard-0000.h5 …, as the stage `capture` does, and draft.json; complete, or not at all."""
    folder, whose = DATA / plan.name, f"headstart capture {plan.scenario.name}"
    with held(LOCKS / f"draft-{plan.name}", whose):
        require_free(folder)
        remove_unfinished([folder])
        with sealed_directory((folder / DRAFT).parent) as raw:
            episodes, steps = _record(plan, raw)
            draft = Draft(
                scenario=plan.scenario.name,
                expert=plan.scenario.expert.policy,
                policy_sha256=plan.policy_sha256,
                capture=plan.settings.model_dump(mode="json"),
                ticks=plan.asked.ticks,
                agents=plan.asked.agents,
                tags=plan.asked.tags,
                episodes=episodes,
                steps=steps,
            )
            write_record(raw / DRAFT.name, draft)
    return draft


def _record(plan: Plan, raw: Path) -> tuple[int, int]:
    """Write all shards; episodes and steps."""
    episodes = steps = 0
    with progress(f"capture {plan.name}", Amount(plan.settings.all_worlds, "worlds")) as work:
        for number, (block, part) in enumerate(plan.settings.parts):
            shard, header = _shard(plan, block, part)
            write_episodes(raw / SHARD.format(number), shard, header)
            episodes, steps = episodes + len(shard.table.length), steps + len(shard.reward)
            work.advance(len(part))
    return episodes, steps


def _shard(plan: Plan, block: int, numbers: range) -> tuple[Episodes, Header]:
    return recorded_shard(plan.scenario, plan.task, plan.settings, plan.policy_sha256, block, numbers)
