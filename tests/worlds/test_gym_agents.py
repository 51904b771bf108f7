"""PettingZoo environments behind the world contract: rows are agents, and those of agents that left are empty."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test
from tests.worlds.parallel_toys import Walk

from headstart.core.errors import InputError, MissingExtra, UsageError
from headstart.worlds.api import Task, play
from headstart.worlds.gym import GymWorld
from headstart.worlds.make import environment_sha256, make

TOYS = "tests.worlds.parallel_toys"
SPREAD = "mpe2.simple_spread_v3"
FELL = {"t": {"gather": "last", "absent": -1}, "fell": {"gather": "any", "absent": 0}}


def walk(num_worlds: int = 2, first: int = 0, horizon: int = 8, name: str = "", info: Any = FELL, **kwargs: Any) -> GymWorld:
    setup = {"id": TOYS + (f":{name}" if name else ""), "kwargs": kwargs, "info": info}
    world = make(Task("pettingzoo", setup, horizon, ("every return > 0",), ("any fell > 0",)), num_worlds, first)
    assert isinstance(world, GymWorld)
    return world


def right(world: GymWorld) -> Any:
    """The action to the right in every row."""
    return np.full(world.num_envs, 2) if world.names.actions else np.ones((world.num_envs, 1), np.float32)


def test_the_toy_is_what_pettingzoo_calls_a_parallel_environment() -> None:
    parallel_api_test(Walk(patience=9), num_cycles=50)


def test_rows_are_agents_in_the_order_of_their_names() -> None:
    world = walk(num_worlds=2, masks="info")
    obs, _ = world.reset(seed=3)
    assert (world.num_worlds, world.num_agents, world.num_envs) == (2, 3, 6)
    for w in range(2):
        alone = Walk()
        seed = int(np.random.SeedSequence([3, w, 0]).generate_state(1)[0])
        seen, _ = alone.reset(seed)
        np.testing.assert_array_equal(obs["features"][3 * w : 3 * w + 3], list(seen.values()))
    assert obs["mask"].tolist() == [[int(place > 0), 1, 1] for place in obs["features"][:, 0]]
    world.step(np.array([2, 1, 1, 1, 1, 2]))
    envs = [group.env for group in world._copies._groups]  # type: ignore[attr-defined]
    assert [list(env.taken[-1].values()) for env in envs] == [[2, 1, 1], [1, 1, 2]]


def test_an_agent_that_leaves_ends_its_row_which_is_empty_until_the_world_ends() -> None:
    world = walk(num_worlds=1, agents=2, masks="info")
    world.reset(seed=0)
    env = world._copies._groups[0].env  # type: ignore[attr-defined]
    env.place.update(walker_0=2.0, walker_1=0.0)  # two and four steps from the goal

    trace = [world.step(right(world)) for _ in range(4)]

    rewards, terminated, ends = [np.array([step[part].tolist() for step in trace]) for part in (1, 2)] + [
        [bool(step[4]["episode_end"][0]) for step in trace]
    ]
    np.testing.assert_allclose(rewards, [[-0.01, -0.01], [1, -0.01], [0, -0.01], [0, 1]])
    assert terminated.tolist() == [[False, False], [True, False], [False, False], [True, True]]  # gone rows end with their world
    assert not any(step[3].any() for step in trace)
    assert ends == [False, False, False, True]
    assert trace[1][4]["final_obs"]["features"][0].tolist()[:2] == [4, 3]  # its last observation
    for obs, *_ in trace[1:3]:
        assert obs["features"][0].tolist() == [0, 0, 0]
        assert obs["mask"].tolist()[0] == [1, 0, 0]
        assert obs["features"][1, 0] > 0
    assert [set(acts) for acts in env.taken] == [{"walker_0", "walker_1"}] * 2 + [{"walker_1"}] * 2
    # return, steps, terminated, t, fell: nothing counts after an agent left
    np.testing.assert_allclose(trace[3][4]["stats"][0], [[0.99, 2, 1, 2, 0], [0.97, 4, 1, 4, 0]])
    assert trace[3][0]["features"][:, 1].tolist() == [1, 1]  # the next episode
    assert not world.gone.any()


def test_the_horizon_and_the_environment_truncate_and_neither_terminates() -> None:
    by_horizon, by_patience = walk(num_worlds=1, horizon=3), walk(num_worlds=1, patience=3)
    for world in (by_horizon, by_patience):
        world.reset(seed=0)
        steps = [world.step(np.ones(3, np.int64)) for _ in range(3)]
        assert [step[3].tolist() for step in steps] == [[False] * 3, [False] * 3, [True] * 3]
        assert not any(step[2].any() for step in steps)
        info = steps[-1][4]
        assert info["episode_end"].all()
        assert info["final_obs"]["features"][:, 1].tolist() == [4, 4, 4]  # from which the critic goes on
        assert info["stats"][0, :, 2].tolist() == [0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_rows_without_an_agent_show_zeros_and_are_paid_nothing(data: st.DataObject) -> None:
    continuous, masks = data.draw(st.booleans()), data.draw(st.sampled_from(["", "info", "observation"]))
    patience, w = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 3))
    world = walk(
        w, agents=data.draw(st.integers(1, 4)), masks="" if continuous else masks, continuous=continuous, patience=patience
    )
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    obs, _ = world.reset(seed=data.draw(st.integers(0, 99)))
    left = np.zeros(world.num_envs, bool)
    for _ in range(30):
        np.testing.assert_array_equal(left, world.gone)
        assert not obs["features"][left].any()
        assert (obs["features"][~left, 1] > 0).all()  # the number of the step
        acts = draw.uniform(-1, 1, (len(left), 1))
        if world.names.actions:
            assert (obs["mask"][left] == [1, 0, 0]).all()
            acts = np.where(obs["mask"] > 0, draw.random(obs["mask"].shape), -1).argmax(axis=1)
        obs, reward, terminated, truncated, info = world.step(acts)
        assert not reward[left].any()
        assert not (terminated & truncated).any()
        ended = np.repeat(info["episode_end"], world.num_agents)
        assert (terminated | truncated)[ended].all()
        assert not (terminated | truncated)[left & ~ended].any()
        assert not truncated[left].any()
        left = (left | terminated | truncated) & ~ended


@pytest.mark.parametrize("kwargs", [{"masks": "info"}, {"masks": "observation"}, {"continuous": True}], ids=str)
def test_a_world_is_the_same_whatever_runs_beside_it_and_however_its_mask_is_told(kwargs: dict[str, Any]) -> None:
    together, alone = walk(4, **kwargs), walk(1, first=3, **kwargs)
    seen, one = together.reset(seed=7)[0], alone.reset(seed=7)[0]
    ends = 0
    for _ in range(40):
        for name in seen:
            np.testing.assert_array_equal(seen[name][9:], one[name])
        seen, reward, *_ = together.step(right(together))
        one, paid, _, _, info = alone.step(right(alone))
        np.testing.assert_array_equal(reward[9:], paid)
        ends += int(info["episode_end"][0])
    assert ends > 3


@pytest.mark.parametrize("kwargs", [{"masks": "info"}, {"continuous": True}], ids=str)
def test_a_snapshot_brings_back_the_same_future_also_of_agents_that_are_gone(kwargs: dict[str, Any]) -> None:
    world, other = walk(3, **kwargs), walk(3, **kwargs)
    world.reset(seed=1)
    for _ in range(3):
        world.step(right(world))
    assert world.gone.any()
    kept = world.snapshot()
    for which in (world, other):
        obs = which.restore({name: array.copy() for name, array in kept.items()})
        trace = [obs["features"].copy()]
        for _ in range(12):
            obs, reward, terminated, truncated, info = which.step(right(which))
            trace += [obs["features"].copy(), reward, terminated, truncated, info["stats"].copy()]
        if which is world:
            first = trace
    for before, after in zip(first, trace, strict=True):
        np.testing.assert_array_equal(before, after)


def test_predicates_read_the_counters_of_every_agent() -> None:
    world = walk(16, horizon=12)
    good = play(world, lambda obs: np.full(48, 2), seed=0)
    bad = play(world, lambda obs: np.zeros(48, np.int64), seed=0)
    assert (good.success.all(), good.harm.any()) == (True, False)
    assert (bad.success.any(), bad.harm.all()) == (False, True)


def test_the_bounds_of_features_hold_empty_rows() -> None:
    assert walk().feature_bounds.tolist() == [[-4, 0, 0], [4, 1000, 1]]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("spaces", r"equal spaces, got observations Box\(.*\(3,\).*'walker_0' and Box\(.*\(2,\).*'walker_1'.*module:function"),
        ("nan", r"world 0, agent walker_1, episode 0, step 2: expected finite observations, observation_0 is nan"),
        ("missing", r"step: observation, reward.*of 'walker_1': expected one of each, got KeyError"),
        ("silent", r"step: 'walker_0' left `agents`, expected terminated or truncated, got neither"),
        ("stranger", r"step: expected agents of possible_agents, got 'stranger'"),
        ("late", r"reset: expected all of possible_agents, since agents that come later are not supported"),
        ("crash", r"parallel_toys:? ?.*parallel_toys\.py:\d+: RuntimeError: the floor is wet"),
    ],
)
def test_a_fault_of_the_environment_is_named_with_its_place(fault: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        world = walk(1, fault=fault)
        world.reset(seed=0)
        for _ in range(2):
            world.step(np.ones(3, np.int64))


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"id": f"{TOYS}:in_turns"}, "one in which agents act in turn"),
        ({"id": f"{TOYS}:not_an_environment"}, r"expected a pettingzoo.ParallelEnv, got int"),
        ({"id": f"{TOYS}:nothing"}, "expected a function nothing in tests.worlds.parallel_toys"),
        ({"id": f"{TOYS}:broken"}, r"parallel_toys.py:\d+: RuntimeError: no floor"),
        ({"id": "tests.worlds.nowhere"}, "expected a module that can be imported: No module named 'tests.worlds.nowhere'"),
        ({"id": TOYS, "kwargs": {"agents": 0}}, "expected possible_agents, got none"),
        ({"id": TOYS, "kwargs": {"height": 3}}, r"cannot be made with \{'height': 3\}: .*unexpected keyword argument 'height'"),
        ({"id": TOYS, "wrappers": []}, "setup.wrappers: unknown key; there are id, kwargs, info"),
    ],
)
def test_a_bad_setup_is_named(setup: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(Task("pettingzoo", setup, 8, ("every return > 0",), ("any return < 0",)), 1)


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingExtra, match="no module 'nowhere' in the repository's root or among the installed packages"):
        make(Task("pettingzoo", {"id": "nowhere.walk"}, 8, ("every return > 0",), ("any return < 0",)), 1)
    monkeypatch.delitem(sys.modules, TOYS, raising=False)
    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[pettingzoo\]'"):
        walk()


def test_there_is_no_script_and_no_picture_of_an_environment_that_draws_none() -> None:
    with pytest.raises(UsageError, match="no scripted expert"):
        walk().expert_actions()
    with pytest.raises(UsageError, match="with rgb_array among its render_modes, it has \\[\\]"):
        make(Task("pettingzoo", {"id": TOYS}, 8, ("every return > 0",), ("any return < 0",)), 1, render_mode="rgb_array")


def test_the_hash_follows_the_code_of_the_environment_and_of_the_module_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_maker.py").write_text(f"from {TOYS} import Walk\n\ndef parallel_env():\n    return Walk(agents=2)\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = environment_sha256("pettingzoo", {"id": "zoo_maker"})
    assert environment_sha256("pettingzoo", {"id": "zoo_maker"}) == before
    (tmp_path / "zoo_maker.py").write_text((tmp_path / "zoo_maker.py").read_text() + "# edited\n")
    assert environment_sha256("pettingzoo", {"id": "zoo_maker"}) != before


@pytest.mark.parametrize("continuous", [False, True])
def test_simple_spread_has_the_bits_of_itself(continuous: bool) -> None:
    spread = pytest.importorskip(SPREAD, reason="needs mpe2, which the extra `test` has")
    kwargs = {"N": 2, "max_cycles": 6, "continuous_actions": continuous}
    world = make(Task("pettingzoo", {"id": SPREAD, "kwargs": kwargs}, 10, ("every return > -99",), ("any return < -99",)), 2)
    single = spread.parallel_env(**kwargs)
    draw, episode = np.random.default_rng(0), 0
    obs, _ = world.reset(seed=5)

    def begun() -> Any:
        return list(single.reset(seed=int(np.random.SeedSequence([5, 1, episode]).generate_state(1)[0]))[0].values())

    np.testing.assert_array_equal(obs["features"][2:], begun())
    for t in range(1, 15):
        acts = draw.uniform(-1, 1, (4, 5)).astype(np.float32) if continuous else draw.integers(0, 5, 4)
        own = world.acting.own(acts)[2:]  # type: ignore[attr-defined]
        seen, rewards, *_ = single.step(dict(zip(single.agents, own if continuous else own.tolist(), strict=True)))
        obs, reward, terminated, truncated, info = world.step(acts)
        np.testing.assert_allclose(reward[2:], list(rewards.values()), rtol=1e-6)
        assert truncated.all() == (t % 6 == 0)
        assert not terminated.any()
        np.testing.assert_array_equal(info["final_obs"]["features"][2:], list(seen.values()))
        if t % 6 == 0:
            episode += 1
            np.testing.assert_array_equal(obs["features"][2:], begun())
