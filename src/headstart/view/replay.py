"""A recorded episode, rebuilt: its world begins from the recorded seed, the recorded actions are taken, and every step is held to the record."""

from typing import Any

import numpy as np

from headstart.config.params import Params
from headstart.core.errors import HeadstartError, MissingExtra, UsageError
from headstart.core.user_code import called
from headstart.runs.expert import script
from headstart.runs.recording import deviations
from headstart.runs.replay import ROUNDED_STEPS
from headstart.runs.worlds import schema_of, task_of
from headstart.view.play_dataset import Found
from headstart.view.proof import Held, Proof, near, said
from headstart.view.track import Track, track_of
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_setup import GymSetup
from headstart.worlds.make import make


def rebuilt(found: Found, params: Params, mode: str | None) -> tuple[Track, Proof]:
    """The episode as it is shown, and what came of the replay; where none is possible, what the record has."""
    proof = Proof(int(found.episodes.table.length[found.e]))
    if found.header.scenario_sha256 != found.dataset.scenario.sha256:
        proof.why_not = f"scenarios/{found.dataset.scenario.name}.yaml says another task today than when it was recorded"
        return record_of(found), proof
    try:
        if found.dataset.scenario.demonstrations is not None:
            return _from_recording(found, mode, proof)
        return _from_world(found, params, mode, proof)
    except HeadstartError as error:
        if mode is not None and isinstance(error, UsageError | MissingExtra):  # it cannot be drawn, but perhaps played
            track, proof = rebuilt(found, params, None)
            track.says = (f"not drawn ({error})",)
            return track, proof
        proof.why_not = str(error)
        return record_of(found), proof


def record_of(found: Found) -> Track:
    """What the record itself has."""
    episodes, e, schema = found.episodes, found.e, found.header.observation
    start = int(episodes.table.start[e])
    track = Track(found.title, "", "", schema.actions, schema.reward_terms)
    for row in range(start, start + int(episodes.table.length[e])):
        mask = episodes.action_mask
        track.action.append(episodes.action[row].tolist())
        track.mask.append(None if mask is None else mask[row].astype(int).tolist())
        track.probability.append(None)
        track.reward.append(float(episodes.reward[row]))
        track.terms.append(episodes.reward_terms[row].tolist())
        track.end = "terminated" if episodes.terminated[row] else "truncated" if episodes.truncated[row] else ""
        track.counters.append([])
    track.counters.append([])
    return track


# --- a world that was captured ----------------------------------------------------------------------------------------


def _from_world(found: Found, params: Params, mode: str | None, proof: Proof) -> tuple[Track, Proof]:
    episodes, header, e, scenario = found.episodes, found.header, found.e, found.dataset.scenario
    table = episodes.table
    agent, life, world_id = (int(column[e]) for column in (table.agent, table.episode, table.world))
    world = make(task_of(scenario), 1, world_id, bool(header.observation.map_channels), mode)
    header.observation.require_same(schema_of(world), f"the {scenario.world} of this version")
    lives = {(int(table.agent[i]), int(table.episode[i])): i for i in np.flatnonzero(table.world == world_id)}
    scripted = scenario.expert.policy == "scripted"
    if not scripted and len({a for a, _ in lives}) < world.num_agents:
        proof.why_not = f"the file lacks agents of world {world_id}, whose actions no script repeats"
        return record_of(found), proof
    held = Held(found, proof)
    track = track_of(world, found.title, f"world {world_id}, seed {header.seed}")
    act, slips = script(world), deviations(world, np.array([world_id]), params.capture)
    now, begun = (
        np.zeros(world.num_agents, np.int64),
        np.zeros(world.num_agents, np.int64),
    )  # life and its first tick of every agent
    obs, _ = world.reset(seed=header.seed)
    for t in range(world.horizon):
        mine = now[agent] == life and not world.gone[agent]
        k = t - int(begun[agent])
        choice = act(obs).copy() if scripted else None
        taken = slips(t, obs, choice) if choice is not None else np.zeros_like(world.action_space.sample())
        made, taken = taken.copy(), taken.copy()
        for a in range(world.num_agents):
            i = lives.get((a, int(now[a])))
            if i is not None and t - begun[a] < table.length[i]:
                taken[a] = episodes.action[table.start[i] + t - begun[a]]
        if mine and k < proof.steps:
            track.see(world, agent)
            track.acted(obs, agent, taken[agent])
            held.before(k, {name: rows[agent] for name, rows in obs.items()})
            if choice is not None:
                held.chosen(k, choice[agent], made[agent] if found.dataset.own else None)
        obs, reward, terminated, truncated, info = world.step(taken)
        if mine and k < proof.steps:
            held.after(
                k, info["reward_terms"][agent], reward=reward[agent], terminated=terminated[agent], truncated=truncated[agent]
            )
            if track.paid(agent, reward, terminated, truncated, info) or k == proof.steps - 1:
                track.ended(info, agent)
                held.end(k, {name: rows[agent] for name, rows in info["final_obs"].items()}, bool(track.end))
        for a in np.flatnonzero(terminated | truncated).tolist():
            now[a], begun[a] = now[a] + 1, t + 1
        if info["episode_end"][0]:
            stats = info["stats"]
            proof.outcome |= {"success": bool(world.success(stats)[0]), "harm": bool(world.harm(stats)[0])}
            proof.outcome["counters"] = dict(zip(world.names.stats, map(int, stats[0, agent]), strict=True))
            break
    world.close()
    _finish(track, proof)
    return track, proof


def _finish(track: Track, proof: Proof) -> None:
    if not proof.column:
        proof.same = len(track)
        if len(track) < proof.steps:
            proof.found(len(track), "end", f"{proof.steps} steps", f"the episode ends after {len(track)}")
    proof.outcome |= {"length": len(track), "return": float(np.sum(np.array(track.reward, np.float32)))}


# --- a recording of another program -----------------------------------------------------------------------------------


def _from_recording(found: Found, mode: str | None, proof: Proof) -> tuple[Track, Proof]:
    episodes, header, e, scenario = found.episodes, found.header, found.e, found.dataset.scenario
    seed, absent = int(episodes.table.seed[e]), header.absent
    if scenario.world != "gym":
        proof.why_not = f"a recording of another program cannot be played again in a {scenario.world}"
    elif "seeds" in absent or seed < 0:
        proof.why_not = "its seed is not recorded"
    if proof.why_not:
        return record_of(found), proof
    world = make(task_of(scenario), 1, 0, header.observation.map_size > 0, mode)
    assert isinstance(world, GymWorld)
    header.observation.require_same(schema_of(world), "the environment of this scenario")
    recipe = GymSetup.model_validate(dict(scenario.setup)).recipe
    env = recipe._replace(kwargs={**recipe.kwargs, **({} if mode is None else {"render_mode": mode})}).make()
    track = Track(found.title, f"seed {seed}", "", world.names.actions, world.names.reward_terms)
    try:
        called(f"setup.id: {recipe.id}", _steps, env, world, found, track, proof)
    finally:
        env.close()
        world.close()
    _finish(track, proof)
    proof.rounded = proof.differs and not world.names.actions and proof.same >= ROUNDED_STEPS
    if proof.rounded:
        proof.outcome = {}
    return track, proof


def _steps(env: Any, world: GymWorld, found: Found, track: Track, proof: Proof) -> None:
    """Take the recorded actions. What the environment says must be the same up to the rounding of float32."""
    episodes, header, e = found.episodes, found.header, found.e
    start, length, absent = int(episodes.table.start[e]), proof.steps, header.absent
    acts = world.acting.own(episodes.action[start : start + length])
    seen, _ = env.reset(seed=int(episodes.table.seed[e]))
    for k, act in enumerate(acts if acts.ndim > 1 else acts.tolist()):
        rows = world.observing.rows([seen])
        _draw(env, track)
        mask = None if episodes.action_mask is None else episodes.action_mask[start + k]
        track.acted({} if mask is None else {"mask": mask[None]}, 0, episodes.action[start + k])
        near(
            proof,
            k,
            rows,
            {name: column[start + k] for name, column in episodes.observation.items()},
            header.observation.features,
            "observation",
        )
        seen, reward, terminated, truncated, _ = env.step(act)
        paid, row = float(reward), start + k
        if "rewards" not in absent and not np.isclose(paid, episodes.reward[row], rtol=1e-4, atol=1e-5):
            proof.found(k, "reward", said(episodes.reward[row]), f"{paid:.9g}")
        if "ends" not in absent and bool(terminated) != bool(episodes.terminated[row]):
            proof.found(k, "terminated", bool(episodes.terminated[row]), bool(terminated))
        track.reward.append(paid)
        track.terms.append([paid])
        if terminated or k == length - 1:
            track.end = "terminated" if terminated else "truncated" if truncated or episodes.truncated[row] else ""
            break
    _draw(env, track)
    if "final_observations" not in absent and len(track) == length:
        final = {name: column[e] for name, column in episodes.final_observation.items()}
        near(proof, length - 1, world.observing.rows([seen]), final, header.observation.features, "final observation")


def _draw(env: Any, track: Track) -> None:
    if env.render_mode is not None:
        from headstart.worlds.gym_copies import drawn

        track.frames.append(drawn(env))
    track.counters.append([])
