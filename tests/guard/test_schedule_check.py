"""Bad schedules, each with the words that it is refused or held with; and the arms that are shipped."""

import json
from pathlib import Path
from typing import Any

import pytest

from headstart.config.params import for_scenario, load_arm, load_params
from headstart.config.scenario import load_scenario
from headstart.config.schedule import Arm
from headstart.core.errors import InputError
from headstart.guard.guardrails import metrics_of
from headstart.guard.schedule_check import Problem, check_schedule

ROOT = Path(__file__).parents[2]
PPO = {"name": "tune", "kind": "ppo", "env_steps": 400, "learning_rate": 0.001}
CRITIC = {"name": "warm_up", "kind": "critic", "env_steps": 100, "learning_rate": 0.001}
REPLAY = {"name": "recall", "kind": "ppo", "data": "replay", "epochs": 2, "learning_rate": 0.001}
MIXED = PPO | {"data": "mixed", "replay_share": {"from": 0.2, "to": 0}}
CLONE = {"name": "clone", "kind": "bc", "epochs": 3, "learning_rate": 0.001}


def schedule(*phases: dict[str, Any], **top: Any) -> dict[str, Any]:
    return {"schema": "anneal-schedule/1", "start": "bc", "phases": list(phases or (CRITIC, PPO))} | top


def checked(content: dict[str, Any], world: str = "town", budget: int | None = 1000) -> tuple[Problem, ...]:
    return check_schedule(Arm.model_validate(content), known_metrics=metrics_of(world), evaluation_every=100, budget=budget)


def loose(name: str, **limits: Any) -> dict[str, Any]:
    return {"guardrails": {name: limits}}


REFUSED = {  # by its models, with the path of the key
    "phase key": (
        schedule(PPO | {"expert_shares": 0.5}),
        r"unknown key 'phases\.0\.expert_shares' \(did you mean 'expert_share'\?\)",
    ),
    "top key": (schedule(phase=[]), r"unknown key 'phase' \(did you mean 'phases'\?\)"),
    "guardrail key": (
        schedule(**loose("entropy", breech=1)),
        r"unknown key 'guardrails\.entropy\.breech' \(did you mean 'breach'\?\)",
    ),
    "no schema": ({"start": "bc", "phases": [PPO]}, r"expected schema: anneal-schedule/1 at the top, got start, phases"),
    "other schema": (
        schedule(schema="anneal-schedule/2"),
        r"schema: Input should be 'anneal-schedule/1', got 'anneal-schedule/2'",
    ),
    "no phases": (schedule(phases=[]), r"phases: .*at least 1 item"),
    "no start": ({"schema": "anneal-schedule/1", "phases": [PPO]}, r"key 'start' is missing"),
    "unknown start": (schedule(start="clone"), r"start: Input should be 'random' or 'bc', got 'clone'"),
    "unknown kind": (schedule(PPO | {"kind": "sac"}), r"phases\.0\.kind: Input should be 'bc', 'critic' or 'ppo', got 'sac'"),
    "no length": (
        schedule({"name": "tune", "kind": "ppo", "learning_rate": 0.1}),
        r"'tune' of kind ppo is measured in env_steps",
    ),
    "two lengths": (schedule(PPO | {"epochs": 2}), r"'tune' of kind ppo is measured in env_steps only"),
    "bc in env steps": (
        schedule(CLONE | {"env_steps": 5}, PPO),
        r"'clone' of kind bc is measured in epochs only",
    ),
    "replay in env steps": (schedule(PPO | {"data": "replay"}), r"'tune' with data: replay is measured in epochs only"),
    "mixed in epochs": (schedule(REPLAY | {"data": "mixed"}), r"'recall' of kind ppo is measured in env_steps only"),
    "other data": (schedule(PPO | {"data": "records"}), r"phases\.0\.data: Input should be 'rollout', 'replay' or 'mixed'"),
    "critic on records": (
        schedule(CRITIC | {"data": "mixed", "replay_share": 0.5}),
        r"data: mixed is of a ppo phase, got kind critic",
    ),
    "mixed without a share": (
        schedule(PPO | {"data": "mixed"}),
        r"'tune': data: mixed and a replay_share above 0 need each other",
    ),
    "share without mixed": (schedule(PPO | {"replay_share": 0.5}), r"replay_share above 0 need each other, got data: rollout"),
    "records alone": (
        schedule(MIXED | {"replay_share": 1}),
        r"replay_share is below 1, got 1; data: replay has recorded rows only",
    ),
    "imitation of records": (schedule(MIXED | {"bc_weight": 0.1}), r"bc_weight is 0 with data: mixed"),
    "expert beside records": (schedule(MIXED | {"expert_share": 0.1}), r"expert_share is 0 with data: mixed"),
    "temperature": (schedule(REPLAY | {"temperature": 0}), r"phases\.0\.temperature: .*greater than 0, got 0"),
    "no steps": (schedule(PPO | {"env_steps": 0}), r"phases\.0\.env_steps: .*greater than or equal to 1, got 0"),
    "name twice": (schedule(PPO, PPO), r"tune, tune contains a phase twice"),
    "bad name": (schedule(PPO | {"name": "Tune it"}), r"phases\.0\.name: .*expected a name of 1 to 64 letters"),
    "share above 1": (schedule(PPO | {"expert_share": 1.5}), r"expert_share is at most 1, got 1\.5"),
    "negative weight": (schedule(PPO | {"kl_weight": {"from": 0.1, "to": -0.1}}), r"kl_weight cannot be negative, got -0\.1"),
    "ramp without end": (schedule(PPO | {"kl_weight": {"from": 0.1}}), r"key 'phases\.0\.kl_weight\.to' is missing"),
    "ramp shape": (
        schedule(PPO | {"kl_weight": {"from": 0.1, "to": 0, "shape": "exp"}}),
        r"shape: Input should be 'linear', 'cosine' or 'step'",
    ),
    "ramp over": (schedule(PPO | {"kl_weight": {"from": 0.1, "to": 0, "over": 0}}), r"kl_weight\.over: .*greater than 0, got 0"),
    "negative cycle": (schedule(PPO | {"cycle": -1}), r"phases\.0\.cycle: .*greater than or equal to 0"),
    "retries": (schedule(PPO | {"on_breach": {"max_retries": 6}}), r"on_breach\.max_retries: .*less than or equal to 5, got 6"),
    "retry factor": (schedule(PPO | {"on_breach": {"lr_factor": 2}}), r"on_breach\.lr_factor: .*less than or equal to 1, got 2"),
    "hits": (schedule(**loose("entropy", hits=0)), r"guardrails\.entropy\.hits: .*greater than or equal to 1, got 0"),
    "limit": (schedule(**loose("entropy", flag=float("nan"))), r"guardrails\.entropy\.flag: .*finite number"),
    "blend": (schedule(PPO | {"blend": "tick"}), r"phases\.0\.blend: Input should be 'prefix', 'agent_episode' or 'step'"),
    "no PPO setting": (schedule(ppo={"gamma": 1.5}), r"ppo\.gamma: .*less than or equal to 1, got 1\.5"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_a_schedule_that_is_none_is_refused_in_one_line(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    (tmp_path / "mine.yaml").write_text(json.dumps(content).replace("NaN", ".nan"))  # which is YAML too, without aliases
    with pytest.raises(InputError, match=message) as refused:
        load_arm(tmp_path / "mine.yaml")
    assert str(refused.value).startswith(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(refused.value)


PROBLEMS = {  # by the check: content, level, where, words
    "bc from random": (schedule(CLONE, PPO, start="random"), "error", "phases.clone.kind", "needs demonstrations"),
    "expert from random": (
        schedule(PPO | {"expert_share": {"from": 0.5, "to": 0}}, start="random"),
        "error",
        "phases.tune.expert_share",
        "needs demonstrations",
    ),
    "weight from random": (
        schedule(PPO | {"bc_weight": {"from": 0.5, "to": 0}}, start="random"),
        "error",
        "phases.tune.bc_weight",
        "needs demonstrations",
    ),
    "KL term from random": (
        schedule(PPO | {"kl_weight": {"from": 0.5, "to": 0}}, start="random"),
        "error",
        "phases.tune.kl_weight",
        "needs a clone",
    ),
    "records from random": (
        schedule(REPLAY, PPO, start="random"),
        "error",
        "phases.recall.data",
        "replay needs demonstrations",
    ),
    "ends with replay": (schedule(PPO, REPLAY), "hold", "phases.recall.data", "expected the last phase to learn from rollouts"),
    "ends with records": (
        schedule(MIXED | {"replay_share": 0.2}),
        "hold",
        "phases.tune.replay_share",
        "expected 0 at the end of the schedule, got 0.2",
    ),
    "reward of records": (
        schedule(REPLAY | {"reward": {"sated": 1}}, PPO),
        "warn",
        "phases.recall.reward",
        "has no effect with data: replay",
    ),
    "temperature of nothing": (schedule(PPO | {"temperature": 0.5}), "warn", "phases.tune.temperature", "has no effect"),
    "records jump": (
        schedule(MIXED | {"replay_share": 0.5, "name": "a"}, PPO),
        "warn",
        "phases.tune.replay_share",
        "jumps from 0.5 at the end of a to 0",
    ),
    "only replay": (schedule(REPLAY), "error", "phases", "no phase uses env steps"),
    "cycle goes back": (
        schedule(CRITIC | {"cycle": 1}, PPO | {"cycle": 0}),
        "error",
        "phases.tune.cycle",
        "expected at least 1, got 0",
    ),
    "unknown guardrail": (schedule(**loose("kl")), "error", "phases.warm_up", "unknown guardrail 'kl'"),
    "misspelt guardrail": (schedule(PPO | loose("harm_rice")), "error", "phases.tune", "(did you mean 'harm_rise'?)"),
    "no env steps": (schedule(CLONE), "error", "phases", "no phase uses env steps"),
    "no learning": (schedule(PPO | {"learning_rate": 0}), "error", "phases.tune.learning_rate", "expected more than 0"),
    "empty reason": (
        schedule(accept_loosened=" ", **loose("entropy", breach=1)),
        "error",
        "accept_loosened",
        "expected a reason",
    ),
    "ends with critic": (schedule(PPO, CRITIC), "hold", "phases.warm_up.kind", "expected the last phase to be ppo, got critic"),
    "ends with bc": (schedule(PPO, CLONE), "hold", "phases.clone.kind", "expected the last phase to be ppo, got bc"),
    "ends with an expert": (
        schedule(PPO | {"expert_share": {"from": 0.2, "to": 0.1}}),
        "hold",
        "phases.tune.expert_share",
        "expected 0 at the end of the schedule, got 0.1",
    ),
    "ends with demonstrations": (schedule(PPO | {"bc_weight": 0.1}), "hold", "phases.tune.bc_weight", "expected 0 at the end"),
    "one evaluation": (
        schedule(PPO | {"env_steps": 150, "name": "a"}, PPO),
        "hold",
        "phases.a.env_steps",
        "expected at least 2 evaluations, got 1",
    ),
    "over budget": (
        schedule(PPO | {"env_steps": 1001}),
        "hold",
        "phases",
        "1,001 env steps in all, more than the 1,000 of scratch",
    ),
    "looser limit": (
        schedule(**loose("return_drop", breach=0.5)),
        "hold",
        "phases.warm_up.guardrails.return_drop",
        "looser than the default",
    ),
    "switched off": (schedule(PPO | loose("entropy", enabled=False)), "hold", "phases.tune.guardrails.entropy", "switched off"),
    "KL term stays": (
        schedule(PPO | {"kl_weight": 0.1}),
        "warn",
        "phases.tune.kl_weight",
        "still active at the end, with 0.1",
    ),
    "share jumps": (
        schedule(PPO | {"name": "a"}, PPO | {"expert_share": {"from": 0.8, "to": 0}}),
        "warn",
        "phases.tune.expert_share",
        "jumps from 0 at the end of a to 0.8",
    ),
    "weight jumps": (
        schedule(PPO | {"name": "a", "bc_weight": 0.5}, PPO),
        "warn",
        "phases.tune.bc_weight",
        "jumps from 0.5 at the end of a to 0",
    ),
    "no effect": (
        schedule(CRITIC | {"kl_weight": 0.5}, PPO),
        "warn",
        "phases.warm_up.kl_weight",
        "has no effect in a critic phase",
    ),
    "fresh critic": (schedule(PPO, value_start="fresh"), "warn", "value_start", "a critic phase would fit it"),
    "hidden flag": (
        schedule(PPO | loose("return_drop", breach=0.1)),
        "warn",
        "phases.tune.guardrails.return_drop",
        "the flag 0.15 is beyond the breach 0.1",
    ),
    "needless reason": (schedule(accept_loosened="just in case"), "warn", "accept_loosened", "no guardrail is looser"),
}


def test_phases_that_end_within_a_rollout_are_warned_of() -> None:
    arm = Arm.model_validate(schedule(CRITIC | {"env_steps": 128}, PPO | {"env_steps": 500}))
    found = check_schedule(arm, known_metrics=metrics_of("town"), evaluation_every=100, rollout=64)
    assert [(problem.level, problem.where) for problem in found] == [("warn", "phases.tune.env_steps")]
    assert "500 env steps are not a multiple of the rollout, 64: it takes 12 more" in found[0].text


@pytest.mark.parametrize(("content", "level", "where", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_doubtful_schedule_is_told_its_problem(content: dict[str, Any], level: str, where: str, words: str) -> None:
    found = [problem for problem in checked(content) if problem.where == where]
    assert [problem.level for problem in found] == [level]
    assert words in found[0].text


def test_a_good_schedule_has_no_problems() -> None:
    assert checked(schedule()) == ()
    assert checked(schedule(PPO, start="random")) == ()
    assert checked(schedule(REPLAY, CRITIC, MIXED)) == ()


def test_a_guardrail_of_a_metric_that_the_world_lacks_is_an_error() -> None:
    content = schedule(PPO | loose("queue_events", breach=0.1))
    assert [(p.level, p.text) for p in checked(content, "nav")][:1] == [
        ("error", "this world does not measure queue_conflict_rate")
    ]
    assert [p.level for p in checked(content, "town")] == ["warn"]


def test_a_clone_in_between_lets_shares_begin_anywhere() -> None:
    first, then = PPO | {"name": "a"}, PPO | {"name": "b", "bc_weight": {"from": 0.8, "to": 0}}
    assert [p.where for p in checked(schedule(first, then))] == ["phases.b.bc_weight"]
    assert checked(schedule(first, CLONE, then)) == ()


def test_a_reason_makes_a_looser_guardrail_sound() -> None:
    assert checked(schedule(accept_loosened="returns swing in this world", **loose("return_drop", breach=0.5))) == ()


def test_errors_come_first() -> None:
    content = schedule(PPO | {"kl_weight": 0.1, "bc_weight": 0.1} | loose("nothing"))
    assert [problem.level for problem in checked(content)] == ["error", "hold", "warn"]


@pytest.mark.parametrize(
    "scenario",
    ["queue_conflict", "employment_punctuality", "kitchen_breakfast", "observation_baseline", "rivalry_decay", "nav_mixed"],
)
def test_every_shipped_arm_is_sound(scenario: str) -> None:
    described = load_scenario(scenario, ROOT / "scenarios")
    params = for_scenario(load_params(ROOT / "params.yaml"), described)
    shipped = {"scratch", "matched", "pretrained", "quick", "classic", "kickstart", "jumpstart", "run_on", "replay", "mixed"}
    shipped |= {"actor_only", "no_critic", "no_kl", "no_bc"}
    assert shipped <= set(params.arms)
    for name in sorted(shipped):
        problems = check_schedule(
            params.arms[name],
            known_metrics=metrics_of(described.world),
            evaluation_every=params.evaluation.every,
            budget=max(
                params.arms["scratch"].budget, params.arms[name].budget
            ),  # the default runs a small part of scratch's schedule
        )
        assert {problem.level for problem in problems} <= {"warn"}, (name, problems)
