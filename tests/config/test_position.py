"""A position in a schedule: what a phase, a retry and the next phase begin with, and where ramps stand."""

from dataclasses import replace
from typing import Any

import pytest

from headstart.config.position import Position
from headstart.config.schedule import Phase


def phase(**more: Any) -> Phase:
    """A ppo phase of 1,000 env steps."""
    return Phase.model_validate({"name": "tune", "kind": "ppo", "env_steps": 1000, "learning_rate": 0.001} | more)


def test_a_retry_counts_an_attempt_and_lowers_the_learning_rate() -> None:
    own = phase(on_breach={"lr_factor": 0.4, "kl_factor": 3.0})
    at = Position().begin_phase()
    for attempt, learning_rate, kl in ((0, 1.0, 1.0), (1, 0.4, 3.0), (2, 0.16, 9.0)):
        assert at.attempt == attempt
        assert (at.learning_rate_factor(own), at.kl_factor(own)) == (pytest.approx(learning_rate), kl)
        at = at.begin_retry()


def test_a_new_phase_has_its_retries_and_its_learning_rate_back() -> None:
    at = replace(Position().begin_phase(), env_steps=400, epochs=3).begin_retry().end_phase()
    assert (at.phase, at.begun) == (1, False)
    at = at.begin_phase()
    assert (at.begun, at.epochs, at.phase_from, at.attempt_from, at.attempt) == (True, 0, 400, 400, 0)
    assert at.learning_rate_factor(phase()) == 1.0


def test_steps_stay_charged_and_the_ramps_of_a_retry_begin_anew_over_what_is_left() -> None:
    own, at = phase(), Position().begin_phase()
    at = replace(at, env_steps=400)
    assert (at.steps_left(own), at.progress(own)) == (600, 0.4)
    at = replace(at, env_steps=600).begin_retry()
    assert (at.steps_left(own), at.progress(own)) == (400, 0.0)
    assert replace(at, env_steps=800).progress(own) == 0.5
    at = replace(at, env_steps=1000)
    assert (at.steps_left(own), at.progress(own)) == (0, 1.0)
    assert at.begin_retry().progress(own) == 1.0


def test_a_cloning_phase_uses_no_env_steps_and_its_ramps_move_with_its_epochs() -> None:
    clone = Phase.model_validate({"name": "clone", "kind": "bc", "epochs": 4, "learning_rate": 0.001})
    at = replace(Position().begin_phase(), epochs=1)
    assert (at.steps_left(clone), at.progress(clone)) == (0, 0.25)
