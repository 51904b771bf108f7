"""Stage `validate`: every gate of a dataset. One that fails goes to quarantine with its report, and nothing downstream may read it."""

import shutil

import numpy as np

from headstart.config.params import Params
from headstart.config.project import DATA, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.arrays import Array
from headstart.core.errors import GateFailed
from headstart.core.files import read_record, write_record
from headstart.core.verdict import Outcome, Subject, judge, misses
from headstart.dataset.episodes import Episodes, EpisodeTable, concatenate, read_episodes
from headstart.dataset.facts import DatasetFacts, DatasetLimits
from headstart.dataset.gates import dataset_gates
from headstart.dataset.manifest import DatasetManifest, require_files
from headstart.runs.expert import approved_expert, expert_of
from headstart.runs.worlds import schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD, Act, World

ROUNDING = 1e-4  # of a network's actions in [−1, 1]: its matrix products round differently beside another number of rows


def validate(params: Params, scenario: Scenario) -> Done:
    """Writes reports/<scenario>/validate/verdict.json and, for a PASS, data/<scenario>/validated.json; exits 6 otherwise."""
    folder = DATA / scenario.name / "curated"
    manifest = read_record(folder / "manifest.json", DatasetManifest, made_by="dvc repro curate")
    require_files(manifest, folder)
    schema = schema_of(worlds_of(scenario, "capture", 1, params.capture.observation))
    sides = [read_episodes(folder / f"{side}.h5", schema) for side in ("train", "heldout")]
    episodes = concatenate([part for part, _ in sides])
    heldout = np.repeat([False, True], [len(part.table.start) for part, _ in sides])
    replayed, differing = replay(episodes, params, scenario)
    facts = DatasetFacts(
        expert_approved=True,  # approved_expert refuses every other
        expert_sha256=approved_expert(scenario).policy_sha256,
        recorded_expert_sha256=sides[0][1].policy_sha256,
        replayed_episodes=replayed,
        replay_mismatches=differing,
        heldout=heldout,
        requested_seeds=(params.capture.seed,),
    )
    limits = DatasetLimits(
        success_min=params.validate_.min_success_rate,
        feature_low=scenario.feature_range[0],
        feature_high=scenario.feature_range[1],
        constant_reward=scenario.constant_reward,
        episodes_min=params.validate_.min_episodes,
        action_share_min=scenario.min_action_share,
        majority_share_max=params.validate_.max_majority_share,
    )
    checks = dataset_gates(episodes, schema, facts, limits)
    subject = Subject(type="dataset", id=f"{manifest.dataset}@{manifest.version}", sha256=manifest.files["train.h5"].sha256)
    verdict = judge(
        subject, checks, limits.model_dump(exclude={"action_share_min", "feature_ranges", "behaviour_share_min", "reward_clip"})
    )
    report = REPORTS / scenario.name / "validate" / "verdict.json"
    write_record(report, verdict)
    if verdict.outcome is not Outcome.PASS:
        quarantine = DATA / "quarantine" / subject.id
        shutil.copytree(folder, quarantine, dirs_exist_ok=True)
        write_record(quarantine / "verdict.json", verdict)
        raise GateFailed(
            f"{subject.id} is {verdict.outcome}: {len(verdict.reasons)} of {len(checks)} gates\n{misses(verdict)}\n"
            f"kept in {quarantine}; mend capture or curate in params.yaml and run `dvc repro` again"
        )
    write_record(DATA / scenario.name / "validated.json", manifest.model_copy(update={"status": "validated"}))
    says = f"validate {scenario.name}: {subject.id} passes {len(checks)} gates; {replayed} episodes replayed exactly"
    return Done(says, {"gates": len(checks), "replayed": replayed})


def replay(episodes: Episodes, params: Params, scenario: Scenario) -> tuple[int, int]:
    """Simulate a sample of worlds again from the recorded seed and actions: (episodes compared, episodes that differ).

    Only worlds all of whose agents were accepted can be replayed; actions, observations, rewards and ends must be the same bits.
    """
    table = episodes.table
    ids = np.unique(table.world)
    probe = worlds_of(scenario, "capture", 1, params.capture.observation)
    whole = ids[[_unbroken(table, world, probe.num_agents) for world in ids]]
    chosen = np.random.default_rng(params.capture.seed).permutation(whole)[: params.validate_.replay_worlds]
    compared = differing = 0
    for world_id in np.sort(chosen):
        number = int(world_id) - FIRST_WORLD["capture"]
        world = worlds_of(scenario, "capture", 1, params.capture.observation, skip=number)
        mine = np.flatnonzero(table.world == world_id)
        mine = mine[np.lexsort((table.episode[mine], table.agent[mine]))]
        rows = np.concatenate([np.arange(table.start[e], table.start[e] + table.length[e]) for e in mine])
        rows = rows.reshape(world.num_agents, -1)
        same = _same(world, expert_of(scenario, world), episodes, rows, int(table.seed[mine[0]]))
        compared += len(mine)
        differing += int((~same[table.agent[mine]]).sum())
    return compared, differing


def _unbroken(table: EpisodeTable, world: int, agents: int) -> bool:
    """Whether the recording of a world has no gap: of every agent all lives from the first on, over the same ticks."""
    mine = table.world == world
    lives = [np.sort(table.episode[mine & (table.agent == a)]) for a in range(agents)]
    ticks = {int(table.length[mine & (table.agent == a)].sum()) for a in range(agents)}
    return len(ticks) == 1 and all(len(of) > 0 and (of == np.arange(len(of))).all() for of in lives)


def _same(world: World, expert: Act, episodes: Episodes, rows: Array, seed: int) -> Array:
    """[A] bool: every recorded step of each agent is what the world does again; rows [A, T] index the step columns."""
    same = np.ones(len(rows), bool)
    obs, _ = world.reset(seed=seed)
    for t in range(rows.shape[1]):
        now = rows[:, t]
        for name, column in episodes.observation.items():
            same &= (obs[name] == column[now]).reshape(len(now), -1).all(axis=1)
        if episodes.action_mask is not None:
            same &= (obs["mask"] == episodes.action_mask[now]).all(axis=1)
        choice, recorded = expert(obs), episodes.expert_action[now]
        alike = choice == recorded if choice.dtype.kind == "i" else np.abs(choice - recorded) <= ROUNDING
        same &= alike.reshape(len(now), -1).all(axis=1)
        obs, reward, terminated, truncated, _ = world.step(episodes.action[now])
        same &= (reward == episodes.reward[now]) & (terminated == episodes.terminated[now])
        same &= truncated == episodes.truncated[now]
    return same


if __name__ == "__main__":
    main(validate)
