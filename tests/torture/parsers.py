"""Every parser of files that a user can bring: valid inputs, hostile ones made of them, and the function that reads one."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from tests.dataset.conftest import record_walks
from tests.deploy.made import ACTING, BOX, checkpoint
from tests.torture.hostile import changed, damaged
from tests.torture.records import RECORDS, TELEMETRY, history

from headstart.config.checked import checked
from headstart.config.history import line_sha256, parse_history
from headstart.config.params import Params, for_scenario, load_arm, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.stage import entry_of
from headstart.core.errors import HeadstartError
from headstart.core.files import parse_record, sha256_bytes
from headstart.core.yaml import read_yaml
from headstart.dataset.episodes import Header
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.dataset.formats import lerobot, minari, npz
from headstart.dataset.formats.reading import read_recording
from headstart.dataset.formats.recording import Recording
from headstart.dataset.observation import ObservationSchema
from headstart.deploy.policy import load
from headstart.guard.traces import from_tsv
from headstart.runs.own_models import session_of
from headstart.storage.missing import absent
from headstart.telemetry.reader import read_telemetry
from headstart.worlds.gym_setup import GymSetup
from headstart.worlds.nav.setup import NavSetup
from headstart.worlds.space_record import space_from, space_record
from headstart.worlds.town.setup import TownSetup

ROOT = Path(__file__).parents[2]
LENGTH = np.array([3, 2, 4])
Make = Callable[[Random], Any]
Read = Callable[[Any], object]


class Parser(NamedTuple):
    """Hostile inputs without end, and what reads one: it returns a value or raises an error of headstart."""

    make: Make
    read: Read


def parsers(home: Path) -> dict[str, Parser]:
    """All of them; they work in folders below `home`, which is the working directory while they read."""
    made = {
        "yaml": _yaml,
        "params": _params,
        "scenario": _scenario,
        "arm": _arm,
        "pipeline": _pipeline,
        "lock": _lock,
        "records": _records,
        "telemetry": _telemetry,
        "history": _history,
        "spaces": _spaces,
        "trace": _trace,
        "checkpoint": _checkpoint,
        "episodes": _episodes,
        "npz": _npz,
        "minari": _minari,
        "lerobot": _lerobot,
        "onnx": _onnx,
    }
    found = {}
    for name, make in made.items():
        (home / name).mkdir(parents=True)
        found[name] = make(home / name)
    return found


def _stored(path: Path, read: Callable[[Path], object], folder: Path | None = None) -> Read:
    """Put the bytes at `path`, then read it, or the folder that it is part of."""

    def stored(data: bytes) -> object:
        path.write_bytes(data)
        return read(folder or path)

    return stored


def _texts(seeds: list[bytes]) -> Make:
    return lambda random: damaged(random.choice(seeds), random.choice(seeds), random, text=True)


def _of_trees(seeds: list[Any]) -> Make:
    """Texts of JSON, which is YAML too: valid syntax with other content, or damaged as bytes."""
    texts = [json.dumps(tree).encode() for tree in seeds]

    def make(random: Random) -> bytes:
        if random.random() < 0.3:
            return damaged(random.choice(texts), random.choice(texts), random, text=True)
        return json.dumps(changed(random.choice(seeds), random)).encode()

    return make


# --- settings -----------------------------------------------------------------------------------------------------------


def _yaml(folder: Path) -> Parser:
    seeds = [
        b"a: 1\nb: [1, 2.5, x]\nc:\n  d: {e: null, f: 'q'}\n  g: \"\\u00e9\"\n",
        b"world: town\nsetup:\n  layout: |\n    ####\n    #..#\n  need: {hunger: [1, 2]}\nlist:\n- a\n- b: 1\n  c: 2\n",
        b"%YAML 1.2\n---\nramp: {from: 1e-05, to: 0x1F}\ntext: >\n  folded\n  lines\n...\n",
    ]
    return Parser(_texts(seeds), _stored(folder / "x.yaml", read_yaml))


def _params(folder: Path) -> Parser:
    tree = read_yaml(ROOT / "params.yaml") | {"evidence": {"one": {"seeds": [1, 2]}}}
    scenarios = [load_scenario(name, ROOT / "scenarios") for name in ("queue_conflict", "cartpole", "nav_mixed")]

    def read(content: Any) -> None:
        for scenario in scenarios if isinstance(content, dict) else ():
            for_scenario(checked(Params, content, "params.yaml"), scenario)

    return Parser(lambda random: changed(tree, random), read)


def _scenario(folder: Path) -> Parser:
    names = ("queue_conflict", "cartpole", "nav_mixed", "employment_punctuality", "minigrid_doorkey")
    trees = [read_yaml(ROOT / "scenarios" / f"{name}.yaml") for name in names]
    params = load_params(ROOT / "params.yaml")
    setups: Mapping[str, Any] = {"town": TownSetup, "nav": NavSetup, "gym": GymSetup}

    def read(content: Any) -> None:
        scenario = checked(Scenario, {"name": "mine"} | content, "mine.yaml")
        for_scenario(params, scenario)
        if scenario.world in setups:
            checked(setups[scenario.world], scenario.setup, "mine.yaml: setup")

    return Parser(lambda random: changed(random.choice(trees), random), read)


def _arm(folder: Path) -> Parser:
    phase = {
        "name": "tune",
        "kind": "ppo",
        "env_steps": 128,
        "learning_rate": {"from": 0.001, "to": 0},
        "guardrails": {"kl": {"flag": 0.1}},
    }
    tree = {
        "schema": "anneal-schedule/1",
        "start": "bc",
        "ppo": {"worlds": 4},
        "phases": [phase, {"name": "a", "kind": "bc", "epochs": 1, "learning_rate": 0.1}],
    }
    return Parser(_of_trees([tree]), _stored(folder / "arm.yaml", load_arm))


def _pipeline(folder: Path) -> Parser:
    inner = {"cmd": "x", "deps": ["a", {"b": {}}], "params": ["x", {"settings.json": ["settings.y"]}]}
    stage = inner | {"outs": ["data/${item.scenario}", {"c": {"cache": False}}]}
    return Parser(
        _of_trees([{"stages": {"capture": stage}}]),
        _stored(Path("dvc.yaml"), lambda _: entry_of("capture", {"scenario": "mine"})),
    )


def _lock(folder: Path) -> Parser:
    deps, outs = [{"path": "a", "md5": "0" * 32, "size": 1}], [{"path": "b", "md5": "1" * 32}]
    run = {"cmd": "x", "deps": deps, "params": {"f": {"k": 1}}, "outs": outs}
    return Parser(
        _of_trees([{"schema": "2.0", "stages": {"capture@a": run}}]), _stored(Path("dvc.lock"), lambda _: absent(Path()))
    )


# --- records ------------------------------------------------------------------------------------------------------------


def _records(folder: Path) -> Parser:
    """A record that is changed may also be read as another kind."""

    def make(random: Random) -> tuple[int, bytes]:
        number = random.randrange(len(RECORDS))
        return number, _of_trees([RECORDS[number].model_dump(mode="json")])(random)

    return Parser(make, lambda one: parse_record(one[1], type(RECORDS[one[0]]), "record.json"))


def _telemetry(folder: Path) -> Parser:
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in TELEMETRY)

    def make(random: Random) -> bytes:
        if random.random() < 0.3:
            return damaged(whole, whole, random, text=True)
        lines = [json.dumps(line) for line in TELEMETRY]
        at = random.randrange(len(lines))
        lines[at] = json.dumps(changed(TELEMETRY[at], random))
        return "".join(f"{line}\n" for line in lines).encode()

    return Parser(make, _stored(folder / "telemetry-0000.ndjson", read_telemetry, folder))


def _history(folder: Path) -> Parser:
    lines, whole = history()

    def make(random: Random) -> bytes:
        if random.random() < 0.3:
            return damaged(whole, whole, random, text=True)
        tree = changed(lines[0].model_dump(mode="json"), random)
        try:  # a line that carries the hash of what it says
            line = type(lines[0]).model_validate(tree)
            tree = line.model_copy(update={"sha256": line_sha256(line)}).model_dump(mode="json")
        except (ValueError, HeadstartError):
            pass
        return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode() + b"\n"

    return Parser(make, lambda data: parse_history(data, "history.ndjson"))


def _spaces(folder: Path) -> Parser:
    trees = [space_record(space) for space in (BOX, *ACTING.values(), gym.spaces.Dict(a=BOX, b=gym.spaces.Tuple([BOX])))]
    return Parser(lambda random: changed([random.choice(trees)], random), lambda one: [space_from(space) for space in one])


def _trace(folder: Path) -> Parser:
    seeds = [b"kind\tenv_steps\tgrad_norm\tentropy\nupdate\t10\t0.1\t\nevaluation\t20\t0.2\t1.5\n"]
    return Parser(_texts(seeds), lambda data: from_tsv(data.decode("utf-8", "replace"), "trace.tsv"))


# --- arrays -------------------------------------------------------------------------------------------------------------


def _checkpoint(folder: Path) -> Parser:
    at = checkpoint(folder / "seed-0", BOX, ACTING["discrete"])
    weights, card = (at / "weights.safetensors").read_bytes(), json.loads((at / "card.json").read_bytes())

    def make(random: Random) -> tuple[bytes, bytes]:
        """The card names the weights that are there, so that they are read."""
        data = damaged(weights, weights, random, text=False) if random.random() < 0.5 else weights
        tree = changed(card, random) if random.random() < 0.5 else dict(card)
        return data, json.dumps(tree | {"weights_sha256": sha256_bytes(data)}).encode()

    def read(one: tuple[bytes, bytes]) -> None:
        (at / "weights.safetensors").write_bytes(one[0])
        (at / "card.json").write_bytes(one[1])
        load(at)

    return Parser(make, read)


def _episodes(folder: Path) -> Parser:
    from tests.torture.episodes import rewritten

    path = folder / "episodes.h5"
    episodes = record_walks(range(3))
    schema = ObservationSchema(world="walk", features=tuple("abcdef"), actions=("w", "n", "s", "e", "o"), reward_terms=("t", "g"))
    header = Header(
        scenario="walk", scenario_sha256="0" * 64, policy_sha256="1" * 64, seed=7, observation=schema, writer_version="1"
    )
    write_episodes(path, episodes, header)
    whole = path.read_bytes()

    def make(random: Random) -> bytes:
        return rewritten(whole, random) if random.random() < 0.4 else damaged(whole, whole, random, text=False)

    return Parser(make, _stored(path, read_episodes))


def _recording() -> Recording:
    return Recording(
        observations=np.arange(18.0, dtype=np.float32).reshape(9, 2),
        actions=np.array([0, 1, 2, 0, 1, 2, 0, 1, 2]),
        length=LENGTH,
        rewards=np.arange(9.0),
        terminated=np.array([True, False, True]),
        truncated=np.array([False, True, False]),
        final_observations=np.full((3, 2), 7, np.float32),
        seeds=np.array([4, -1, 6]),
        infos={"cost": np.arange(9.0) / 2},
    )


def _npz(folder: Path) -> Parser:
    from tests.torture.episodes import archive

    path = folder / "mine.npz"
    npz.write(path, _recording())
    whole = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)

    def make(random: Random) -> bytes:
        return archive(arrays, random) if random.random() < 0.4 else damaged(whole, whole, random, text=False)

    return Parser(make, _stored(path, lambda at: read_recording("npz", at)))


def _folder(kind: str, folder: Path, texts: list[str], arrays: list[str]) -> Parser:
    """A dataset of several files, of which one is damaged at a time."""
    whole = {name: (folder / name).read_bytes() for name in (*texts, *arrays)}

    def make(random: Random) -> tuple[str, bytes]:
        name = random.choice((*texts, *arrays, *arrays))
        if name in texts and random.random() < 0.7:
            return name, json.dumps(_strings(changed(_trees(json.loads(whole[name])), random))).encode()
        return name, damaged(whole[name], whole[name], random, text=name in texts)

    def read(one: tuple[str, bytes]) -> None:
        for name in whole:
            (folder / name).write_bytes(one[1] if name == one[0] else whole[name])
        read_recording(kind, folder)

    return Parser(make, read)


def _trees(metadata: dict[str, Any]) -> dict[str, Any]:
    """Spaces that stand as texts within JSON, as trees."""
    return {key: json.loads(value) if key.endswith("_space") else value for key, value in metadata.items()}


def _strings(metadata: Any) -> Any:
    if not isinstance(metadata, dict):
        return metadata
    return {
        key: json.dumps(value) if key.endswith("_space") and not isinstance(value, str) else value
        for key, value in metadata.items()
    }


def _minari(folder: Path) -> Parser:
    spaces = gym.spaces.Box(-1, 100, (2,), np.float32), gym.spaces.Discrete(3)
    minari.write(folder / "set", _recording(), spaces, "headstart/test-v0")
    return _folder("minari", folder / "set", ["metadata.json"], ["main_data.hdf5"])


def _lerobot(folder: Path) -> Parser:
    lerobot.write(folder / "set", _recording())
    return _folder("lerobot", folder / "set", [lerobot.INFO], [lerobot.DATA_PATH.format(chunk_index=0, file_index=0)])


def _onnx(folder: Path) -> Parser:
    from onnx import TensorProto, helper, numpy_helper

    path = Path("experts/mine.onnx")
    weights = numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["obs", "w"], ["h"]), helper.make_node("Tanh", ["h"], ["logits"])],
        "g",
        [value("obs", TensorProto.FLOAT, ["N", 4])],
        [value("logits", TensorProto.FLOAT, ["N", 2])],
        [weights],
    )
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    tree = read_yaml(ROOT / "scenarios/cartpole.yaml") | {
        "expert": {"policy": "onnx", "path": str(path), "success_rate": 0.5, "harm_rate": 0.5}
    }
    scenario = checked(Scenario, {"name": "mine"} | tree, "mine.yaml")

    def read(data: bytes) -> object:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return session_of(scenario)

    return Parser(lambda random: damaged(whole, whole, random, text=False), read)
