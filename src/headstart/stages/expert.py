"""Stage `expert`: judge the scenario's expert on worlds of its own; only a PASS may be recorded."""

from headstart.govern.gates import expert_gate
from headstart.govern.verdict import Outcome, Subject, Verdict
from headstart.learn.evaluation import play_episodes
from headstart.params import Params, Scenario
from headstart.records.expert import ExpertPolicy
from headstart.records.files import write_record
from headstart.stages.project import MODELS, REPORTS, main, score_of, worlds_of
from headstart.worlds import source_sha256


def expert(params: Params, scenario: Scenario) -> str:
    """Writes models/<scenario>/expert/expert.json and reports/<scenario>/expert/verdict.json."""
    artefact, verdict = judge_expert(params, scenario, params.expert.worlds)
    write_record(REPORTS / scenario.name / "expert" / "verdict.json", verdict)
    write_record(MODELS / scenario.name / "expert" / "expert.json", artefact)
    result = artefact.score
    return (
        f"expert {scenario.name}: {artefact.state}; success {result.success}/{result.episodes}, harm {result.harm}, "
        f"return {result.return_mean:.3f}" + "".join(f"\n  {line}" for line in artefact.diagnostics)
    )


def judge_expert(params: Params, scenario: Scenario, episodes: int) -> tuple[ExpertPolicy, Verdict]:
    """One episode in each of `episodes` worlds that nothing else uses, held to the scenario's gate."""
    gate = scenario.expert
    played = play_episodes(None, worlds_of(scenario, "expert", episodes), params.expert.seed, "deterministic")
    result = score_of(played)
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
        diagnostics=tuple(f"{r.metric}: {r.text}: {r.value} {r.direction} {r.threshold} does not hold" for r in verdict.reasons),
    )
    return artefact, verdict


if __name__ == "__main__":
    main(expert)
