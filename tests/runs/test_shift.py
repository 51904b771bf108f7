"""Facts of shift from real worlds: pedestrians who are more and faster are noticed, the same worlds are not, and nothing is shared."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.compare.arm_runs import DataStates
from headstart.compare.drift import drift, joined, ks_distance
from headstart.config.params import Params, load_params
from headstart.config.scenario import Scenario, load_scenario, variant_of
from headstart.core.errors import InputError
from headstart.dataset.episodes import Episodes, Header, select
from headstart.learn.evaluation import play_episodes
from headstart.learn.networks import ActorCritic
from headstart.learn.visits import visit
from headstart.runs.expert import expert_of
from headstart.runs.policy import new_network
from headstart.runs.recording import record
from headstart.runs.shift import APART, dataset_facts, shift_facts
from headstart.runs.worlds import require_variants, schema_of, worlds_of
from headstart.worlds.api import FIRST_WORLD

ROOT = Path(__file__).parents[2]
WORLDS = 256


@pytest.fixture(scope="module")
def params() -> Params:
    whole = load_params(ROOT / "params.yaml")
    evaluation = whole.evaluation.model_copy(update={"variant_worlds": WORLDS})
    return whole.model_copy(update={"evaluation": evaluation})


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """A robot for 40 steps; its variant has more and faster people."""
    content = load_scenario("nav_gap_seeker", ROOT / "scenarios").model_dump()
    rush = {"ped_count": 1.6, "ped_speed": 1.6}
    return Scenario.model_validate(content | {"horizon": 40, "variants": {"rush": rush}})


@pytest.fixture(scope="module")
def network(params: Params, scenario: Scenario) -> ActorCritic:
    torch.set_num_threads(1)
    return new_network(worlds_of(scenario, "exam", 1), params.network, 0)


@pytest.fixture(scope="module")
def episodes(params: Params, scenario: Scenario) -> Episodes:
    world = worlds_of(scenario, "capture", WORLDS)
    ids = FIRST_WORLD["capture"] + np.arange(WORLDS)
    header = Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256="e" * 64,
        seed=params.capture.seed,
        observation=schema_of(world),
        writer_version="test",
    )
    return record(world, expert_of(scenario, world), ids, params.capture, header)


@pytest.fixture(scope="module")
def data(scenario: Scenario, episodes: Episodes) -> DataStates:
    return dataset_facts(scenario, episodes, scenario.sha256, schema_of(worlds_of(scenario, "capture", 1)))


def held(data: DataStates, params: Params, scenario: Scenario, network: ActorCritic) -> set[str]:
    """Features that hold a verdict: at reset, at the default limits."""
    facts = shift_facts(params, scenario, network)
    assert facts is not None
    found = drift(data.starts, facts.starts)
    return {one.feature for one in found if (one.q <= 0.01 and one.distance >= 0.1) or (one.psi_q <= 0.01 and one.psi > 0.25)}


def test_exam_worlds_like_those_of_the_data_raise_no_alarm(
    data: DataStates, params: Params, scenario: Scenario, network: ActorCritic
) -> None:
    assert held(data, params, scenario, network) == set()


def test_more_and_faster_people_than_in_the_data_are_noticed_where_they_are_seen(
    data: DataStates, params: Params, scenario: Scenario, network: ActorCritic
) -> None:
    features = held(data, params, variant_of(scenario, "rush"), network)

    assert features
    assert all(feature.startswith(("ped", "ray")) for feature in features)


def test_the_data_say_how_many_worlds_begin_and_which_situations_they_drew(data: DataStates, scenario: Scenario) -> None:
    assert (data.scenario_sha256, data.starts.rows, data.starts.worlds) == (scenario.sha256, WORLDS, WORLDS)
    assert data.visited.rows > 10 * WORLDS
    assert data.visited.effective <= WORLDS
    assert set(data.mix) == {str(family) for family in range(8)}
    assert sum(data.mix.values()) == WORLDS


def test_the_blocks_of_a_recording_together_show_what_the_whole_recording_shows(
    data: DataStates, scenario: Scenario, episodes: Episodes
) -> None:
    schema = schema_of(worlds_of(scenario, "capture", 1))
    early = episodes.table.world < FIRST_WORLD["capture"] + WORLDS // 4
    blocks = [dataset_facts(scenario, select(episodes, of), scenario.sha256, schema) for of in (early, ~early)]

    assert [block.starts.worlds for block in blocks] == [WORLDS // 4, WORLDS - WORLDS // 4]
    assert {kind: sum(block.mix.get(kind, 0) for block in blocks) for kind in data.mix} == data.mix
    together, whole = joined([block.visited for block in blocks]), data.visited
    assert (together.rows, together.worlds, together.effective) == (whole.rows, whole.worlds, pytest.approx(whole.effective))
    assert max(ks_distance(together.features[name], whole.features[name]) for name in whole.features) < 1 / 63


def test_visits_are_the_episodes_that_an_evaluation_plays(params: Params, scenario: Scenario, network: ActorCritic) -> None:
    world = worlds_of(scenario, "exam", 16)

    visits, played = visit(network, world, 5), play_episodes(network, world, 5, "sampled")

    np.testing.assert_array_equal(visits.played.stats, played.stats)
    np.testing.assert_array_equal(visits.played.total_reward, played.total_reward)
    lengths = np.bincount(visits.world, minlength=16)
    np.testing.assert_array_equal(lengths, played.stats[:, 0, world.names.stats.index("steps")])
    np.testing.assert_array_equal(np.flatnonzero(visits.first), np.arange(16))


def test_agreement_counts_decisions_in_the_policys_own_states(params: Params, scenario: Scenario, network: ActorCritic) -> None:
    small = params.model_copy(update={"evaluation": params.evaluation.model_copy(update={"variant_worlds": 16})})
    world = worlds_of(scenario, "exam", 16)

    @torch.no_grad()
    def itself(obs: dict[str, np.ndarray]) -> np.ndarray:
        return network.policy({key: torch.from_numpy(value) for key, value in obs.items()}).mode().clamp(-1, 1).numpy()

    same = shift_facts(small, scenario, network, lambda world: itself)
    other = shift_facts(small, scenario, network, partial(expert_of, scenario))

    assert same is not None and same.agreement is not None
    assert same.agreement.agreed == same.agreement.decisions == len(visit(network, world, params.evaluation.exam_seed).world)
    assert other is not None and other.agreement is not None
    assert other.agreement.agreed < other.agreement.decisions


def test_every_variant_is_played_in_worlds_of_its_own(params: Params, scenario: Scenario, network: ActorCritic) -> None:
    facts = shift_facts(params, scenario, network)

    assert facts is not None
    variant = variant_of(scenario, "rush")
    assert facts.variants["rush"].scenario_sha256 == variant.sha256 != scenario.sha256
    assert facts.variants["rush"].score.episodes == WORLDS
    own = worlds_of(variant, "exam", WORLDS, skip=APART)
    played = play_episodes(network, own, params.evaluation.exam_seed, "sampled")
    assert facts.variants["rush"].score.success == played.success.sum()
    assert params.evaluation.exam_worlds < APART


def test_no_worlds_for_variants_is_no_measurement(params: Params, scenario: Scenario, network: ActorCritic) -> None:
    none = params.model_copy(update={"evaluation": params.evaluation.model_copy(update={"variant_worlds": 0})})

    assert shift_facts(none, scenario, network) is None


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ({"ped_sped": 2}, "variants.x: setup.ped_sped"),
        ({"rays": 16}, r"variants.x: expected .*\(60 features\), got .*\(44 features\)"),
    ],
)
def test_a_variant_that_cannot_be_played_is_named_before_training(
    params: Params, scenario: Scenario, overlay: dict[str, int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        require_variants(params, scenario.model_copy(update={"variants": {"x": overlay}}))


@pytest.mark.parametrize("name", ["nav_mixed", "queue_conflict", "employment_punctuality"])
def test_every_variant_that_is_shipped_can_be_played(params: Params, name: str) -> None:
    shipped = load_scenario(name, ROOT / "scenarios")

    require_variants(params, shipped)

    hashes = {shipped.sha256, *(variant_of(shipped, variant).sha256 for variant in shipped.variants)}
    assert len(hashes) == 1 + len(shipped.variants) >= 3
