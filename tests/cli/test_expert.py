"""`headstart expert`: the page of an expert at 80 columns, and the way from its gate to a person's approval."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.experiments import expert_policy, scored

from headstart.compare.arm_runs import Score
from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import GateFailed
from headstart.core.files import write_record
from headstart.runs import expert_judging
from headstart.runs.expert import approved_expert
from headstart.runs.expert_judging import judge_seeds
from headstart.runs.expert_record import Episodes, ExpertPolicy, Failure, TrainedSeed
from headstart.stages.capture import capture
from headstart.stages.expert import expert

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]
HARM = Failure(condition="sum ghost_steps > 0", of="harm", episodes=17, world=2_000_225)
SHOWN = Episodes(
    return_p5=1.611, return_median=1.697, return_p95=1.782, failures=(HARM,), decisions={"wait": 349_306, "use": 8_688}
)
GOOD = Score(episodes=1000, success=1000, harm=17, return_mean=1.6965, return_sd=0.0509, measures={"lowest_need": 1952.9})
PAGE = """\
queue_conflict: waits for approval
  expert   a script that comes with the world
  world    town, episodes of up to 128 ticks
  cost     no training
  hash     7777777777777777777777777777777777777777777777777777777777777777
  made by  `dvc repro expert@queue_conflict`
gate: PASS
  ok  episodes: 1000 episodes: 1000 >= 1000
  ok  some-success: 1000 of 1000 episodes succeed: 1000 >= 1
  ok  success: 1000 of 1000 episodes succeed; one-sided 95 % lower bound: 0.9973
      >= 0.98
  ok  harm: 17 of 1000 episodes with harm; one-sided 95 % upper bound: 0.02514
      <= 0.1
episodes
  success      1,000 of 1,000, harm 17 of 1,000
  return       mean 1.696, sd 0.0509 over 1,000 episodes; 5th percentile 1.611,
               median 1.697, 95th 1.782
  lowest_need  mean 1,953 over agents and 1,000 episodes
decisions
  wait   97.57%, 349,306 of 357,994
  use     2.43%, 8,688 of 357,994
what goes wrong
  harm by 'sum ghost_steps > 0' in 17 of 1,000 episodes (1.7%), first in world
  2000225:
  `headstart play queue_conflict --world 2000225 --seed 100 --html FILE`
next: `headstart expert approve queue_conflict --by NAME --reason TEXT`, or
change it, and `dvc repro expert@queue_conflict`
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    """A project in which a person is asked, and whose script was judged on 1,000 worlds."""
    (tmp_path / "scenarios").mkdir()
    shutil.copy2(ROOT / "scenarios/queue_conflict.yaml", tmp_path / "scenarios")
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("  worlds: 1000\n", "  worlds: 1000\n  approval: manual\n", 1))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    at_hand(monkeypatch, "7")
    return load_scenario("queue_conflict")


def at_hand(monkeypatch: pytest.MonkeyPatch, digit: str, score: Score = GOOD) -> None:
    """The sources of the script have this hash now, and it scores so."""
    for room in ("runs.expert", "runs.expert_judging"):
        monkeypatch.setattr(f"headstart.{room}.source_of", lambda scenario: digit * 64)
    monkeypatch.setattr(expert_judging, "judged_on", lambda *given: (score, SHOWN))


def judged(scenario: Scenario) -> str:
    return expert(for_scenario(load_params(), scenario), scenario).says


def test_the_page_of_an_expert_tells_all_that_a_person_decides_by(scenario: Scenario, command: Command) -> None:
    assert "expert queue_conflict: passed" in (says := judged(scenario))
    assert says.endswith("it waits for a person: `headstart expert approve queue_conflict --by NAME --reason TEXT`")

    code, out, err = command("expert", "describe", "queue_conflict")

    assert (code, err) == (0, "")
    assert out == PAGE
    assert max(map(len, out.splitlines())) <= 80


def test_capture_waits_for_a_person_and_an_approval_is_for_one_expert(
    scenario: Scenario, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(scenario)
    with pytest.raises(GateFailed, match="`headstart expert approve queue_conflict --by NAME --reason TEXT` approves it"):
        capture(load_params(), scenario)

    code, out, _ = command("expert", "approve", "queue_conflict", "--by", "Ada", "--reason", "it lets others pass")

    assert (code, approved_expert(scenario).state) == (0, "passed")
    assert "queue_conflict: approved: 777777777777 by Ada on " in out and "next: `dvc repro capture@queue_conflict`" in out
    found = json.loads(command("expert", "describe", "queue_conflict", "--json")[1])
    assert (found["state"], found["approvals"][0]["by"], found["at_hand"]) == ("approved", "Ada", True)

    at_hand(monkeypatch, "8")
    assert command("expert", "approve", "queue_conflict", "--by", "Ada", "--reason", "x")[0] == 6  # not the one that was judged
    assert "judges the one at hand, which is another" in " ".join(command("expert", "describe", "queue_conflict")[1].split())
    judged(scenario)
    with pytest.raises(GateFailed, match=r"got that of another, 777777777777 by Ada on .*, which this one supersedes"):
        capture(load_params(), scenario)
    out = command("expert", "describe", "queue_conflict")[1]
    assert "waits for approval" in out.splitlines()[0]
    assert "  superseded  777777777777 by Ada on " in out and "it lets others pass; by 888888888888" in " ".join(out.split())


def test_a_draft_says_what_to_change_and_nobody_can_approve_it(
    scenario: Scenario, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_hand(monkeypatch, "7", GOOD.model_copy(update={"success": 900}))
    assert "draft" in judged(scenario)

    code, _, err = command("expert", "approve", "queue_conflict", "--by", "Ada", "--reason", "please")
    out = " ".join(command("expert", "describe", "queue_conflict")[1].split())

    assert code == 6 and "expected an approved expert, got a draft: success: 900 of 1000" in err
    assert out.startswith("queue_conflict: draft") and "MISS success: 900 of 1000 episodes succeed" in out
    assert "what to change" in out and "next: correct the expert where it goes wrong" in out
    assert "harm by 'sum ghost_steps > 0' in 17 of 1,000 episodes (1.7%), first in world 2000225 with seed 100" in out


def seed(number: int, success: int, late_gain: float | None) -> TrainedSeed:
    return TrainedSeed(
        seed=number,
        env_steps=4096,
        stopped="budget",
        selection=scored(success // 10, 1.0),
        score=GOOD.model_copy(update={"success": success}),
        weights_sha256=f"{number}" * 64,
        episodes=SHOWN,
        late_gain=late_gain,
    )


def test_a_learned_draft_is_told_which_curves_still_rise(scenario: Scenario) -> None:
    params = for_scenario(load_params(), scenario)
    told = judge_seeds(params, scenario, [seed(1, 500, 0.2), seed(2, 400, 0.001), seed(3, 1000, None)])[0].diagnostics
    assert "next: the curves of seeds 1 still rose: train longer (env_steps in the recipe)" in told
    assert any(text.startswith("next: the curves of seeds 2 were flat: change learning rate") for text in told)


def test_two_seeds_are_not_enough_for_a_learned_expert(scenario: Scenario) -> None:
    params = for_scenario(load_params(), scenario)
    found, verdict = judge_seeds(params, scenario, [seed(number, 1000, None) for number in (1, 2)])
    assert (found.state, [reason.code for reason in verdict.reasons]) == ("draft", ["seeds"])
    assert judge_seeds(params, scenario, [seed(number, 1000, None) for number in (1, 2, 3)])[0].state == "approved"


def test_the_page_of_learned_seeds_names_each(scenario: Scenario, command: Command) -> None:
    params = for_scenario(load_params(), scenario)
    learned = scenario.model_copy(update={"expert": scenario.expert.model_copy(update={"policy": "ppo"})})
    found, verdict = judge_seeds(params, learned, [seed(number, 1000, None) for number in (1, 2, 3)])
    write_record(Path("models/queue_conflict/expert/expert.json"), found)
    write_record(Path("reports/queue_conflict/expert/verdict.json"), verdict)

    out = " ".join(command("expert", "describe", "queue_conflict")[1].split())

    assert "a policy that PPO trained from random weights; seed 1 recorded" in out
    assert "12,288 env steps of training on 3 seeds" in out
    assert "seed 3 training 4,096 env steps, to its budget; gate met never" in out
    assert out.count("headstart play") == 1  # of the seed that acts


def test_a_draft_without_diagnostics_is_no_record() -> None:
    with pytest.raises(ValueError, match="expected diagnostics of a draft"):
        ExpertPolicy.model_validate(expert_policy().model_dump() | {"state": "draft"})


def test_a_scenario_behind_expert_is_judged(scenario: Scenario, command: Command) -> None:
    for words in (("queue_conflict",), ("judge", "queue_conflict"), ("--worlds", "1000", "queue_conflict")):
        code, out, _ = command("expert", *words)
        assert code == 0 and out.startswith("queue_conflict: PASS; return 1.696\n  ok   episodes: 1000 episodes: 1000 >= 1000")


def test_an_expert_whose_record_was_edited_is_neither_shown_nor_approved(scenario: Scenario, command: Command) -> None:
    judged(scenario)
    path = Path("models/queue_conflict/expert/expert.json")
    path.write_text(path.read_text().replace('"harm": 17', '"harm": 16'))
    for arguments in (("describe", "queue_conflict"), ("approve", "queue_conflict", "--by", "Ada", "--reason", "x")):
        code, _, err = command("expert", *arguments)
        assert (code, "`dvc repro expert@queue_conflict` judges the expert again" in err) == (4, True), err
