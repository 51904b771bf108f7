"""Two observation schemas are the same or differ in a first place that has a name."""

import pytest

from headstart.core.errors import SchemaMismatch
from headstart.dataset.observation import ObservationSchema


def test_the_hash_is_the_golden_one_and_follows_every_field(schema: ObservationSchema) -> None:
    changes: list[dict[str, object]] = [
        {"world": "nav"},
        {"features": schema.features[::-1]},
        {"map_channels": ("wall",)},
        {"map_size": 5},
        {"actions": ()},
        {"action_low": (0.0,)},
        {"action_high": (1.0,)},
        {"reward_terms": ()},
    ]

    assert schema.sha256() == "8f4becf15b6f3a8adac212fc6b09c7b0ea50903d3e32b0dc4bec51e07f17c56d"
    assert len({schema.sha256(), *(schema.model_copy(update=change).sha256() for change in changes)}) == 9


def test_a_schema_is_the_same_as_its_copy(schema: ObservationSchema) -> None:
    schema.require_same(schema.model_copy(), "here")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"world": "nav"}, r"^here: world is 'nav', expected 'town'$"),
        ({"actions": ("wait", "south", "north", "use")}, r"^here: actions\[1\] is 'south', expected 'north'$"),
        ({"reward_terms": ("need",)}, r"^here: reward_terms is \('need',\), .*\(1 entries, expected 2\)$"),
        ({"map_size": 5, "reward_terms": ()}, r"^here: map_size is 5, expected 3$"),
    ],
)
def test_the_first_difference_is_named(schema: ObservationSchema, change: dict[str, object], problem: str) -> None:
    with pytest.raises(SchemaMismatch, match=problem):
        schema.require_same(schema.model_copy(update=change), "here")
