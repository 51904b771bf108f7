"""Is an expert worth recording: the scripted one, the user's own, or every seed of a learned one, held to the gate of its scenario."""

from collections.abc import Sequence
from functools import partial

from headstart.compare.arm_runs import Score
from headstart.config.params import Params
from headstart.config.scenario import ExpertGate, Scenario
from headstart.core.errors import IntegrityError
from headstart.core.statistics import wilson_lower, wilson_upper
from headstart.core.verdict import Check, Outcome, Subject, Value, Verdict, at_least, at_most, hold_or_fail, judge, missed
from headstart.runs.expert import expert_folder, judged_expert, script, source_of
from headstart.runs.expert_episodes import judged_on
from headstart.runs.expert_record import Episodes, ExpertPolicy, TrainedSeed, best_seed, pooled, weights_sha256
from headstart.runs.own_expert import own_act
from headstart.runs.recorded import judge_recorded

RISES = 0.01  # of the rate of success, in the last quarter of a training: a curve that gains less is called flat
CURES = (
    "next: correct the expert where it goes wrong, or the setup of the scenario where nobody could do better",
    "next: a gate that the world cannot meet belongs lower in the scenario file, before the next run",
)


def judge_at_hand(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """Judge the script, the user's own expert, or the policies that the stage `expert` trained, on so many worlds; writes nothing."""
    if scenario.demonstrations is not None:
        return judge_recorded(params, scenario)
    if scenario.expert.policy != "ppo":
        return judge_one(params, scenario, episodes)
    folder = expert_folder(scenario)
    expert = judged_expert(scenario)
    if episodes == params.expert.worlds:
        return judge_seeds(params, scenario, expert.seeds)
    from headstart.runs.expert_training import judge_seed

    again = [judge_seed(params, scenario, folder / f"seed-{seed.seed}", episodes) for seed in expert.seeds]
    return judge_seeds(
        params,
        scenario,
        [
            seed.model_copy(update={"score": score, "episodes": shown})
            for seed, (score, shown) in zip(expert.seeds, again, strict=True)
        ],
    )


def judge_one(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """One episode of the script, or of the user's own expert, in each of `episodes` worlds that nothing else uses.

    IntegrityError where the user's files change meanwhile.
    """
    source = source_of(scenario)
    assert source is not None
    score, shown = judged_on(params, scenario, episodes, partial(own_act, scenario) if scenario.expert.is_own else script)
    if source_of(scenario) != source:
        raise IntegrityError(f"expert {scenario.name}: its files changed while it was judged; run it again")
    expert, verdict = _judged(params, scenario, source, score, expert_checks(score, scenario.expert, params.expert.worlds))
    more = (_worst("", score, shown, params.expert.seed), *CURES) if expert.diagnostics else ()
    return expert.model_copy(update={"episodes": shown, "diagnostics": (*expert.diagnostics, *filter(None, more))}), verdict


def judge_seeds(params: Params, scenario: Scenario, trained: Sequence[TrainedSeed]) -> tuple[ExpertPolicy, Verdict]:
    """Every seed is held to the gate; the best of them is the expert, or each that of its block."""
    least = params.expert.min_seeds
    recorded = tuple(trained) if params.expert.per_block else (best_seed(trained),)
    seeds = ", ".join(str(seed.seed) for seed in trained)
    ended = [seed for seed in trained if seed.stopped == "guardrail"]
    text = f"seeds {seeds} were trained"
    text += "".join(f"; a guardrail ended seed {seed.seed}: {'; '.join(seed.reasons)}" for seed in ended)
    checks = [at_least("seeds", len(trained) - len(ended), least, text, len(trained))]
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
        diagnostics=tuple(map(missed, verdict.reasons))
        + (_advice(verdict, trained, params.expert.seed) if verdict.reasons and trained else ()),
    )
    return expert, verdict


def _worst(whose: str, score: Score, shown: Episodes | None, seed: int) -> str:
    """The condition that decided against most episodes, and one to look at; empty where nothing did."""
    if shown is None or not shown.failures:
        return ""
    worst = max(shown.failures, key=lambda failure: failure.episodes)
    return f"{whose}{worst.says(score.episodes)}, first in world {worst.world} with seed {seed}"


def _advice(verdict: Verdict, trained: tuple[TrainedSeed, ...], seed: int) -> tuple[str, ...]:
    """What to do about a learned expert that is not approved."""
    if verdict.outcome is Outcome.HOLD:
        return ("next: only certainty is lacking, so judge on more worlds (expert.worlds) or train more seeds",)
    ends = ", ".join(f"seed {s.seed}: {s.selection.success_rate:.3f} after {s.env_steps:,} steps{_late(s)}" for s in trained)
    rising = [str(s.seed) for s in trained if s.late_gain is not None and s.late_gain > RISES]
    flat = [str(s.seed) for s in trained if s.late_gain is not None and s.late_gain <= RISES]
    untold = not rising and not flat
    cures = (
        (rising, f"the curves of seeds {', '.join(rising)} still rose: train longer (env_steps in the recipe)"),
        (
            flat,
            f"the curves of seeds {', '.join(flat)} were flat: change learning rate, entropy or rollout length, or the reward",
        ),
        (untold, "too few evaluations to tell whether the curves still rise: train longer, or evaluate more often"),
        (True, "curves and logs in reports/<scenario>/expert tell how each seed went"),
    )
    return (
        f"success when training ended: {ends}",
        *filter(None, (_worst(f"seed {s.seed}: ", s.score, s.episodes, seed) for s in trained)),
        *(f"next: {cure}" for applies, cure in cures if applies),
        CURES[-1],
    )


def _late(seed: TrainedSeed) -> str:
    return "" if seed.late_gain is None else f" ({seed.late_gain:+.3f} in the last quarter)"
