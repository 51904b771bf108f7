"""What `headstart check` counts for the time of a run."""

from pathlib import Path

from headstart.config.params import changed, for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.runs.plan import _evaluated

ROOT = Path(__file__).parents[2]


def test_evaluations_and_the_exam_are_counted_at_the_length_of_the_horizon() -> None:
    scenario = load_scenario("cartpole", ROOT / "scenarios")  # targets ask for sampled actions alone
    params = for_scenario(load_params(ROOT / "params.yaml"), scenario)
    params = changed(params, {"evaluation": {"worlds": 10, "every": 8192, "exam_worlds": 7}}, "test")
    # 16,384 steps: an evaluation before training, after 8,192 and at the end, and the exam in two modes
    assert _evaluated(params, scenario, params.arms["pretrained"]) == (3 * 10 + 2 * 7) * 500
