"""What the ONNX file of a user's own expert tells beside its actions, where the scenario names the outputs: `log_prob` and `value`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from headstart.config.scenario import Scenario
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.runs.own_models import chosen, computed, logits_of, require_input
from headstart.runs.own_source import where
from headstart.worlds.api import Observations, World

LogProb = Callable[[Observations, Array], Array]
Value = Callable[[Observations], Array]


def estimates_of(session: Any, scenario: Scenario, world: World) -> tuple[LogProb | None, Value | None]:
    """log π(a | o) [N] of actions, and V(o) [N]; None for an output that is not named.

    `session`: that of the file. InputError, before anything is played, for outputs of other shapes, and for a file whose input is not the
    flattened features.
    """
    gate, said = scenario.expert, f"{where(scenario)}: {scenario.expert.path}"
    if gate.log_prob is None and gate.value is None:
        return None, None
    if gate.log_prob is not None and not world.names.actions:
        raise InputError(
            f"{where(scenario)}.log_prob: expected none for continuous actions, whose deviation the file does not tell"
        )
    taken = chosen(session.get_inputs(), gate.input, f"{said}: input")
    batch = require_input(taken, (len(world.names.features),), f"{said}: input {taken.name}, with log_prob or value")

    def output(obs: Observations, name: str) -> Array:
        return computed(session, name, taken, obs["features"], batch, said)

    log_prob = value = None
    if gate.log_prob is not None:
        name = chosen(session.get_outputs(), gate.log_prob, f"{said}: log_prob").name

        def log_prob(obs: Observations, action: Array) -> Array:
            logits = logits_of(output(obs, name), world, len(action), f"{said}: output {name}").astype(np.float64)
            allowed = np.where(obs["mask"] > 0, logits, -np.inf)
            taken_one = np.take_along_axis(allowed, action[:, None], axis=1)[:, 0]
            return np.asarray(taken_one - np.logaddexp.reduce(allowed, axis=1), np.float32)

    if gate.value is not None:
        of = chosen(session.get_outputs(), gate.value, f"{said}: value").name

        def value(obs: Observations) -> Array:
            found, n = output(obs, of), len(obs["features"])
            if found.shape not in ((n,), (n, 1)) or not np.isfinite(found).all():
                raise InputError(
                    f"{said}: output {of}: expected a finite number a row, [N] or [N, 1], got {['N', *found.shape[1:]]}"
                )
            return np.asarray(found.reshape(n), np.float32)

    _try(world, log_prob, value)
    return log_prob, value


def _try(world: World, log_prob: LogProb | None, value: Value | None) -> None:
    """Two rows of zeros: what does not fit is told at once."""
    zeros: Observations = {
        "features": np.zeros((2, len(world.names.features)), np.float32),
        "mask": np.ones((2, len(world.names.actions)), np.uint8),
    }
    if log_prob is not None:
        log_prob(zeros, np.zeros(2, np.int64))
    if value is not None:
        value(zeros)
