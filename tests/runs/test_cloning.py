"""What bc_train writes for eyes: the whole confusion in its report, and a fair sample of decisions for DVC to count."""

from collections import Counter

import numpy as np

from headstart.dataset.observation import ObservationSchema
from headstart.learn.bc import ActionScores
from headstart.runs.cloning import _confusion, _per_action, decisions_table

SCHEMA = ObservationSchema(world="town", features=("x",), actions=("wait", "use", "yield", "press"), reward_terms=("comfort",))
SCORES = ActionScores(np.array([[9900, 90, 10, 0], [1, 2, 0, 0], [3, 0, 1, 0], [0, 0, 0, 0]]))


def test_a_report_has_what_happened_and_leaves_out_what_did_not() -> None:
    assert _confusion(SCORES, SCHEMA) == {
        "wait": {"wait": 9900, "use": 90, "yield": 10},
        "use": {"wait": 1, "use": 2},
        "yield": {"wait": 3, "yield": 1},
    }
    assert list(_per_action(SCORES, SCHEMA)) == ["wait", "use", "yield"]
    assert (_per_action(SCORES, SCHEMA)["yield"].n, _per_action(SCORES, SCHEMA)["yield"].recall) == (4, 0.25)


def test_rare_actions_keep_all_theirdecisions_table_and_common_ones_their_shares() -> None:
    header, *lines = decisions_table(SCORES, SCHEMA).splitlines()

    assert header == "actual,predicted"
    assert Counter(lines) == {
        "wait,wait": 1980, "wait,use": 18, "wait,yield": 2, "use,wait": 1, "use,use": 2, "yield,wait": 3, "yield,yield": 1,
    }  # fmt: skip


def test_continuous_actions_leave_a_table_without_rows() -> None:
    assert decisions_table(None, SCHEMA) == "actual,predicted\n"
