"""What a report says of the episodes on which an expert was judged."""

from tests.experiments import expert_policy, scored

from headstart.runs.expert_record import Episodes, Failure, TrainedSeed
from headstart.view.blocks import Figure, Items
from headstart.view.charts_training import returns
from headstart.view.judged_expert import judged_blocks

HARM = Failure(condition="sum presses > 0", of="harm", episodes=4, world=2_000_007)


def shown(low: float, high: float) -> Episodes:
    return Episodes(return_p5=low, return_median=1.5, return_p95=high, failures=(HARM,))


def test_an_expert_without_kept_episodes_has_nothing_to_draw() -> None:
    assert judged_blocks(expert_policy()) == []


def test_a_script_has_its_spread_and_what_goes_wrong() -> None:
    figure, wrong = judged_blocks(expert_policy().model_copy(update={"episodes": shown(1.25, 1.75)}))

    assert isinstance(figure, Figure) and isinstance(wrong, Items) and figure.numbers is not None
    assert (
        figure.finding
        == "Nine in ten returns of the 100 episodes of its own test lie within 1.250 and 1.750; the median is 1.500."
    )
    assert figure.numbers.rows == [("scripted", "100", "1.250", "1.500", "1.750", "1.450", "0.100")]
    command = "`headstart play walk --world 2000007 --seed 1 --html FILE`"
    assert list(wrong.items) == [f"harm by 'sum presses > 0' in 4 of 100 episodes (4.0%); {command} shows the first."]


def test_of_learned_seeds_each_has_a_line_and_only_the_one_that_plays_a_command() -> None:
    seeds = tuple(
        TrainedSeed(
            seed=number,
            env_steps=10,
            stopped="budget",
            selection=scored(98, 1.0),
            score=scored(98, 1.0 + number),
            weights_sha256=f"{number}" * 64,
            episodes=shown(number, number + 2.0),
        )
        for number in (1, 2)
    )
    figure, wrong = judged_blocks(expert_policy().model_copy(update={"kind": "ppo", "seeds": seeds, "recorded": (2,)}))

    assert isinstance(figure, Figure) and isinstance(wrong, Items) and figure.numbers is not None
    assert figure.finding == "Nine in ten returns of each policy's own test lie within 1.000 and 4.000."
    assert [row[0] for row in figure.numbers.rows] == ["seed 1", "seed 2"]
    assert [text[:6] for text in wrong.items] == ["seed 2"]


def test_the_chart_has_a_row_for_each_policy() -> None:
    assert [row["policy"] for row in returns({"a": (0, 1, 2), "b": (1, 2, 3)})["data"]["values"]] == ["a", "b"]
