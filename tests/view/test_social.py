"""The report says what passed between agents at the start and at the end of training, per 100 episodes."""

from typing import Any, cast

from tests.logged import social

from headstart.telemetry.kinds import AnyLine, Evaluation, Proportion, Social
from headstart.telemetry.social import EVENTS
from headstart.view.blocks import markdown
from headstart.view.social import social_sections
from headstart.view.telemetry import LONGEST


def evaluation(episodes: int, mode: str = "sampled", **counts: float) -> AnyLine:
    """Only what is read of it is there."""
    rate = Proportion(k=0, n=episodes, low=0.0, high=1.0)
    return cast(Any, Evaluation.model_construct(policy_mode=mode, success=rate, social=Social.model_validate(social(**counts))))


def test_counts_of_all_runs_are_per_hundred_episodes_and_means_over_what_they_are_of() -> None:
    logs = {
        40: [
            evaluation(50, chats=10, chat_quality_mean=0.5),
            evaluation(50, "deterministic", chats=900),
            evaluation(50, chats=5),
        ],
        41: [evaluation(150, chats=30, chat_quality_mean=0.6, yields=6), evaluation(150, chats=5, shared_meals=3)],
    }
    (found,) = social_sections(logs, "pretrained")
    _, table, never = found.parts[0].blocks
    rows = {row[0]: row[1:] for row in cast(Any, table).rows}
    assert rows[EVENTS["chats"]] == ("20", "5")  # 40 and 10 in 200 episodes
    assert rows[EVENTS["chat_quality_mean"]][0] == "0.575"
    assert (rows[EVENTS["yields"]], rows[EVENTS["shared_meals"]]) == (("3", "0"), ("0", "1.5"))
    assert EVENTS["outages"] not in rows
    assert "outages of water" in cast(Any, never).text
    assert "the agents of pretrained" in markdown([found], "pictures")
    assert "200 and 200 worlds with all their agents" in markdown([found], "pictures")


def test_logs_of_other_worlds_and_of_earlier_versions_have_no_section() -> None:
    assert social_sections({}, "pretrained") == []
    assert social_sections({0: [cast(Any, Evaluation.model_construct(social=None))]}, "pretrained") == []


def test_every_event_has_words_that_fit_a_column_of_the_terminal() -> None:
    assert set(EVENTS) == set(Social.model_fields)
    assert max(map(len, EVENTS.values())) <= LONGEST
    assert len(set(EVENTS.values())) == len(EVENTS)
