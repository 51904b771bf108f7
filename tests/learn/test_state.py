"""A run's whole state: hashed, kept, gone back to bit for bit."""

from itertools import islice

import numpy as np
import pytest
from tests.learn.test_anneal import ROLLOUT, arm_of, ppo, trainer

from headstart.learn.anneal import Trainer, Updated, run
from headstart.learn.state import begin_retry, restore, state_of, state_sha256

ARM = arm_of(
    {"name": "warm", "kind": "critic", "env_steps": ROLLOUT}, ppo(rollouts=6, kl_weight=0.1, bc_weight=0.1, expert_share=0.5)
)


def after(updates: int, subject: Trainer) -> str:
    """Hash of the state so many updates later."""
    list(islice((event for event in run(subject) if isinstance(event, Updated)), updates))
    return state_sha256(state_of(subject))


def test_a_state_brings_back_the_same_future() -> None:
    subject = trainer(ARM)
    after(3, subject)
    kept = state_of(subject)
    expected = after(3, subject)
    restore(subject, kept, charged=True)
    assert state_sha256(state_of(subject)) == state_sha256(kept) != expected
    assert after(3, subject) == expected


def test_a_fresh_process_goes_on_where_the_state_was_taken() -> None:
    first = trainer(ARM)
    after(3, first)
    kept = {name: value.copy() for name, value in state_of(first).items()}
    expected = after(4, first)
    second = trainer(ARM, seed=7)  # other weights, other worlds, another stream: all of it is replaced
    restore(second, kept, charged=True)
    assert after(4, second) == expected
    assert second.at == first.at


def test_the_hash_sees_every_part_but_what_was_spent() -> None:
    subject = trainer(ARM)
    after(3, subject)
    kept = state_of(subject)
    parts = {name.split(".")[0] for name in kept}
    assert parts == {"network", "reference", "optimizer", "player", "generator", "position", "charged"}
    for name, value in kept.items():
        changed = np.array(value)
        changed.reshape(-1).view(np.uint8)[-1:] ^= 1
        obs = state_sha256(kept | {name: changed}) != state_sha256(kept)
        assert obs == (not name.startswith("charged.")), name


def test_a_rollback_gives_no_step_back() -> None:
    subject = trainer(ARM)
    after(2, subject)
    kept = state_of(subject)
    after(2, subject)
    restore(subject, kept)
    assert subject.at.env_steps == 4 * ROLLOUT
    list(run(subject))
    assert subject.at.env_steps == ARM.budget


def test_a_retry_goes_another_way_with_gentler_steps_and_ramps_from_their_beginning() -> None:
    subject = trainer(ARM)
    after(3, subject)
    kept = state_of(subject)
    expected = after(1, subject)
    restore(subject, kept)
    begin_retry(subject)
    assert subject.weights.learning_rate == pytest.approx(0.005)
    assert subject.weights.kl_weight == pytest.approx(0.2)
    assert subject.at.progress(subject.phase) == 0.0
    assert after(1, subject) != expected
