"""A user's own expert in a world: a Python callable, an ONNX file, or a model of Stable-Baselines3.

It sees what the environment shows and answers in the environment's own actions, which become those of the contract (`worlds.api`) here.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence, Set
from importlib import import_module
from typing import Any

import numpy as np

from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError, shown
from headstart.core.user_code import called
from headstart.runs.estimates import Estimating
from headstart.runs.own_source import where
from headstart.worlds.api import Act, Observations, World

SLACK = 1e-6  # by which a number may lie outside of −1 … 1
Rows = Callable[[Observations], Sequence[Any] | Array]  # what the user's expert answers for the N rows of a world


def own_act(scenario: Scenario, world: World) -> Act:
    """The user's expert in `world`, whatever a gate says of it.

    Raises InputError in one line: for a module, name or file that is missing or of another kind; for inputs and outputs that do not fit the
    world, before anything is played; and, while it acts, for an error in the user's code and for an answer that is no allowed action.
    """
    match scenario.expert.policy:
        case "callable":
            rows = _callable(scenario, world)
        case "onnx":
            from headstart.runs.own_estimates import estimates_of
            from headstart.runs.own_models import onnx_rows, session_of

            session = session_of(scenario)
            rows = onnx_rows(session, scenario, world)
            return Estimating(lambda obs: _actions(scenario, world, obs, rows(obs)), *estimates_of(session, scenario, world))
        case _:
            from headstart.runs.own_models import sb3_rows

            rows = sb3_rows(scenario, world)
    return lambda obs: _actions(scenario, world, obs, rows(obs))


def require_stateless(scenario: Scenario) -> None:
    """InputError for an expert with state, which training cannot ask: not in every step, and no checkpoint holds the state."""
    if scenario.expert.policy == "callable" and inspect.isclass(found := _named(scenario)) and hasattr(found, "reset"):
        raise InputError(
            f"{where(scenario)}.call: expected an expert without `reset`, since expert_share and labels: all ask it in some steps only and its "
            "state is in no checkpoint; use an arm without them, or an expert that needs no state"
        )


class Beginnings:
    """Which rows of a world begin an episode with its last observations. It listens to the world's own methods."""

    def __init__(self, world: World) -> None:
        self._begun = np.ones(world.num_envs, bool)
        step, reset, restore = world.step, world.reset, world.restore

        def stepped(actions: Array) -> Any:
            found = step(actions)
            self._begun = self._begun | found[2] | found[3]
            return found

        def all_begin(method: Callable[..., Any]) -> Callable[..., Any]:
            def called(*args: Any, **kwargs: Any) -> Any:
                self._begun = np.ones(world.num_envs, bool)
                return method(*args, **kwargs)

            return called

        vars(world).update(step=stepped, reset=all_begin(reset), restore=all_begin(restore))

    def taken(self) -> Array:
        """Numbers of the rows whose episode began since this was last asked."""
        found, self._begun = np.flatnonzero(self._begun), np.zeros(len(self._begun), bool)
        return found


# --- a callable -----------------------------------------------------------------------------------------------------------


def _callable(scenario: Scenario, world: World) -> Rows:
    """A function (obs, info), or the method `act` of instances, whose state `reset` begins anew; row by row, or for all rows at once."""
    gate, target = scenario.expert, _named(scenario)
    is_class, instances = inspect.isclass(target), list[Any]()
    if is_class:
        instances = [guarded(scenario, target) for _ in range(1 if gate.batched else world.num_envs)]
    acts: list[Any] = [getattr(one, "act", None) for one in instances] if is_class else [target] * world.num_envs
    if not callable(acts[0]):
        raise InputError(
            f"{where(scenario)}.call: expected a function, or a class with the method act(obs, info), got {shown(target)}"
        )
    begins = Beginnings(world) if is_class and hasattr(target, "reset") else None

    def batched(obs: Observations) -> Any:
        if begins is not None and len(begun := begins.taken()):
            guarded(scenario, instances[0].reset, begun)
        seen, infos = _seen(world, obs, at_once=True)
        return guarded(scenario, acts[0], seen, infos)

    def by_row(obs: Observations) -> Any:
        for row in begins.taken() if begins is not None else ():
            guarded(scenario, instances[row].reset)
        seen, infos = _seen(world, obs, at_once=False)
        rows = zip(acts, world.gone, seen, infos, strict=True)
        return [world.idle if gone else guarded(scenario, act, *one) for act, gone, *one in rows]  # type: ignore[attr-defined]

    return batched if gate.batched else by_row


def _seen(world: World, obs: Observations, at_once: bool) -> tuple[Any, list[dict[str, Any]]]:
    """Observations and infos of N rows: a Gymnasium environment's own, else the arrays of the contract, of all at once or of each row."""
    if hasattr(world, "seen"):
        return world.seen, getattr(world, "infos")  # noqa: B009
    infos: list[dict[str, Any]] = [{} for _ in range(world.num_envs)]
    return (obs if at_once else [{name: rows[n] for name, rows in obs.items()} for n in range(world.num_envs)]), infos


def _named(scenario: Scenario) -> Any:
    """The function or class that `call` names."""
    module, _, name = str(scenario.expert.call).partition(":")
    found = guarded(scenario, import_module, module)
    if not hasattr(found, name):
        raise InputError(f"{where(scenario)}.call: expected a function or a class {name} in {module}, found none")
    return getattr(found, name)


def guarded(scenario: Scenario, function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`; any error of the user's code becomes an InputError of one line with its file and line."""
    return called(where(scenario), function, *args)


# --- answers --------------------------------------------------------------------------------------------------------------


def _actions(scenario: Scenario, world: World, obs: Observations, answers: Any) -> Array:
    """The answers of N rows as actions of the contract: [N] i64 that the mask allows, or [N, D] f32. InputError names the row and the value."""
    said, acting = where(scenario), getattr(world, "acting", None)
    space = acting.space if acting is not None else world.single_action_space
    acts = _stacked(said, answers, world.num_envs, space)
    if world.gone.any():  # what is answered for a row without an agent is ignored
        acts = acts.copy()
        acts[world.gone] = world.idle  # type: ignore[attr-defined]
    if acting is not None:
        acts = _ids(acting, acts, said)
    elif not world.names.actions and (out := (np.abs(acts) > 1 + SLACK).any(axis=1)).any():
        n = int(np.flatnonzero(out)[0])
        raise InputError(f"{said}: row {n}: expected numbers from −1 to 1, got {shown(acts[n].tolist())}")
    if not world.names.actions:
        return np.asarray(acts.clip(-1.0, 1.0), np.float32)
    ids = acts.astype(np.int64)
    bad = (ids != acts) | (ids < 0) | (ids >= len(world.names.actions))
    bad |= obs["mask"][np.arange(len(ids)), np.where(bad, 0, ids)] == 0
    if bad.any():
        n = int(np.flatnonzero(bad)[0])
        raise InputError(f"{said}: row {n}: expected an action that is allowed, got {shown(acts[n].item())}")
    return ids


def _ids(acting: Any, acts: Array, said: str) -> Array:
    """The environment's own actions [N, *shape] as those of the contract; InputError names the first row outside of the space."""
    try:
        return np.asarray(acting.ids(acts))
    except InputError:
        for n, act in enumerate(acts):
            try:
                acting.ids(acts[n : n + 1])
            except InputError:
                raise InputError(f"{said}: row {n}: expected an action of {acting.space}, got {shown(act.tolist())}") from None
        raise


def _stacked(said: str, answers: Any, num: int, space: Any) -> Array:
    """[N, *shape] finite numbers from N answers."""
    try:
        rows = len(answers)
    except TypeError:  # also of an array without a dimension, which has `__len__`
        rows = -1
    if isinstance(answers, Mapping | Set) or rows != num:
        raise InputError(f"{said}: expected an action for each of {num} rows, got {shown(answers)}")
    shape = tuple(space.shape or ())
    try:
        acts = np.asarray(answers)
    except Exception:  # of several shapes, or what an `__array__` of the user's raises
        acts = np.zeros(0)
    if acts.shape == (num, *shape) and acts.dtype.kind in "biuf" and np.isfinite(acts).all():
        return acts
    for n, answer in enumerate(answers):
        row, why = np.zeros(0, object), ""
        try:
            row = np.asarray(answer)
        except Exception as error:
            why = f" ({' '.join(str(error).split())})"
        if row.shape != shape or row.dtype.kind not in "biuf" or not np.isfinite(row).all():
            raise InputError(f"{said}: row {n}: expected an action of {space}, got {shown(answer)}{why}")
    return np.stack([np.asarray(answer) for answer in answers])
