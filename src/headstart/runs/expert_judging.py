"""Is an expert worth recording: the scripted one, the user's own, or every seed of a learned one, held to the gate of its scenario."""

from collections.abc import Sequence
from functools import partial

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.scenario import ExpertGate, Scenario
from headstart.config.stage_command import stage_command
from headstart.core.errors import IntegrityError
from headstart.core.files import read_record
from headstart.core.statistics import wilson_lower, wilson_upper
from headstart.core.verdict import Check, Outcome, Subject, Value, Verdict, at_least, at_most, hold_or_fail, judge, missed
from headstart.runs.expert import expert_folder, judged_on, script, source_of
from headstart.runs.expert_record import ExpertPolicy, TrainedSeed, best_seed, pooled, weights_sha256
from headstart.runs.own_expert import own_act
from headstart.runs.recorded import judge_recorded


def judge_at_hand(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """Judge the script, the user's own expert, or the policies that the stage `expert` trained, on so many worlds; writes nothing."""
    if scenario.demonstrations is not None:
        return judge_recorded(params, scenario)
    if scenario.expert.policy != "ppo":
        return judge_one(params, scenario, episodes)
    folder = expert_folder(scenario)
    expert = read_record(folder / "expert.json", ExpertPolicy, made_by=stage_command("expert", scenario.name))
    if episodes == params.expert.worlds:
        return judge_seeds(params, scenario, expert.seeds)
    from headstart.runs.expert_training import judge_seed

    again = [judge_seed(params, scenario, folder / f"seed-{seed.seed}", episodes) for seed in expert.seeds]
    return judge_seeds(
        params, scenario, [seed.model_copy(update={"score": score}) for seed, score in zip(expert.seeds, again, strict=True)]
    )


def judge_one(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """One episode of the script, or of the user's own expert, in each of `episodes` worlds that nothing else uses.

    IntegrityError where the user's files change meanwhile.
    """
    source = source_of(scenario)
    assert source is not None
    score = judged_on(params, scenario, episodes, partial(own_act, scenario) if scenario.expert.is_own else script)
    if source_of(scenario) != source:
        raise IntegrityError(f"expert {scenario.name}: its files changed while it was judged; run it again")
    return _judged(params, scenario, source, score, expert_checks(score, scenario.expert, params.expert.worlds))


def judge_seeds(params: Params, scenario: Scenario, trained: Sequence[TrainedSeed]) -> tuple[ExpertPolicy, Verdict]:
    """Every seed is held to the gate; the best of them is the expert, or each that of its block."""
    least = params.expert.min_seeds
    recorded = tuple(trained) if params.expert.per_block else (best_seed(trained),)
    seeds = ", ".join(str(seed.seed) for seed in trained)
    checks = [at_least("seeds", len(trained), least, f"seeds {seeds} were trained", len(trained))]
    for seed in trained:
        of_seed = expert_checks(seed.score, scenario.expert, params.expert.worlds)
        checks += [check.model_copy(update={"name": f"seed-{seed.seed}-{check.name}"}) for check in of_seed]
    expert, verdict = _judged(
        params, scenario, weights_sha256(recorded), pooled([seed.score for seed in recorded]), checks, tuple(trained)
    )
    return expert.model_copy(update={"recorded": tuple(seed.seed for seed in recorded)}), verdict


def expert_checks(score: Score, gate: ExpertGate, min_episodes: int) -> list[Check]:
    """The one-sided 95 % Wilson bounds of success and harm keep the scenario's thresholds, over enough episodes.

    A rate that misses its threshold is a FAIL; one that meets it while its bound does not is a HOLD: more episodes are needed.
    """
    n, k, harm = score.episodes, score.success, score.harm
    succeed, harmed = f"{k} of {n} episodes succeed", f"{harm} of {n} episodes with harm"
    uncertain_success, uncertain_harm = hold_or_fail(k / n >= gate.success_rate), hold_or_fail(harm / n <= gate.harm_rate)
    bound = "one-sided 95 % {} bound"
    return [
        at_least("episodes", n, min_episodes, f"{n} episodes", n, Outcome.HOLD),
        at_least("some-success", k, 1, succeed, n),
        at_least("success", wilson_lower(k, n), gate.success_rate, f"{succeed}; {bound.format('lower')}", n, uncertain_success),
        at_most("harm", wilson_upper(harm, n), gate.harm_rate, f"{harmed}; {bound.format('upper')}", n, uncertain_harm),
    ]


def _judged(
    params: Params,
    scenario: Scenario,
    policy_sha256: str,
    score: Score,
    checks: list[Check],
    trained: tuple[TrainedSeed, ...] = (),
) -> tuple[ExpertPolicy, Verdict]:
    """The artefact and the verdict; `trained` is empty except for a learned expert."""
    gate = scenario.expert
    thresholds: dict[str, Value] = {
        "success_rate": gate.success_rate,
        "harm_rate": gate.harm_rate,
        "worlds": params.expert.worlds,
    }
    if trained:
        thresholds["min_seeds"] = params.expert.min_seeds
    subject = Subject(type="expert", id=f"{scenario.name}/{gate.policy}", sha256=policy_sha256)
    verdict = judge(subject, checks, thresholds)
    expert = ExpertPolicy(
        kind=gate.policy,
        world=scenario.world,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=policy_sha256,
        seed=params.expert.seed,
        score=score,
        seeds=trained,
        own_steps=gate.training_steps,
        state="approved" if verdict.outcome is Outcome.PASS else "draft",
        diagnostics=tuple(map(missed, verdict.reasons)) + (_advice(verdict, trained) if trained else ()),
    )
    return expert, verdict


def _advice(verdict: Verdict, trained: tuple[TrainedSeed, ...]) -> tuple[str, ...]:
    """What to do about a learned expert that is not approved."""
    if verdict.outcome is Outcome.PASS:
        return ()
    if verdict.outcome is Outcome.HOLD:
        return ("next: only certainty is lacking, so judge on more worlds (expert.worlds) or train more seeds",)
    ends = ", ".join(f"seed {s.seed}: {s.selection.success_rate:.3f} after {s.env_steps:,} steps" for s in trained)
    return (
        f"success when training ended: {ends}",
        "next: train longer (env_steps in the recipe of expert.train or arms.scratch) while the learning curves in "
        "reports/<scenario>/expert still rise",
        "next: where they are flat, change learning rate, entropy or rollout length, or the reward that the world pays",
        "next: a gate that the world cannot meet belongs lower in the scenario file, before the next run",
    )
