"""The trained policies that come with the repository: small, whole, and as good in the worlds of today as their card leads one to expect."""

from pathlib import Path

import pytest

from headstart.config.scenario import load_scenario
from headstart.learn.evaluation import play_episodes
from headstart.runs.policy import load_policy
from headstart.runs.worlds import score_of, worlds_of

ROOT = Path(__file__).parents[1]
POLICIES = sorted(path.parent.relative_to(ROOT / "policies") for path in (ROOT / "policies").rglob("card.json"))
MOST_BYTES = 300_000


def test_there_is_one_of_the_default_scenario() -> None:
    assert Path("queue_conflict/pretrained") in POLICIES


@pytest.mark.parametrize("policy", POLICIES, ids=str)
def test_a_policy_is_small_and_plays_beyond_its_target(policy: Path) -> None:
    folder, scenario = ROOT / "policies" / policy, load_scenario(policy.parts[0], ROOT / "scenarios")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MOST_BYTES

    world = worlds_of(scenario, "exam", 64)
    network, _ = load_policy(folder, world)  # refuses weights that are not those of the card
    score = score_of(play_episodes(network, world, 1, "sampled"), world, scenario)

    target = list(scenario.targets.values())[-1]
    assert score.success / score.episodes >= target.success_rate
    assert score.return_mean >= (target.return_mean or 0.0)
