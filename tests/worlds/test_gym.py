"""Any Gymnasium environment behind the world contract."""

import gc
import sys
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from tests.worlds.toys import CHOICE, ROW

from headstart.core.errors import InputError, MissingExtra, UsageError
from headstart.worlds.api import Task
from headstart.worlds.gym import GymWorld
from headstart.worlds.gym_info import SILENT_EPISODES
from headstart.worlds.make import make

TOYS = "tests.worlds.toys:"
PICTURE = spaces.Box(0, 255, (40, 40, 3), np.uint8)
SUCCESS, HARM = ("every return >= 20",), ("any terminated > 0",)


def cartpole(num_worlds: int, first_world: int = 0, horizon: int = 30) -> GymWorld:
    return GymWorld(Task("gym", {"id": "CartPole-v1"}, horizon, SUCCESS, HARM), num_worlds, first_world)


def toy(name: str, num_worlds: int = 1, horizon: int = 10, **setup: Any) -> GymWorld:
    return GymWorld(Task("gym", {"id": f"{TOYS}{name}-v0", **setup}, horizon, SUCCESS, HARM), num_worlds)


def seed_of(seed: int, world: int, episode: int = 0) -> int:
    return int(np.random.SeedSequence([seed, world, episode]).generate_state(1)[0])


def pendulum(num_worlds: int) -> GymWorld:
    return GymWorld(Task("gym", {"id": "Pendulum-v1"}, 10, SUCCESS, HARM), num_worlds)


def test_a_world_is_the_same_whatever_runs_beside_it() -> None:
    together, alone = cartpole(5), cartpole(1, first_world=3)
    seen, one = together.reset(seed=7)[0], alone.reset(seed=7)[0]
    ends = 0
    for _ in range(60):
        np.testing.assert_array_equal(seen["features"][3], one["features"][0])
        seen = together.step(np.zeros(5, np.int64))[0]
        one, _, terminated, *_ = alone.step(np.zeros(1, np.int64))
        ends += int(terminated[0])
    assert ends > 3  # later episodes too


@pytest.mark.parametrize("num_worlds", [3, 7, 64])
def test_cart_poles_at_once_have_the_bits_of_single_ones(num_worlds: int) -> None:
    setup = {"id": "CartPole-v1", "kwargs": {"sutton_barto_reward": True}}
    world = make(Task("gym", setup, 30, SUCCESS, HARM), num_worlds=num_worlds)
    singles = [gym.make("CartPole-v1", sutton_barto_reward=True, max_episode_steps=30) for _ in range(num_worlds)]
    episode, draw, ends = [0] * num_worlds, np.random.default_rng(num_worlds), {"fell": 0, "truncated": 0}
    seen = world.reset(seed=3)[0]["features"]
    for w, single in enumerate(singles):
        np.testing.assert_array_equal(seen[w], single.reset(seed=seed_of(3, w))[0])
    for _ in range(150):
        leans = seen[:, 2] + seen[:, 3] > 0  # mostly towards the side of the lean, so that some poles stay up and some fall
        acts = np.where(draw.random(num_worlds) < 0.5, leans, draw.integers(0, 2, num_worlds)).astype(np.int64)
        observed, reward, terminated, truncated, info = world.step(acts)
        seen = observed["features"]
        for w, single in enumerate(singles):
            features, gained, fell, late, _ = single.step(int(acts[w]))
            np.testing.assert_array_equal(info["final_obs"]["features"][w] if fell or late else seen[w], features)
            assert (reward[w], terminated[w], truncated[w]) == (gained, fell, late and not fell)
            if fell or late:
                ends["fell" if fell else "truncated"] += 1
                episode[w] += 1
                np.testing.assert_array_equal(seen[w], single.reset(seed=seed_of(3, w, episode[w]))[0])
    assert ends["fell"] > 0
    assert ends["truncated"] > 0


def test_an_episode_does_not_depend_on_those_before_it() -> None:
    short, long = cartpole(1), cartpole(1)
    for world, actions in ((short, [0]), (long, [0, 1])):  # a pole that falls at once, and one that stays up for a while
        seen, t = world.reset(seed=4)[0], 0
        while world.running_stats[0, 0, 1] > 0 or t == 0:
            seen, t = world.step(np.array([actions[t % len(actions)]]))[0], t + 1
        plain = gym.make("CartPole-v1").reset(seed=seed_of(4, 0, episode=1))[0]
        np.testing.assert_array_equal(seen["features"][0], plain)


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_a_snapshot_brings_back_the_same_future(name: str) -> None:
    world = make(Task("gym", {"id": name}, 25, SUCCESS, HARM), num_worlds=3)
    draw = np.random.default_rng(0)
    acts = [draw.integers(0, 2, 3) if world.names.actions else draw.uniform(-1, 1, (3, 1)) for _ in range(80)]
    world.reset(seed=2)
    for act in acts[:40]:
        world.step(act)
    kept = world.snapshot()
    future = [world.step(act) for act in acts[40:]]
    seen = world.restore(kept)
    assert "features" in seen
    for act, (features, reward, terminated, truncated, info) in zip(acts[40:], future, strict=True):
        again = world.step(act)
        np.testing.assert_array_equal(again[0]["features"], features["features"])
        np.testing.assert_array_equal(again[1:4], (reward, terminated, truncated))
        np.testing.assert_array_equal(again[4]["stats"], info["stats"])


def test_what_ended_is_kept_and_truncation_is_no_termination() -> None:
    world = cartpole(2, horizon=5)
    world.reset(seed=0)
    plain = gym.make("CartPole-v1", max_episode_steps=5)
    plain.reset(seed=seed_of(0, 1))
    for t in range(5):
        action = t % 2
        last = plain.step(action)[0]
        seen, reward, terminated, truncated, info = world.step(np.array([action, action]))
    assert truncated.all()
    assert not terminated.any()
    assert info["episode_end"].all()
    np.testing.assert_array_equal(info["final_obs"]["features"][1], last)
    assert (seen["features"][1] != last).any()  # a new episode has begun
    assert info["stats"][:, 0].tolist() == [[5.0, 5.0, 0.0]] * 2
    assert (world.running_stats == 0).all()
    assert reward.dtype == np.float32


def test_predicates_read_the_counters() -> None:
    world = cartpole(3)
    stats = np.array([[[20.0, 20.0, 0.0]], [[19.0, 19.0, 0.0]], [[25.0, 25.0, 1.0]]])
    assert world.success(stats).tolist() == [True, False, True]
    assert world.harm(stats).tolist() == [False, False, True]


def test_real_actions_are_stretched_to_the_bounds_and_clipped() -> None:
    world, plain = pendulum(1), gym.make("Pendulum-v1")
    world.reset(seed=0)
    plain.reset(seed=seed_of(0, 0))
    for action, torque in ((0.5, 1.0), (3.0, 2.0)):
        seen = world.step(np.array([[action]], np.float32))[0]
        np.testing.assert_allclose(seen["features"][0], plain.step(np.array([torque], np.float32))[0], rtol=1e-6)
    assert world.names.actions == ()
    assert (world.names.action_low, world.names.action_high) == ((-1.0,), (1.0,))


def test_a_discrete_observation_becomes_one_hot() -> None:
    world = make(Task("gym", {"id": "FrozenLake-v1"}, 10, SUCCESS, HARM), num_worlds=2)
    assert world.reset(seed=0)[0]["features"].tolist() == [[1.0] + [0.0] * 15] * 2


def test_closing_a_world_closes_every_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    monkeypatch.setattr("gymnasium.envs.classic_control.PendulumEnv.close", lambda env: closed.append(env))
    world = pendulum(2)
    assert not closed
    world.close()
    assert len(set(map(id, closed))) == 2


def test_an_id_may_name_the_module_that_registers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_worlds.py").write_text(
        "import gymnasium\ngymnasium.register('Own-v0', 'gymnasium.envs.classic_control:PendulumEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    world = make(Task("gym", {"id": "own_worlds:Own-v0"}, 10, SUCCESS, HARM), num_worlds=2)
    assert world.reset(seed=0)[0]["features"].shape == (2, 3)


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"id": "CartPole-v99"}, "CartPole-v99"),
        ({"id": "NoSuchThing-v0"}, "NoSuchThing.* names its module"),
        ({"id": "CartPole-v1", "info": {"cost": "mean"}}, "setup.info.cost.gather"),
        ({"id": "CartPole-v1", "vectorization": "threads"}, "setup.vectorization"),
        ({"id": "CartPole-v1", "kwargs": {"colour": 1}}, "colour"),
        ({"id": "CartPole-v1", "seed": 1}, "setup.seed"),
        ({}, "setup.id"),
    ],
)
def test_a_bad_setup_is_named(setup: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(Task("gym", setup, 10, SUCCESS, HARM), num_worlds=1)


@pytest.mark.parametrize(
    ("observed", "acting", "message"),
    [
        (ROW, spaces.MultiDiscrete([40, 40]), "at most 1024 joint actions, got more of MultiDiscrete"),
        (ROW, spaces.Tuple([CHOICE, CHOICE]), "actions from Discrete, MultiDiscrete, MultiBinary or a bounded Box .*, got Tuple"),
        (ROW, spaces.Box(-np.inf, np.inf, (1,)), r"actions with bounds, got Box\(-inf.*gymnasium.ActionWrapper of your own"),
        (ROW, spaces.Box(-1, 1, (300,)), "actions from .* bounded Box of at most 256 numbers"),
        (spaces.Text(5), CHOICE, "observations of numbers .*, the observation is Text; leave it out with a wrapper"),
        (spaces.Dict(word=spaces.Text(5), place=ROW), CHOICE, "observations of numbers .*, word is Text"),
        (spaces.Box(0, 255, (96, 96, 4)), CHOICE, "observations of at most 4096 numbers, got 36864"),
        (spaces.Box(-1, 1, (0,)), CHOICE, "observations of one number at least"),
        (ROW, spaces.Box(1, 1, (2,)), "actions among which to choose"),
        (ROW, spaces.Box(-1, 1, (0,)), "actions among which to choose"),
        (spaces.Tuple([PICTURE, PICTURE]), CHOICE, "observations with one picture at most, got 0, 1"),
    ],
)
def test_spaces_that_are_not_supported_are_refused_with_a_cure(
    observed: gym.Space[object], acting: gym.Space[object], message: str
) -> None:
    with pytest.raises(InputError, match=f"setup.id: {TOYS}Shown-v0: expected {message}"):
        toy("Shown", kwargs={"observed": observed, "acting": acting})


def test_a_wrapper_can_set_the_bounds_that_the_environment_lacks() -> None:
    kwargs = {"acting": spaces.Box(-np.inf, np.inf, (1,))}
    world = toy("Shown", kwargs=kwargs, wrappers=[{"tests.worlds.toys:Narrow": {"bound": 3.0}}])
    world.reset(seed=0)
    assert world.step(np.array([[1.0]], np.float32))[1].tolist() == [3.0]


@pytest.mark.parametrize(
    ("wrappers", "message"),
    [
        (["gymnasium.wrappers:Flatten"], "setup.wrappers: gymnasium.wrappers:Flatten: expected a class that can be imported"),
        (["no_such_module:Thing"], "expected a class that can be imported from the repository's root"),
        (["FlattenObservation"], "expected module:Class"),
        ([{"gymnasium.wrappers:TimeLimit": {"colour": 1}}], "cannot wrap .*colour"),
        (["tests.worlds.toys:not_a_wrapper"], "expected a wrapper that returns an environment, got int"),
        ([{"a:B": {}, "c:D": {}}], "setup.wrappers.0"),
    ],
)
def test_a_bad_wrapper_is_named(wrappers: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        toy("Shown", wrappers=wrappers)


def test_numbers_of_info_are_gathered_as_the_setup_says() -> None:
    info = {"goal": {"gather": "any", "absent": 0}}
    for how, wanted in (("last", 0.0), ("sum", 2.0), ("max", 2.0), ("min", -1.0), ("any", 1.0)):
        world = toy("Telling", horizon=5, info={"cost": how} | info)
        world.reset(seed=0)
        for _ in range(4):
            world.step(np.zeros(1, np.int64))
        running = world.running_stats[0, 0]
        stats = world.step(np.zeros(1, np.int64))[4]["stats"][0, 0]
        assert stats.tolist() == [0.0, 5.0, 1.0, wanted, 1.0]
        assert running[4] == 1.0
        assert (world.running_stats == 0).all()


def test_a_step_without_the_key_counts_as_what_the_setup_says() -> None:
    world = toy("Telling", horizon=3, info={"goal": {"gather": "min", "absent": 0}})
    world.reset(seed=0)
    stats = [world.step(np.zeros(1, np.int64))[4]["stats"][0, 0, 3] for _ in range(3)]
    assert stats == [0.0, 0.0, 0.0]
    world = toy("Telling", horizon=3, info={"goal": "min"})
    world.reset(seed=0)
    assert [world.step(np.zeros(1, np.int64))[4]["stats"][0, 0, 3] for _ in range(3)] == [0.0, 1.0, 1.0]


def test_a_key_that_no_step_tells_is_refused_with_those_that_there_are() -> None:
    world = toy("Telling", horizon=2, info={"costs": "sum"})
    world.reset(seed=0)
    with pytest.raises(InputError, match=r"told 'costs' \(did you mean 'cost'\?\); the last steps told cost, goal, nested"):
        for _ in range(2 * SILENT_EPISODES):
            world.step(np.zeros(1, np.int64))


def test_masks_come_from_info_and_need_not_allow_anything_at_an_end() -> None:
    world = toy("Masked", num_worlds=2, horizon=10)
    masks = [world.reset(seed=0)[0]["mask"]]
    for t in range(7):
        masks.append(world.step(np.full(2, t % 5 % 2))[0]["mask"])
    assert [of[0].tolist() for of in masks] == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0], [1, 0], [0, 1], [1, 0]]


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_masks_of_the_parts_of_an_action_are_joined(vectorization: str) -> None:
    world = toy("Asked", vectorization=vectorization)
    try:
        assert world.names.actions == ("action_0_0", "action_0_1", "action_0_2", "action_1_0", "action_1_1", "action_1_2")
        assert world.reset(seed=0)[0]["mask"].tolist() == [[0, 1, 1, 0, 0, 0]]
        assert world.step(np.array([2]))[0]["mask"].tolist() == [[0, 1, 1, 0, 1, 1]]
    finally:
        world.close()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", "world 0, episode 0, step 3: expected finite observations, observation_1 is nan"),
        ("shape", r"step 3: observation: expected the shape \[3\] of its space, got \[4\]"),
        ("reward", "world 0, episode 0, step 3: reward: expected a finite number, got inf"),
        ("word", "step 3: reward: expected a number, got 'much'"),
        ("numeral", "world 0, episode 0, step 3: reward: expected a number, got '1.0'"),
        ("nothing", "world 0, episode 0, step 3: reward: expected a number, got None"),
        ("huge", r"world 0, episode 0, step 3: reward: expected a finite number, got 1e\+39"),
        ("half", "world 0, episode 0, step 3: terminated: expected true or false, got 0.5"),
        ("letters", r"world 0, episode 0, step 3: observation: expected float32 as of its space, got <U1"),
        (
            "additive",
            r"step 3: info\['action_mask'\]: expected 1 for an action that is allowed and 0 for others, got \[0.0, -inf\]",
        ),
        ("exit", r"toys:Faulty-v0: \S*toys.py:\d+: SystemExit: 0"),
        ("flag", r"step 3: terminated: expected one value, got the shape \[1\]"),
        ("none", "step 3: info\\['action_mask'\\]: expected an action that is allowed, the mask forbids all 2"),
        ("silent", "world 0, episode 0, step 3: info: expected a dict, got None"),
        ("text", "step 3: info\\['cost'\\]: expected one finite number, got 'much'"),
    ],
)
def test_a_fault_of_the_environment_is_named_with_its_place(fault: str, message: str) -> None:
    world = toy("Faulty", kwargs={"fault": fault}, info={"cost": {"gather": "sum", "absent": 0}}, horizon=40)
    world.reset(seed=0)
    with pytest.raises(InputError, match=message):
        for _ in range(3):
            world.step(np.zeros(1, np.int64))


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_an_error_in_the_code_of_the_environment_is_one_line_with_its_place(vectorization: str) -> None:
    world = toy("Faulty", num_worlds=2, kwargs={"fault": "crash"}, vectorization=vectorization)
    world.reset(seed=0)
    line = next(
        n for n, text in enumerate(Path(__file__).with_name("toys.py").read_text().split("\n"), 1) if "1 / (self.t - 3)" in text
    )
    with pytest.raises(InputError, match=rf"^setup.id: {TOYS}Faulty-v0: \S*toys.py:{line}: ZeroDivisionError: division by zero$"):
        for _ in range(3):
            world.step(np.zeros(2, np.int64))
    world.close()


def test_an_error_while_the_environment_is_made_is_one_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "import gymnasium\ngymnasium.register('Torn-v0', lambda: {}['key'])\n"
    (tmp_path / "torn_worlds.py").write_text(module)
    (tmp_path / "broken_worlds.py").write_text("gymnasium.register('Torn-v0')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for of, said in (
        ("torn", "torn_worlds.py:2: KeyError: 'key'"),
        ("broken", "broken_worlds.py:1: NameError: name 'gymnasium'"),
    ):
        with pytest.raises(InputError, match=f"gymnasium cannot make '{of}_worlds:Torn-v0' with {{}}: {said}"):
            make(Task("gym", {"id": f"{of}_worlds:Torn-v0"}, 10, SUCCESS, HARM), num_worlds=1)


def test_a_wrapper_that_wants_a_tuple_gets_the_list_of_the_file_as_one() -> None:
    world = toy("Shown", wrappers=[{"gymnasium.wrappers:ReshapeObservation": {"shape": [3, 1]}}])
    assert world.names.features == ("observation_0_0", "observation_1_0", "observation_2_0")
    with pytest.raises(InputError, match=r"cannot wrap .* with {'shape': \[2, 1\]}"):
        toy("Shown", wrappers=[{"gymnasium.wrappers:ReshapeObservation": {"shape": [2, 1]}}])


def test_copies_in_processes_have_the_same_bits_and_the_same_future() -> None:
    info = {"cost": "sum", "goal": {"gather": "any", "absent": 0}}
    beside, apart = (toy("Telling", num_worlds=3, horizon=4, info=info, vectorization=how) for how in ("sync", "async"))
    try:
        same = [np.testing.assert_array_equal(beside.reset(seed=5)[0][key], of) for key, of in apart.reset(seed=5)[0].items()]
        assert len(same) == 2
        draw, kept = np.random.default_rng(0), {}
        for t in range(30):
            if t == 17:
                kept = apart.snapshot()
            if t == 23:  # back to step 17 of both
                np.testing.assert_array_equal(beside.restore(kept)["features"], apart.restore(kept)["features"])
            acts = draw.integers(0, 2, 3)
            (seen, *rest, info), (others, *their_rest, their_info) = beside.step(acts), apart.step(acts)
            np.testing.assert_array_equal(seen["features"], others["features"])
            np.testing.assert_array_equal(rest, their_rest)
            np.testing.assert_array_equal(info["stats"], their_info["stats"])
            np.testing.assert_array_equal(info["final_obs"]["features"], their_info["final_obs"]["features"])
            assert list(beside.infos) == list(apart.infos)
    finally:
        apart.close()


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_processes_end_with_their_world(how: str) -> None:
    before = set(active_children())
    world: GymWorld | None = toy("Shown", num_worlds=2, vectorization="async")
    started = set(active_children()) - before
    assert len(started) == 2
    if how == "closed":
        assert world is not None
        world.close()
    world = None
    gc.collect()
    assert not any(process.is_alive() for process in started)


def test_a_snapshot_holds_what_was_gathered() -> None:
    world = toy("Telling", num_worlds=2, horizon=5, info={"cost": "max"})
    world.reset(seed=1)
    world.step(np.array([0, 1]))
    kept = world.snapshot()
    future = [world.step(np.array([1, 0]))[4]["stats"] for _ in range(6)]
    world.restore(kept)
    assert world.running_stats[:, 0, 3].tolist() == [-1.0, -1.0]
    np.testing.assert_array_equal([world.step(np.array([1, 0]))[4]["stats"] for _ in range(6)], future)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith(("gymnasium.envs.box2d", "Box2D"))]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "Box2D", None)  # as where it is not installed
    with pytest.raises(MissingExtra, match=r"LunarLander-v3 .*pip install --editable '.\[box2d\]'") as caught:
        make(Task("gym", {"id": "LunarLander-v3"}, 10, SUCCESS, HARM), num_worlds=1)
    assert caught.value.exit_code == 9


def test_a_module_that_is_missing_is_named_with_where_it_is_looked_for() -> None:
    with pytest.raises(MissingExtra, match="no module 'no_such_module' in the repository's root or among the installed packages"):
        GymWorld(Task("gym", {"id": "no_such_module:Thing-v0"}, 10, SUCCESS, HARM), 1)


def test_there_is_no_script_to_follow() -> None:
    with pytest.raises(UsageError, match="policy: ppo"):
        cartpole(1).expert_actions()


def test_a_mask_that_only_some_copies_tell_is_refused() -> None:
    world = toy("Halved", num_worlds=2)
    with pytest.raises(InputError, match=r"info\['action_mask'\]: expected a mask in every step"):
        world.reset(seed=0)


def test_a_process_that_ends_is_named() -> None:
    world = toy("Faulty", kwargs={"fault": "end"}, vectorization="async", horizon=40)
    world.reset(seed=0)
    with pytest.raises(InputError, match=r"toys:Faulty-v0: the process of a copy ended before it answered"):
        for _ in range(3):
            world.step(np.zeros(1, np.int64))
