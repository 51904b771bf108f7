"""Stage `expert`: judge the scenario's scripted or own expert, or train one policy per seed and judge each; recording requires a PASS.

Recorded demonstrations have no expert: their artefact says what was found in them.
"""

from headstart.config.params import Params
from headstart.config.project import MODELS, REPORTS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.contents import sealed_directory
from headstart.core.files import write_record
from headstart.runs.approval import approve_command
from headstart.runs.check import require_sound
from headstart.runs.expert_judging import judge_one, judge_seeds
from headstart.runs.expert_record import ExpertPolicy
from headstart.runs.recorded import judge_recorded
from headstart.runs.states import end_work


def expert(params: Params, scenario: Scenario) -> Done:
    """Writes models/<scenario>/expert (expert.json, and the weights of a learned one) and reports/<scenario>/expert."""
    require_sound(params, scenario)
    reports = REPORTS / scenario.name / "expert"
    with sealed_directory(MODELS / scenario.name / "expert") as folder:
        if scenario.expert.policy == "ppo":
            from headstart.runs.expert_training import train_seeds  # torch, which a scripted expert does not need

            trained, work = train_seeds(params, scenario, folder, reports)
            artefact, verdict = judge_seeds(params, scenario, trained)
        elif scenario.expert.policy == "demonstrations":
            artefact, verdict = judge_recorded(params, scenario)
        else:
            artefact, verdict = judge_one(params, scenario, params.expert.worlds)
        if params.expert.approval == "manual" and artefact.state == "approved":
            artefact = artefact.model_copy(update={"state": "passed"})
        write_record(folder / "expert.json", artefact)
    write_record(reports / "verdict.json", verdict)
    if scenario.expert.policy == "ppo":
        end_work(work)
    result, over = artefact.score, f" over {len(artefact.seeds)} seeds" if artefact.seeds else ""
    shown = "success, harm and return are not all recorded"
    if result is not None:
        shown = f"success {result.success}/{result.episodes}, harm {result.harm}, return {result.return_mean:.3f}"
    waits = (f"it waits for a person: `{approve_command(scenario.name)}`",) if artefact.state == "passed" else ()
    says = f"expert {scenario.name}: {artefact.state}{over}; {shown}" + "".join(
        f"\n  {line}" for line in (*_seed_lines(artefact), *artefact.diagnostics, *waits)
    )
    metrics: dict[str, float | None] = {
        name: getattr(result, name, None) for name in ("success_rate", "harm_rate", "return_mean")
    }
    seeds = tuple(seed.seed for seed in artefact.seeds) or (params.expert.seed,)
    look = f"{reports / 'verdict.json'}, every check with its limit; `headstart expert describe {scenario.name}` shows what goes wrong"
    return Done(says, metrics, seeds, look, verdict)


def _seed_lines(artefact: ExpertPolicy) -> list[str]:
    """The results of each seed of a learned expert, and when its training first met the gate."""
    return [
        f"seed {s.seed}: success {s.score.success}, harm {s.score.harm} of {s.score.episodes}"
        + "".join(f", {name} {value:.0f}" for name, value in s.score.measures.items())
        + (f"; gate met after {s.steps_to_gate:,} of {s.env_steps:,} steps" if s.steps_to_gate else "; gate not met in training")
        for s in artefact.seeds
    ]


if __name__ == "__main__":
    main(expert)
