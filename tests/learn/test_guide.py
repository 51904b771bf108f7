"""Who drives: shares that are counted, and a state that can be gone back to."""

import numpy as np
import pytest
import torch

from headstart.learn.guide import BLENDS, Blend, Guide

ROWS, TICKS, EPISODE = 400, 60, 20


def driven(guide: Guide, ticks: int = TICKS) -> np.ndarray:
    """[ticks, ROWS], where all episodes last EPISODE ticks and began together."""
    out = []
    for tick in range(1, ticks + 1):
        out.append(guide.drives())
        guide.advance(np.full(ROWS, tick % EPISODE == 0))
    return np.array(out)


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("share", [0.25, 0.8])
def test_the_expert_drives_the_share_of_steps_that_it_was_given(blend: Blend, share: float) -> None:
    guide = Guide(ROWS, EPISODE, torch.Generator().manual_seed(0))
    guide.aim(share, blend)
    trials = ROWS * TICKS / EPISODE if blend == "agent_episode" else ROWS * TICKS  # independent draws
    assert driven(guide).mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / trials))


@pytest.mark.parametrize("blend", BLENDS)
def test_without_a_share_nobody_is_driven_and_nothing_is_drawn(blend: Blend) -> None:
    generator = torch.Generator().manual_seed(0)
    guide = Guide(ROWS, EPISODE, generator)
    before = generator.get_state()
    guide.aim(0.0, blend)
    assert not driven(guide).any()
    assert torch.equal(generator.get_state(), before)


def test_a_prefix_is_the_first_part_of_every_episode() -> None:
    guide = Guide(ROWS, EPISODE, torch.Generator().manual_seed(0))
    guide.aim(0.25, "prefix")
    expected = np.tile([True] * 5 + [False] * 15, 3)
    assert (driven(guide) == expected[:, None]).all()


def test_an_agent_keeps_its_driver_for_a_whole_episode() -> None:
    guide = Guide(ROWS, EPISODE, torch.Generator().manual_seed(0))
    guide.aim(0.5, "agent_episode")
    episodes = driven(guide).reshape(-1, EPISODE, ROWS)
    assert (episodes == episodes[:, :1]).all()
    assert (episodes[0, 0] != episodes[1, 0]).any()


@pytest.mark.parametrize("blend", BLENDS)
def test_a_snapshot_brings_back_the_same_drivers(blend: Blend) -> None:
    guide = Guide(ROWS, EPISODE, torch.Generator().manual_seed(0))
    guide.aim(0.5, blend)
    driven(guide, 7)
    snapshot, stream = guide.snapshot(), guide.generator.get_state()
    expected = driven(guide, 33)
    other = Guide(ROWS, EPISODE, torch.Generator())
    other.restore(snapshot)
    other.generator.set_state(stream)
    other.aim(0.5, blend)
    assert (driven(other, 33) == expected).all()
