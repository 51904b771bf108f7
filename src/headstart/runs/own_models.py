"""Policies of other frameworks: an ONNX file, which onnxruntime computes on one thread, and a model of Stable-Baselines3.

An ONNX file has the inputs [N, F] f32, the flattened features, or [N, *shape], the environment's own Box observation. Its outputs are
[N, K], the logits of the named actions (of a MultiDiscrete or MultiBinary those of its parts in a row, or of the joint actions), or [N, D] or
[N, *shape], the mean of a continuous action in the environment's own units. It answers with the best allowed action, or with the mean
within the bounds.
"""

import copy
import pickle
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from gymnasium import spaces

from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError, nearest
from headstart.core.extras import require_extra
from headstart.core.files import read_bytes
from headstart.runs.own_source import own_files, where
from headstart.worlds.api import Observations, World

MAX_BYTES = 1 << 31
NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}
SB3 = ("stable_baselines3", "sb3_contrib")
RECURRENT = ("RecurrentPPO",)


# --- ONNX -----------------------------------------------------------------------------------------------------------------


def onnx_rows(session: Any, scenario: Scenario, world: World) -> Callable[[Observations], Array]:
    """The policy of an ONNX file; InputError before anything is played where its inputs or outputs do not fit the world."""
    gate, said = scenario.expert, f"{where(scenario)}: {scenario.expert.path}"
    taken = chosen(session.get_inputs(), gate.input, f"{said}: input")
    given = chosen(session.get_outputs(), gate.output, f"{said}: output")
    own_shape = _own_box(world)
    own = own_shape is not None and len(taken.shape) != 2 and len(taken.shape) == len(own_shape) + 1
    shape = own_shape if own and own_shape is not None else (len(world.names.features),)
    batch = require_input(taken, shape, f"{said}: input {taken.name}")

    def answer(obs: Observations) -> Array:
        seen = np.asarray(world.seen) if own else obs["features"]  # type: ignore[attr-defined]
        return _best(computed(session, given.name, taken, seen, batch, said), world, obs, f"{said}: output {given.name}")

    ones: Observations = {"features": np.zeros((2, 1)), "mask": np.ones((2, len(world.names.actions)), np.uint8)}
    _best(computed(session, given.name, taken, np.zeros((2, *shape)), batch, said), world, ones, f"{said}: output {given.name}")
    return answer


def computed(session: Any, name: str, taken: Any, rows: Array, batch: int | None, said: str) -> Array:
    """The output of that name for N rows of the input `taken`, one by one where `batch` is fixed. InputError where the file cannot."""
    rows = rows.astype(NUMBERS[taken.type])
    parts = [rows] if batch is None else [rows[n : n + 1] for n in range(len(rows))]
    try:
        return np.concatenate([np.asarray(session.run([name], {taken.name: part})[0]) for part in parts])
    except Exception as error:  # onnxruntime's own classes
        raise InputError(f"{said}: {' '.join(str(error).split())}") from None


def session_of(scenario: Scenario) -> Any:
    """An onnxruntime session on one thread. MissingExtra without onnxruntime, InputError for a file that is no ONNX model."""
    require_extra("onnxruntime", "onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    (path,) = own_files(scenario)
    try:
        return onnxruntime.InferenceSession(read_bytes(path, MAX_BYTES), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        if "external data" in text.lower():
            text = "its weights are in another file: save it with its weights inside (external_data=False)"
        raise InputError(f"{where(scenario)}.path: expected an ONNX file, {path}: {text}") from None


def chosen(found: Any, name: str | None, said: str) -> Any:
    """The input or output of that name, or the only one."""
    names = [one.name for one in found]
    if name is None and len(names) == 1:
        return found[0]
    if name not in names:
        got = f"{', '.join(names)}: name one in the scenario" if name is None else f"{name!r}{nearest(name, names)}"
        raise InputError(
            f"{said}: expected one of {', '.join(names)}, got {got}" if name else f"{said}: expected a single one, got {got}"
        )
    return found[names.index(name)]


def require_input(taken: Any, shape: tuple[int, ...], said: str) -> int | None:
    """The fixed number of rows, 1, or None where it is free."""
    rows, *rest = taken.shape or [None]
    fits = len(rest) == len(shape) and all(
        not isinstance(is_, int) or is_ == wanted for is_, wanted in zip(rest, shape, strict=True)
    )
    if taken.type not in NUMBERS or not fits or (isinstance(rows, int) and rows != 1):
        raise InputError(
            f"{said}: expected numbers of the shape [N, {', '.join(map(str, shape))}], got {taken.type} {taken.shape}"
        )
    return rows if isinstance(rows, int) else None


def _best(output: Array, world: World, obs: Observations, said: str) -> Array:
    """[N, K] logits → the best allowed action in the environment's own space; [N, D] means → within the bounds."""
    n, acting = len(obs["features"]), getattr(world, "acting", None)
    if not world.names.actions:
        space: Any = acting.space if acting is not None else world.single_action_space
        if output.size != n * int(np.prod(space.shape)) or len(output) != n:
            raise InputError(
                f"{said}: expected the shape [N, {', '.join(map(str, space.shape))}], got {['N', *output.shape[1:]]}"
            )
        return np.asarray(output.reshape(n, *space.shape).clip(space.low, space.high))
    logits = logits_of(output, world, n, said)
    ids = np.where(obs["mask"] > 0, logits, -np.inf).argmax(axis=1)
    return ids if acting is None else np.asarray(acting.own(ids))


def logits_of(output: Array, world: World, n: int, said: str) -> Array:
    """[N, K] of the named actions, from those or from those of the parts of a joint action. InputError for other shapes and numbers."""
    acting = getattr(world, "acting", None)
    logits, k = output.reshape(n, -1) if len(output) == n else np.zeros((n, 0)), len(world.names.actions)
    sizes = _parts(acting.space) if acting is not None else ()
    if sizes and logits.shape[1] == sum(sizes):  # also where the joint actions are as many, as of two parts of two
        parts = np.split(logits, np.cumsum(sizes)[:-1], axis=1)
        joint = parts[0]
        for part in parts[1:]:
            joint = (joint[:, :, None] + part[:, None, :]).reshape(n, -1)
        logits = joint
    if logits.shape[1] != k:
        raise InputError(f"{said}: expected the logits of {k} actions, [N, {k}], got {['N', *output.shape[1:]]}")
    if not np.isfinite(logits).all():
        raise InputError(f"{said}: expected finite numbers, got {logits[~np.isfinite(logits).all(axis=1)][0].tolist()}")
    return logits


def _parts(space: Any) -> tuple[int, ...]:
    """How many values each part of a MultiDiscrete or MultiBinary has."""
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.ravel())
    return (2,) * int(np.prod(space.shape)) if isinstance(space, spaces.MultiBinary) else ()


def _own_box(world: World) -> tuple[int, ...] | None:
    """The shape of the environment's own observation where it is a Box."""
    observing = getattr(world, "observing", None)
    return tuple(observing.space.shape) if observing is not None and isinstance(observing.space, spaces.Box) else None


# --- Stable-Baselines3 ----------------------------------------------------------------------------------------------------


def sb3_rows(scenario: Scenario, world: World) -> Callable[[Observations], Array]:
    """A model of Stable-Baselines3, acting deterministically; InputError before anything is played where it does not fit the world."""
    gate, said = scenario.expert, f"{where(scenario)}: {scenario.expert.path}"
    acting, observing = getattr(world, "acting", None), getattr(world, "observing", None)
    path, *more = own_files(scenario)
    model = load_sb3(path, str(gate.algorithm), said)
    seen_space = model.observation_space if observing is None else observing.space
    normalised = load_normaliser(more[0], seen_space, said).normalize_obs if more else None
    masked = str(gate.algorithm).startswith("Maskable")
    wanted, own = model.action_space, acting.space if acting is not None else world.single_action_space
    if type(wanted) is not type(own) or wanted != own:
        raise InputError(f"{said}: expected a model that acts in {own}, got one for {wanted}")

    def answer(seen: Any, infos: Any, mask: Array | None) -> Array:
        masks = {"action_masks": _masks(infos, mask)} if masked else {}
        try:
            return np.asarray(model.predict(normalised(seen) if normalised else seen, deterministic=True, **masks)[0])
        except Exception as error:
            raise InputError(f"{said}: {type(error).__name__}: {' '.join(str(error).split())}") from None

    def batch(rows: Any, space: Any) -> Any:
        if isinstance(space, spaces.Dict):
            return {key: np.stack([row[key] for row in rows]) for key in space.spaces}
        return np.asarray(rows)

    def act(obs: Observations) -> Array:
        if observing is None:
            return answer(obs["features"], None, obs.get("mask"))
        return answer(batch(world.seen, observing.space), world.infos, obs.get("mask"))  # type: ignore[attr-defined]

    features, k = np.zeros((1, len(world.names.features)), np.float32), len(world.names.actions)
    tried = features if observing is None else batch([copy.deepcopy(observing.space).sample()], observing.space)
    answer(tried, [{}], np.ones((1, k), np.uint8) if k else None)
    return act


def _masks(infos: Any, mask: Array | None) -> Any:
    """As the environment tells them: a MultiDiscrete has those of its parts in a row."""
    told = [info.get("action_mask") for info in infos or ()]
    return mask if not told or any(one is None for one in told) else np.stack([np.asarray(one).ravel() for one in told])


def load_sb3(path: Any, algorithm: str, said: str) -> Any:
    """The model of a zip file, on the CPU: this runs the code that is pickled in it. InputError for another file or algorithm."""
    require_extra(SB3[0], "sb3")
    import torch

    torch.set_num_threads(1)
    there = [module for module in SB3 if find_spec(module)]
    found = next((of for module in there if hasattr(of := getattr(import_module(module), algorithm, None), "load")), None)
    if found is None or algorithm in RECURRENT:
        more = " (its state between steps is not kept; wrap it in a callable with `reset`)" if algorithm in RECURRENT else ""
        raise InputError(
            f"{said}: algorithm: expected one of {' or '.join(there)}, as PPO, A2C, DQN, SAC, TD3, DDPG, got {algorithm}{more}"
        )
    try:
        return found.load(path, device="cpu")
    except Exception as error:
        raise InputError(f"{said}: expected a model that {algorithm}.load reads: {' '.join(str(error).split())[:200]}") from None


def load_normaliser(path: Any, space: Any, said: str) -> Any:
    """The VecNormalize of a file that its `save` wrote, which normalises observations of `space`: this runs the code that is pickled in it.

    InputError for another file, or for one of other observations.
    """
    from stable_baselines3.common.vec_env import VecNormalize

    try:
        with open(path, "rb") as file:
            found = pickle.load(file)
    except Exception as error:
        raise InputError(
            f"{said}: normaliser: expected what VecNormalize.save wrote: {' '.join(str(error).split())[:200]}"
        ) from None
    if not isinstance(found, VecNormalize) or found.observation_space != space:
        got = f"one of {found.observation_space}" if isinstance(found, VecNormalize) else type(found).__name__
        raise InputError(f"{said}: normaliser: expected a VecNormalize of {space}, got {got}")
    return found
