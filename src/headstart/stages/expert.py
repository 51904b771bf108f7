"""Stage `expert`: judge the scenario's script, or train one policy a seed and judge each; only a PASS may be recorded."""

from headstart.config.params import Params
from headstart.config.project import MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import main
from headstart.core.files import fresh_directory, read_record, write_record
from headstart.core.verdict import Outcome, Subject, Verdict, at_least, judge
from headstart.runs.expert import expert_folder, judged_on, script
from headstart.runs.expert_record import ExpertPolicy, TrainedSeed, best_seed
from headstart.runs.gates import expert_gate
from headstart.worlds.make import source_sha256


def expert(params: Params, scenario: Scenario) -> str:
    """Writes models/<scenario>/expert (expert.json, and the weights of a learned one) and reports/<scenario>/expert."""
    reports = REPORTS / scenario.name / "expert"
    with fresh_directory(MODELS / scenario.name / "expert") as folder:
        if scenario.expert.policy == "ppo":
            from headstart.runs.expert_training import train_seeds  # torch, which a scripted expert does not need

            trained = train_seeds(params, scenario, folder, reports)
            artefact, verdict = judge_seeds(params, scenario, trained)
        else:
            artefact, verdict = judge_script(params, scenario, params.expert.worlds)
        write_record(folder / "expert.json", artefact)
    write_record(reports / "verdict.json", verdict)
    result, seeds = artefact.score, f" over {len(artefact.seeds)} seeds" if artefact.seeds else ""
    return (
        f"expert {scenario.name}: {artefact.state}{seeds}; success {result.success}/{result.episodes}, harm {result.harm}, "
        f"return {result.return_mean:.3f}" + "".join(f"\n  {line}" for line in (*_seed_lines(artefact), *artefact.diagnostics))
    )


def _seed_lines(artefact: ExpertPolicy) -> list[str]:
    """How each seed of a learned expert did, and when its training first met the gate."""
    return [
        f"seed {s.seed}: success {s.score.success}, harm {s.score.harm} of {s.score.episodes}"
        + "".join(f", {name} {value:.0f}" for name, value in s.score.measures.items())
        + (f"; gate met after {s.steps_to_gate:,} of {s.env_steps:,} steps" if s.steps_to_gate else "; gate not met in training")
        for s in artefact.seeds
    ]


def judge_at_hand(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """What `expert` says of the script, or of the policies that it trained, on so many worlds; writes nothing."""
    if scenario.expert.policy == "scripted":
        return judge_script(params, scenario, episodes)
    folder = expert_folder(scenario)
    artefact = read_record(folder / "expert.json", ExpertPolicy, made_by=f"dvc repro expert@{scenario.name}")
    if episodes == params.expert.worlds:
        return judge_seeds(params, scenario, list(artefact.seeds))
    from headstart.runs.expert_training import judge_seed

    again = [judge_seed(params, scenario, folder / f"seed-{seed.seed}", episodes) for seed in artefact.seeds]
    scored = [seed.model_copy(update={"score": score}) for seed, score in zip(artefact.seeds, again, strict=True)]
    return judge_seeds(params, scenario, scored)


def judge_script(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """One episode in each of `episodes` worlds that nothing else uses, held to the scenario's gate."""
    gate = scenario.expert
    result = judged_on(params, scenario, episodes, script)
    policy_sha256 = source_sha256(scenario.world)
    subject = Subject(type="expert", id=f"{scenario.name}/scripted", sha256=policy_sha256)
    verdict = expert_gate(result, gate.success_rate, gate.harm_rate, params.expert.worlds, subject)
    artefact = ExpertPolicy(
        kind="scripted",
        world=scenario.world,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=policy_sha256,
        seed=params.expert.seed,
        score=result,
        state="approved" if verdict.outcome is Outcome.PASS else "draft",
        diagnostics=_misses(verdict),
    )
    return artefact, verdict


def judge_seeds(params: Params, scenario: Scenario, trained: list[TrainedSeed]) -> tuple[ExpertPolicy, Verdict]:
    """Every seed is held to the gate of the scenario; the best of them teaches."""
    gate = scenario.expert
    best = best_seed(trained)
    subject = Subject(type="expert", id=f"{scenario.name}/ppo", sha256=best.weights_sha256)
    n = len(trained)
    checks = [at_least("seeds", n, params.expert.min_seeds, f"seeds {', '.join(str(s.seed) for s in trained)} were trained", n)]
    for seed in trained:
        of_seed = expert_gate(seed.score, gate.success_rate, gate.harm_rate, params.expert.worlds, subject).checks
        checks += [check.model_copy(update={"name": f"seed-{seed.seed}-{check.name}"}) for check in of_seed]
    thresholds = {"success_min": gate.success_rate, "harm_max": gate.harm_rate, "seeds_min": params.expert.min_seeds}
    verdict = judge(subject, checks, thresholds)
    artefact = ExpertPolicy(
        kind="ppo",
        world=scenario.world,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=best.weights_sha256,
        seed=params.expert.seed,
        score=best.score,
        seeds=tuple(trained),
        state="approved" if verdict.outcome is Outcome.PASS else "draft",
        diagnostics=_misses(verdict) + _advice(verdict, trained),
    )
    return artefact, verdict


def _misses(verdict: Verdict) -> tuple[str, ...]:
    return tuple(f"{r.name}: {r.text}: {r.measured} {r.direction} {r.threshold} does not hold" for r in verdict.reasons)


def _advice(verdict: Verdict, trained: list[TrainedSeed]) -> tuple[str, ...]:
    """What to do about a learned expert that is not approved."""
    if verdict.outcome is Outcome.PASS:
        return ()
    if verdict.outcome is Outcome.HOLD:
        return ("next: only certainty is lacking, so judge on more worlds (expert.worlds) or train more seeds",)
    shares = ", ".join(
        f"seed {s.seed}: {s.selection.success / s.selection.episodes:.3f} after {s.env_steps:,} steps" for s in trained
    )
    return (
        f"success when training ended: {shares}",
        "next: train longer (env_steps in the recipe of expert.train or arms.scratch) while the learning curves in "
        "reports/<scenario>/expert still rise",
        "next: where they are flat, change learning rate, entropy or rollout length, or the reward that the world pays",
        "next: a gate that the world cannot meet belongs lower in the scenario file, before the next run",
    )


if __name__ == "__main__":
    main(expert)
