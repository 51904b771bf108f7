"""What bc_train writes for eyes: the confusion of its reports, a fair sample of decisions for DVC to count, and the mean loss of the clones."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from benchmarks.clones import RECORD, TRIED, table
from tests.runs.test_clone_gate import clone

from headstart.core.strict_json import parse_json
from headstart.dataset.observation import ObservationSchema
from headstart.learn.bc import ActionScores, Epoch, Judgement
from headstart.runs.cloning import clone_report, decisions_table, epoch_score, losses_table

SCHEMA = ObservationSchema(world="town", features=("x",), actions=("wait", "use", "yield", "press"), reward_terms=("comfort",))
SCORES = ActionScores(np.array([[9900, 90, 10, 0], [1, 2, 0, 0], [3, 0, 1, 0], [0, 0, 0, 0]]))
CONFUSION = {
    "wait": {"wait": 9900, "use": 90, "yield": 10},
    "use": {"wait": 1, "use": 2},
    "yield": {"wait": 3, "yield": 1},
}


def judgement(loss: float = 0.5, accuracy: float = 0.9, scores: ActionScores | None = None, value: float = 0.1) -> Judgement:
    return Judgement(
        steps=100,
        loss=loss,
        accuracy=accuracy,
        constant_accuracy=0.5,
        value_mse=value,
        value_explained_variance=0.9,
        scores=scores,
    )


def epoch(number: int, loss: float, accuracy: float, heldout_loss: float, heldout_accuracy: float) -> Epoch:
    return Epoch(number, loss, accuracy, judgement(heldout_loss, heldout_accuracy), learning_rate=0.1, samples=10, stops=False)


def test_a_report_has_what_happened_and_leaves_out_what_did_not() -> None:
    good = clone()
    report = clone_report(judgement(scores=SCORES, value=float("nan")), judgement(), 0.99, SCHEMA, good.closed_loop, good.expert)

    assert report.confusion == CONFUSION
    assert (report.value_error, report.untrained_value_error, report.train_accuracy) == (None, 0.1, 0.99)


def test_rare_actions_keep_all_their_decisions_and_common_ones_their_shares() -> None:
    header, *lines = decisions_table([clone(confusion=CONFUSION)], SCHEMA).splitlines()

    assert header == "actual,predicted"
    assert Counter(lines) == {
        "wait,wait": 1980, "wait,use": 18, "wait,yield": 2, "use,wait": 1, "use,use": 2, "yield,wait": 3, "yield,yield": 1,
    }  # fmt: skip


def test_the_decisions_of_several_clones_are_counted_together() -> None:
    other = {"wait": {"wait": 9990, "press": 10}, "press": {"use": 2}}
    lines = decisions_table([clone(confusion=CONFUSION), clone(confusion=other)], SCHEMA).splitlines()[1:]

    assert Counter(lines) == {
        "wait,wait": 1989, "wait,use": 9, "wait,yield": 1, "wait,press": 1,  # 2,000 of 20,000
        "use,wait": 1, "use,use": 2, "yield,wait": 3, "yield,yield": 1, "press,use": 2,
    }  # fmt: skip


def test_continuous_actions_leave_a_table_without_rows() -> None:
    assert decisions_table([clone()], SCHEMA) == "actual,predicted\n"


def test_an_epoch_has_the_mean_of_the_clones_that_trained_so_long() -> None:
    short = [epoch(1, 1.0, 0.4, 3.0, 0.6)]
    long = [epoch(1, 2.0, 0.6, 1.0, 0.8), epoch(2, 0.5, 0.7, 0.25, 0.9)]

    assert losses_table([[epoch_score(one) for one in of] for of in (short, long)]) == (
        "epoch\tside\tloss\taccuracy\n"
        "1\ttrain\t1.500000\t0.500000\n"
        "1\theldout\t2.000000\t0.700000\n"
        "2\ttrain\t0.500000\t0.700000\n"
        "2\theldout\t0.250000\t0.900000\n"
    )


@pytest.mark.parametrize("scenario", TRIED)
def test_docs_show_the_kept_measurements_of_the_robots_clones(scenario: str) -> None:
    record = parse_json(RECORD.read_bytes(), str(RECORD))[scenario]
    docs = (Path(__file__).parents[2] / "docs/design.md").read_text()

    assert set(TRIED[scenario]) <= record["clones"].keys()
    assert "\n".join(table(record)) in docs
