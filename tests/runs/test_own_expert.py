"""A user's own expert, as Python code: what it sees, how its state begins, and how its faults are told."""

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from tests.own_experts import pole, run_to_validate, settings

from headstart.config.scenario import ExpertGate, Scenario, load_scenario
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import read_record
from headstart.core.own_code import code_of
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.expert import approved_expert, expert_of
from headstart.runs.own_expert import own_act, require_stateless
from headstart.runs.own_source import own_sha256
from headstart.runs.worlds import worlds_of
from headstart.stages.expert import expert

ROOT = Path(__file__).parents[2]
Write = Callable[..., str]
BALANCE = "def act(obs, info):\n    return int(obs[2] + 0.5 * obs[3] > 0)\n"
BATCHED = "import numpy as np\n\ndef act(obs, info):\n    seen = np.asarray(obs)\n    return (seen[:, 2] + 0.5 * seen[:, 3] > 0).astype(int)\n"
COUNTING = """
class Act:
    def __init__(self):
        self.ticks = None

    def reset(self):
        self.ticks = 0

    def act(self, obs, info):
        self.ticks += 1
        if self.ticks % 7 == 0:  # a fault now and then, at a tick of the row's own episode
            return 0
        return int(obs[2] + 0.5 * obs[3] > 0)
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Write:
    """Write a module into experts/ of a new project, which is the working directory; returns its dotted name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "experts").mkdir()
    unique = f"own_{abs(hash(request.node.nodeid))}"

    def written(text: str, name: str = "") -> str:
        (tmp_path / "experts" / f"{unique}{name}.py").write_text(text)
        return f"experts.{unique}{name}"

    return written


def calling(module: str, name: str = "act", **keys: Any) -> Scenario:
    return pole({"policy": "callable", "call": f"{module}:{name}"} | keys)


@pytest.mark.parametrize(
    ("text", "name", "batched"),
    [(BALANCE, "act", False), (BATCHED, "act", True), (COUNTING, "Act", False)],
    ids=["function", "batched", "class with state"],
)
def test_a_callable_is_judged_recorded_and_replayed(write: Write, text: str, name: str, batched: bool) -> None:
    scenario = calling(write(text), name, batched=batched, training_steps=500)

    said = run_to_validate(scenario)

    artefact = approved_expert(scenario)
    assert (artefact.kind, artefact.training_steps(0), artefact.training_steps(1)) == ("callable", 500, 500)
    assert said[0].startswith("expert pole: approved; success ")
    assert re.search(r"passes \d+ gates; 24 episodes replayed exactly", said[-1])
    manifest = read_record(Path("data/pole/validated.json"), DatasetManifest)
    assert (manifest.expert, manifest.policy_sha256) == ("callable", artefact.policy_sha256)


def test_rows_at_once_and_one_by_one_act_alike(write: Write) -> None:
    by_row, at_once = calling(write(BALANCE, "a")), calling(write(BATCHED, "b"), batched=True)
    world = worlds_of(by_row, "capture", 5)
    one, other = own_act(by_row, world), own_act(at_once, world)
    obs, _ = world.reset(seed=3)
    for _ in range(20):
        assert (one(obs) == other(obs)).all()
        obs, *_ = world.step(one(obs))


def test_the_state_of_a_row_begins_with_its_episode(write: Write) -> None:
    """Each row counts its own ticks; a row that falls counts from 1 again, the others go on."""
    text = COUNTING.replace("self.ticks += 1", "self.ticks += 1\n        COUNTS.append(self.ticks)") + "\nCOUNTS = []\n"
    scenario = calling(write(text), "Act")
    world = worlds_of(scenario, "capture", 3)
    act, ticks = own_act(scenario, world), np.zeros(3, int)
    obs, _ = world.reset(seed=1)
    counts = sys.modules[str(scenario.expert.call).partition(":")[0]].COUNTS
    ends = 0
    for _ in range(40):
        act(obs)
        ticks += 1
        assert counts[-3:] == ticks.tolist()
        obs, _, terminated, truncated, _ = world.step(np.array([0, 1, 0]))  # always one way: rows fall at different ticks
        ticks[terminated | truncated] = 0
        ends += int((terminated | truncated).sum())
    assert ends >= 6
    obs, _ = world.reset(seed=1)
    act(obs)
    assert counts[-3:] == [1, 1, 1]


def test_a_batched_class_is_told_the_rows_that_begin(write: Write) -> None:
    text = (
        "import numpy as np\n\nclass Act:\n    told = []\n    def reset(self, rows):\n        self.told.append(list(map(int, rows)))\n"
        "    def act(self, obs, infos):\n        assert len(obs) == len(infos) == 3\n        return np.zeros(len(obs), int)\n"
    )
    scenario = calling(write(text), "Act", batched=True)
    world = worlds_of(scenario, "capture", 3)
    act = own_act(scenario, world)
    told = sys.modules[str(scenario.expert.call).partition(":")[0]].Act.told
    obs, _ = world.reset(seed=1)
    act(obs)
    assert told == [[0, 1, 2]]
    ended = np.zeros(3, bool)
    while not ended.any():
        obs, _, terminated, truncated, _ = world.step(act(obs))
        ended = terminated | truncated
    assert len(told) == 1
    act(obs)
    assert told[1:] == [np.flatnonzero(ended).tolist()]


def test_an_expert_of_a_town_sees_features_and_mask_and_answers_with_an_id(write: Write) -> None:
    module = write(
        "def act(obs, info):\n    assert info == {} and set(obs) == {'features', 'mask'}\n    return obs['mask'].argmax()\n"
    )
    town = load_scenario("queue_conflict", ROOT / "scenarios").model_dump()
    gate = {"policy": "callable", "call": f"{module}:act", "success_rate": 0, "harm_rate": 1}
    world = worlds_of(scenario := Scenario.model_validate(town | {"expert": gate}), "capture", 2)
    obs, _ = world.reset(seed=0)
    assert (own_act(scenario, world)(obs) == obs["mask"].argmax(axis=1)).all()


def test_the_observation_is_the_environments_own_and_so_is_its_info(write: Write) -> None:
    text = "def act(obs, info):\n    assert obs.shape == (2, 2) and info['action_mask'].tolist() == [True, False]\n    return 0\n"
    wrappers = {"setup": {"wrappers": ["tests.own_experts:squared", "tests.own_experts:Masked"]}}
    scenario = pole({"policy": "callable", "call": f"{write(text)}:act"}, **wrappers)
    world = worlds_of(scenario, "capture", 2)
    obs, _ = world.reset(seed=0)
    assert own_act(scenario, world)(obs).tolist() == [0, 0]


def test_an_expert_of_the_robot_answers_with_numbers_within_its_bounds(write: Write) -> None:
    robot = load_scenario("nav_gap_seeker", ROOT / "scenarios").model_dump()
    acts = []
    for name, answer in (("good", "[0.5, -1]"), ("bad", "[0.5, -1.5]")):
        module = write(f"def act(obs, info):\n    return {answer}\n", name)
        gate = {"policy": "callable", "call": f"{module}:act", "success_rate": 0, "harm_rate": 1}
        scenario = Scenario.model_validate(robot | {"expert": gate})
        world = worlds_of(scenario, "capture", 2)
        acts.append(partial(own_act(scenario, world), world.reset(seed=0)[0]))
    assert acts[0]().tolist() == [[0.5, -1.0], [0.5, -1.0]]
    with pytest.raises(InputError, match=r"row 0: expected numbers from −1 to 1, got \[0\.5, -1\.5\]"):
        acts[1]()


def test_the_gate_is_held_against_an_own_expert_too(write: Write) -> None:
    scenario = pole({"policy": "callable", "call": f"{write('def act(obs, info): return 0')}:act", "success_rate": 0.9})
    assert expert(settings(scenario), scenario).says.startswith("expert pole: draft")
    with pytest.raises(GateFailed, match=r"expected an approved expert, got a draft: .*0 of 64 episodes succeed"):
        expert_of(scenario, worlds_of(scenario, "capture", 1))


def test_the_examples_of_the_page_are_experts(write: Write) -> None:
    page = (ROOT / "docs/scenarios.md").read_text().split("## Your expert", 1)[1].split("\n## ", 1)[0]
    experts = [line.strip() for line in page.splitlines() if line.startswith("    expert: {")]
    gates = [ExpertGate.model_validate(YAML(typ="safe", pure=True).load(line)["expert"]) for line in experts]
    assert [gate.policy for gate in gates] == ["callable", "onnx", "sb3"]
    code = "\n".join(line[4:] for line in page.splitlines() if line.startswith(("    def ", "        return")))
    scenario = calling(write(code))
    assert expert(settings(scenario), scenario).says.startswith("expert pole: approved; success 64/64")


# --- faults ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def act(obs, info):\n    return obs['x']\n", r"experts/own_\d+.py:2: IndexError: only integers"),
        (
            "import numpy as np\ndef act(obs, info):\n    return np.stack([])\n",
            r"experts/own_\d+.py:3: ValueError: need at least one",
        ),
        ("def act(obs, info:\n    return 0\n", r"experts/own_\d+.py:1: SyntaxError: '\(' was never closed"),
        ("import nothing_there\n", r"experts/own_\d+.py:1: ModuleNotFoundError: No module named 'nothing_there'"),
        ("def other(obs, info): return 0\n", r"call: expected a function or a class act in experts.own_\d+, found none"),
        ("act = 7\n", r"call: expected a function, or a class with the method act\(obs, info\), got 7"),
        ("class act:\n    def play(self): pass\n", r"a class with the method act\(obs, info\), got <class "),
        ("class act:\n    def __init__(self, x): pass\n", "TypeError: .*missing 1 required positional argument: 'x'"),
        ("def act(obs, info): return 2\n", r"row 0: expected an action of Discrete\(2\), got 2"),
        ("def act(obs, info): return [0]\n", r"row 0: expected an action of Discrete\(2\), got \[0\]"),
        ("def act(obs, info): return 'left'\n", r"row 0: expected an action of Discrete\(2\), got 'left'"),
        (
            "def act(obs, info): return None if obs[0] > 9 else float('nan')\n",
            r"row 0: expected an action of Discrete\(2\), got nan",
        ),
        ("def act(obs, info): return None\n", r"row 0: expected an action of Discrete\(2\), got None"),
        ("def act(obs, info): return 0.5\n", r"row 0: expected an action of Discrete\(2\), got 0.5"),
        (
            "import torch\ndef act(obs, info): return torch.ones((), requires_grad=True)\n",
            r"row 0: expected an action of Discrete\(2\), got tensor\(1\., requires_grad=True\) \(Can't call numpy\(\)",
        ),
    ],
)
def test_a_fault_of_the_users_code_is_one_line(write: Write, text: str, message: str) -> None:
    scenario = calling(write(text))
    world = worlds_of(scenario, "capture", 2)
    obs, _ = world.reset(seed=0)
    with pytest.raises(InputError, match=message) as caught:
        own_act(scenario, world)(obs)
    assert str(caught.value).startswith("scenarios/pole.yaml: expert")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_batched_answer_of_too_few_rows_and_a_forbidden_action_are_refused(write: Write) -> None:
    scenario = calling(write("def act(obs, infos): return [0]"), batched=True)
    world = worlds_of(scenario, "capture", 2)
    obs, _ = world.reset(seed=0)
    with pytest.raises(InputError, match=r"expected an action for each of 2 rows, got \[0\]"):
        own_act(scenario, world)(obs)
    other = calling(write("def act(obs, info): return 1", "b"))
    obs["mask"][1, 1] = 0
    with pytest.raises(InputError, match=r"row 1: expected an action that is allowed, got 1"):
        own_act(other, world)(obs)


@pytest.mark.parametrize("answer", ["{0: 1, 1: 0}", "{0, 1}", "array(1)", "1"])
def test_what_has_no_rows_is_no_answer_for_them(write: Write, answer: str) -> None:
    scenario = calling(write(f"from numpy import array\ndef act(obs, infos): return {answer}"), batched=True)
    world = worlds_of(scenario, "capture", 2)
    obs, _ = world.reset(seed=0)
    with pytest.raises(InputError, match=re.escape(f"expected an action for each of 2 rows, got {answer}")):
        own_act(scenario, world)(obs)


def test_a_module_that_is_not_there_is_named_before_anything_is_played(write: Write) -> None:
    write(BALANCE)
    with pytest.raises(
        InputError, match=r"expected a module of yours, in experts/, the repository's root or installed, found no nowhere\.at_all"
    ):
        expert(settings(pole({"policy": "callable", "call": "a.b:act"})), calling("nowhere.at_all"))
    with pytest.raises(InputError, match="the repository's root or installed, json is Python's own"):
        own_sha256(calling("json", "dumps"))


def test_an_expert_with_state_is_not_asked_by_training(write: Write) -> None:
    require_stateless(calling(write(BALANCE, "a")))
    with pytest.raises(
        InputError, match="expected an expert without `reset`, since expert_share and labels: all ask it in some steps only"
    ):
        require_stateless(calling(write(COUNTING, "b"), "Act"))


# --- changes --------------------------------------------------------------------------------------------------------------


def test_an_expert_that_changed_after_it_was_judged_is_refused_with_the_cure(write: Write) -> None:
    scenario = calling(module := write(BALANCE))
    expert(settings(scenario), scenario)
    assert approved_expert(scenario).state == "approved"
    write(BALANCE + "# edited\n")
    with pytest.raises(GateFailed, match=r"the expert that was judged is not the one at hand; run `dvc repro` again"):
        approved_expert(scenario)
    with pytest.raises(GateFailed, match="the one at hand"):
        run_to_validate_from_capture(scenario)
    write(BALANCE)
    assert approved_expert(scenario).policy_sha256
    Path("params.yaml").write_text("scenarios: [other]\n")
    write(BALANCE + "# edited\n")
    with pytest.raises(GateFailed, match=r"run `dvc exp run -S 'scenarios=\[pole\]'` again"):
        approved_expert(scenario)
    assert module.startswith("experts.")


def test_the_cure_of_a_change_that_dvc_does_not_watch_says_force(write: Write) -> None:
    Path("root_rules.py").write_text("LIMIT = 0\n")
    scenario = calling(write("from root_rules import LIMIT\n" + BALANCE))
    expert(settings(scenario), scenario)
    Path("root_rules.py").write_text("LIMIT = 1\n")
    with pytest.raises(GateFailed, match=r"run `dvc repro expert@pole --force` again"):
        approved_expert(scenario)


def run_to_validate_from_capture(scenario: Scenario) -> None:
    from headstart.stages.capture import capture

    capture(settings(scenario), scenario)


def test_the_hash_of_code_follows_what_the_module_imports_and_no_other_file(write: Write) -> None:
    used, other = write("x = 1\n", "used"), write("y = 1\n", "other")
    relative = f"from .{used.partition('.')[2]} import x\n"
    module = write(f"{relative}import numpy\ndef act(obs, info): return 0\n")
    before = code_of(module)
    assert set(before) == {module, used}
    write("y = 2\n", "other")
    assert code_of(module) == before
    write("x = 2\n", "used")
    assert code_of(module) != before
    assert other not in before


def test_the_hash_of_an_installed_module_has_its_version() -> None:
    found = code_of("scipy.linalg")
    assert "scipy.linalg" in found
    assert any(name.startswith("scipy ") for name in found)
    assert code_of("nothing_there") == {}
