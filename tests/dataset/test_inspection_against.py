"""Two datasets side by side: distances by hand, and what is only in one of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp
from tests.dataset.conftest import SCHEMA, record_walks
from tests.inspected import opened_from

from headstart.dataset.inspection import inspected
from headstart.dataset.inspection_against import Against, against, distance


def compared(tmp_path: Path, **changes: object) -> Against:
    """Walks in worlds 0 to 59 against the same in 20 to 79; `changes`: of the first."""
    here, there = record_walks(range(60)), record_walks(range(20, 80))
    return against(
        tmp_path,
        inspected(tmp_path, opened_from(here, SCHEMA)._replace(**changes)),
        inspected(tmp_path, opened_from(there, SCHEMA, name="other")),
    )


def test_the_distance_is_that_of_the_cumulated_shares() -> None:
    assert distance(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 4])) == 0
    assert distance(np.array([1, 2]), np.array([3, 4])) == 1
    assert distance(np.array([1, 2, 3, 4]), np.array([3, 4, 5, 6])) == 0.5
    random = np.random.default_rng(0)
    a, b = random.normal(size=200), random.normal(0.5, 2, size=300).round(1)
    assert distance(a, b) == pytest.approx(ks_2samp(a, b, method="asymp").statistic)


def test_a_dataset_against_itself_does_not_differ(tmp_path: Path) -> None:
    seen = inspected(tmp_path, opened_from(record_walks(range(60)), SCHEMA))
    found = against(tmp_path, seen, seen)
    assert (found.differences, found.only_here, found.only_there, found.decided_otherwise) == ((), (), (), ())
    assert found.common == 60
    assert {one.distance for one in (*found.columns, *found.features)} == {0.0}
    assert all(one.here == one.there for one in found.actions)


def test_the_episodes_of_only_one_are_counted_and_those_decided_otherwise_named(tmp_path: Path) -> None:
    reasons = [["harm"] if world == 30 else [] for world in range(60)]
    found = compared(tmp_path, reasons=reasons, state="curated, not validated")
    assert (found.common, len(found.only_here), len(found.only_there)) == (40, 20, 20)
    assert found.decided_otherwise == (record_walks([30]).table.episode_id[0].decode(),)
    assert [(one.name, one.here, one.there) for one in found.differences] == [
        ("state", "curated, not validated", "recorded, not curated")
    ]


def test_numbers_stand_side_by_side_with_how_far_they_are_apart(tmp_path: Path) -> None:
    episodes = record_walks(range(60))
    shifted = replace(
        episodes, observation={"features": episodes.observation["features"] + np.array([0, 0, 0, 0, 0, 5], np.float32)}
    )
    seen = [inspected(tmp_path, opened_from(one, SCHEMA)) for one in (episodes, shifted)]
    found = against(tmp_path, *seen)
    assert (found.features[0].name, found.features[0].distance) == ("beacon", 1.0)
    assert found.features[0].there.mean - found.features[0].here.mean == pytest.approx(5, abs=1e-4)
    assert [one.distance for one in found.features[1:]] == [0.0] * 5
    returns = next(one for one in found.columns if one.name == "return")
    assert (returns.distance, returns.here.n) == (0.0, 60)


def test_features_and_actions_of_only_one_are_named(tmp_path: Path) -> None:
    other = SCHEMA.model_copy(update={"features": (*SCHEMA.features[:5], "lamp"), "actions": (*SCHEMA.actions[:4], "left")})
    found = compared(tmp_path, schema=other)
    assert (found.features_only_here, found.features_only_there) == (("lamp",), ("beacon",))
    shares = {one.name: (one.here, one.there) for one in found.actions}
    assert shares["left"][1] is None and shares["west"][0] is None
    assert sum(there for _, there in shares.values() if there) == pytest.approx(1)


def test_recordings_only_count_their_episodes_so_none_is_called_the_same(tmp_path: Path) -> None:
    found = compared(tmp_path, scenario=None)
    assert (found.common, len(found.only_here), len(found.only_there)) == (0, 60, 60)
