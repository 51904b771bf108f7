"""What is compared is checked: every run against params.yaml, the clones against the runs that start from them, the arms against each other.

Every check is a generator of findings, each with what was expected and what was found; the first one is raised.

Records are held to the settings, to the checkpoints beside them (`runs.kept`) and to each other. What nothing repeats is believed: that a score
is what its checkpoint would show, the scores of the expert and of an untrained policy, and the recorded steps of a block, which must be at least
those that its clone was trained on.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from headstart.compare.arm_runs import ArmRuns, CloneRun, CloneRuns, EvaluationDesign, Score, SeedRun, ShiftFacts
from headstart.compare.twins import twins
from headstart.config.params import Params
from headstart.config.scenario import Scenario, modes_of, variant_of
from headstart.config.schedule import Arm
from headstart.config.stage_command import stage_command
from headstart.core.arrays import MODES
from headstart.core.errors import GateFailed, InputError, shown


def require_runs(arm: ArmRuns, name: str, params: Params, scenario: Scenario, design: EvaluationDesign, agents: int) -> None:
    """Raise InputError, naming the first difference, unless these are the runs of the arm `name` that `params` ask for.

    That is: its arm, scenario, recipe, seeds and design; rollouts of all `agents` of a world; in every run all env steps, each evaluation that
    the design asks for and no other, all episodes, modes and measures, and the variants of the scenario.
    """
    for wrong in _wrong_arm(arm, name, params, scenario, design, agents):
        made = stage_command("evaluate", scenario.name)
        cure = f"`{made}` trains anew what differs, with --force also after a change of an installed package"
        raise InputError(f"runs of {name} on {scenario.name}: {wrong}; {cure}")


def require_comparable(candidate: ArmRuns, baselines: Sequence[ArmRuns]) -> None:
    """Raise InputError, naming the first difference, unless all arms ran one design on the same seeds, and no run counts twice.

    An arm is comparable with itself.
    """
    for baseline in baselines:
        for wrong in _differing_arms(candidate, baseline) if candidate != baseline else ():
            raise InputError(f"{candidate.arm} and {baseline.arm} cannot be compared: {wrong}")
    arms = {arm.arm: arm for arm in (candidate, *baselines)}.values()
    for wrong in twins((f"{arm.arm} seed {run.seed}", run) for arm in arms for run in arm.runs):
        raise InputError(
            f"{candidate.scenario}: {wrong}; `{stage_command('evaluate', candidate.scenario)} --force` trains it anew"
        )


def require_clones(clones: CloneRuns, candidate: ArmRuns) -> None:
    """Raise InputError unless these are the clones that the candidate's runs start from, in one design; GateFailed if one missed its gate."""
    where = f"clones of {clones.scenario}"
    for wrong in _wrong_clones(clones, candidate):
        raise InputError(f"{where}: {wrong}; `{stage_command('evaluate', candidate.scenario)}` makes anew what differs")
    if refused := [f"seed {clone.seed} is {clone.outcome}" for clone in clones.clones if clone.outcome != "PASS"]:
        raise GateFailed(f"{where}: expected clones that pass their gate, got {', '.join(refused)}; nothing may start from them")


def evaluations_due(recipe: Arm, rollout_steps: int, every: int, end: int) -> tuple[int, ...]:
    """Env steps up to `end` after which a run is evaluated: 0, the first whole rollout at or beyond each multiple of `every`, the last one.

    A phase that is not a multiple of the rollout lasts to the end of its last one. If several do, the budget may be used up before the last
    rollout; from there on every rollout is followed by an evaluation.
    """
    due, last = [0], min(end, full_steps(recipe, rollout_steps))
    while due[-1] < last:
        at = min((due[-1] // every + 1) * every, max(recipe.budget, due[-1] + 1))
        due.append(-(-at // rollout_steps) * rollout_steps)
    return tuple(steps for steps in due if steps <= last)


def full_steps(recipe: Arm, rollout_steps: int) -> int:
    """Env steps of a run that was not ended by a guardrail: every phase takes whole rollouts."""
    return sum(-(-phase.steps // rollout_steps) * rollout_steps for phase in recipe.phases)


# --- an arm -----------------------------------------------------------------------------------------------------------


def _wrong_arm(
    arm: ArmRuns, name: str, params: Params, scenario: Scenario, design: EvaluationDesign, agents: int
) -> Iterator[str]:
    recipe = params.arms[name]
    yield from _differences({"arm": name, "scenario": scenario.name}, {"arm": arm.arm, "scenario": arm.scenario})
    yield from _differences({"recipe": recipe.model_dump()}, {"recipe": arm.recipe.model_dump()})
    yield from _differences({"design": design.model_dump()}, {"design": arm.design.model_dump()})
    if design.exam_seed == design.evaluation_seed:
        # worlds of the exam have ids of their own, but the random draws with which a sampled policy acts follow from the seed alone
        yield (
            f"design: expected an exam_seed other than the evaluation seed, got {design.exam_seed} for both: at the exam a policy would draw "
            "the same random numbers as when it was evaluated; change evaluation.exam_seed in params.yaml"
        )
    yield from _wrong_seeds(params.seeds, [run.seed for run in arm.runs])
    rollout = recipe.ppo.worlds * recipe.ppo.rollout_ticks * agents
    if arm.rollout_steps != rollout:
        yield f"expected rollout_steps {rollout} (ppo.worlds · ppo.rollout_ticks · {agents} agents), got {arm.rollout_steps}"
    variants = {name: variant_of(scenario, name).sha256 for name in scenario.variants}
    for run in arm.runs:
        for wrong in _wrong_run(run, arm, scenario, variants):
            yield f"seed {run.seed}: {wrong}"


def _wrong_seeds(expected: Iterable[int], got: Sequence[int]) -> Iterator[str]:
    if twice := sorted(seed for seed, count in Counter(got).items() if count > 1):
        yield f"expected one run a seed, got several of seeds {twice}"
    if set(expected) != set(got):
        missing, more = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
        yield f"expected a run of each seed of params.yaml; {missing} are missing, {more} are not among them"


def _wrong_run(run: SeedRun, arm: ArmRuns, scenario: Scenario, variants: Mapping[str, str]) -> Iterator[str]:
    if run.budget != arm.recipe.budget:
        yield f"expected the budget of its recipe, {arm.recipe.budget} env steps, got {run.budget}"
    full = full_steps(arm.recipe, arm.rollout_steps)
    if run.status == "completed" and run.env_steps != full:
        yield f"status completed: expected all {full} env steps of its phases, got {run.env_steps}"
    if run.env_steps > full or run.env_steps % arm.rollout_steps:
        yield f"expected whole rollouts of {arm.rollout_steps} env steps, {full} at most, got {run.env_steps}"
    yield from _wrong_start(run, arm.recipe.start)
    yield from _wrong_curve(run, arm, scenario)
    yield from _wrong_scores(_scores_of(run, arm.design), tuple(scenario.measures))
    yield from _missing(MODES, run.exam, "exam")
    yield from _wrong_shift(run.shift, arm.design, variants)


def _wrong_start(run: SeedRun, start: str) -> Iterator[str]:
    cost, clone = run.demonstration_steps, run.clone_sha256
    if start == "bc" and clone is None:
        yield "start bc: expected the hash of the clone that it started from, got none"
    if start == "bc" and not cost:
        yield "start bc: expected the env steps that its demonstrations cost, got 0"
    if start == "random" and (clone is not None or cost):
        yield f"start random: expected no clone and no demonstrations, got clone {clone} and {cost} demonstration steps"


def _wrong_curve(run: SeedRun, arm: ArmRuns, scenario: Scenario) -> Iterator[str]:
    at = [point.env_steps for point in run.curve]
    if not at or at[0] != 0:
        yield f"expected a curve that starts with the evaluation at 0 env steps, got {at[0] if at else 'no evaluation'}"
        return
    for before, after in pairwise(at):
        if after <= before:
            yield f"expected a curve whose env steps rise, got {after} after {before}"
            return
    due = evaluations_due(arm.recipe, arm.rollout_steps, arm.design.every, run.env_steps)
    optional = {run.env_steps} if run.status != "completed" else set()  # a guardrail of updates ends a run before its evaluation
    asked = f"(every {arm.design.every} env steps, after whole rollouts of {arm.rollout_steps})"
    if absent := sorted(set(due) - set(at) - optional):
        yield f"expected an evaluation at {absent[0]} env steps {asked}, got none; {len(absent)} of {len(due)} are missing"
    if more := sorted(set(at) - set(due)):
        yield f"expected {len(due)} evaluations {asked}, got one more at {more[0]} env steps"
    for point in run.curve:
        yield from _missing(modes_of(scenario), point.scores, f"evaluation at {point.env_steps} env steps")


def _wrong_shift(shift: ShiftFacts | None, design: EvaluationDesign, variants: Mapping[str, str]) -> Iterator[str]:
    """`variants` are the scenario's: name → SHA-256."""
    if (shift is not None) != (design.variant_worlds > 0):
        yield f"variant_worlds is {design.variant_worlds}: expected shift {'measured' if design.variant_worlds else 'not measured'}"
    elif shift is not None:
        counts = shift.worlds, shift.starts.worlds, shift.visited.worlds, *([sum(shift.mix.values())] if shift.mix else ())
        if set(counts) != {design.variant_worlds}:
            yield f"shift: expected {design.variant_worlds} worlds in each part, got {', '.join(map(str, counts))}"
        if set(shift.variants) != set(variants):
            yield f"shift: expected the variants {', '.join(sorted(variants)) or 'none'}, got {', '.join(sorted(shift.variants)) or 'none'}"
        else:
            played = {name: one.scenario_sha256 for name, one in shift.variants.items()}
            yield from _differences(dict(variants), played, "shift.variants")


# --- scores -----------------------------------------------------------------------------------------------------------


def _scores_of(run: SeedRun, design: EvaluationDesign) -> Iterator[tuple[str, Score, int]]:
    """Where each score of a run stands, the score, and the episodes that the design asks for."""
    for point in run.curve:
        for mode, score in point.scores.items():
            yield f"evaluation at {point.env_steps} env steps, {mode}", score, design.evaluation_worlds
    yield from _final_scores(run.exam, run.shift, design)


def _final_scores(
    exam: Mapping[Any, Score], shift: ShiftFacts | None, design: EvaluationDesign
) -> Iterator[tuple[str, Score, int]]:
    yield from ((f"exam, {mode}", score, design.exam_worlds) for mode, score in exam.items())
    if shift is not None:
        yield from ((f"variant {name}", found.score, design.variant_worlds) for name, found in shift.variants.items())


def _wrong_scores(scores: Iterable[tuple[str, Score, int]], measures: Iterable[str]) -> Iterator[str]:
    for where, score, episodes in scores:
        if score.episodes != episodes:
            yield f"{where}: expected {episodes} episodes, got {score.episodes}"
        if set(score.measures) != set(measures):
            got = ", ".join(sorted(score.measures)) or "none"
            yield f"{where}: expected the measures {', '.join(sorted(measures)) or 'none'}, got {shown(got)}"


def _missing(modes: Iterable[str], found: Iterable[str], where: str) -> Iterator[str]:
    known = list(found)
    if absent := [mode for mode in modes if mode not in known]:
        yield f"{where}: expected scores in the modes {', '.join(modes)}, {', '.join(absent)} is missing"


# --- two arms, and clones ---------------------------------------------------------------------------------------------


def _differing_arms(candidate: ArmRuns, scratch: ArmRuns) -> Iterator[str]:
    ours, theirs = ({"scenario": arm.scenario, "design": arm.design.model_dump()} for arm in (candidate, scratch))
    yield from _differences(theirs, ours)
    if candidate.arm == scratch.arm:
        yield f"two different records claim to be the arm {candidate.arm}"
    for arm in (candidate, scratch):
        if not arm.runs:
            yield f"expected a run for each seed of {arm.arm}, got none"
    yield from _wrong_seeds([run.seed for run in scratch.runs], [run.seed for run in candidate.runs])
    agents = [arm.rollout_steps / (arm.recipe.ppo.worlds * arm.recipe.ppo.rollout_ticks) for arm in (candidate, scratch)]
    if agents[0] != agents[1]:
        yield f"expected worlds with as many agents, got {agents[0]:g} and {agents[1]:g} (by rollout_steps)"
    budgets = [max((run.budget for run in arm.runs), default=0) for arm in (candidate, scratch)]
    if budgets[0] > budgets[1]:  # a smaller budget is a disadvantage of the candidate only
        yield f"expected at most the budget of {scratch.arm}, {budgets[1]} env steps, got {budgets[0]}"


def _wrong_clones(clones: CloneRuns, candidate: ArmRuns) -> Iterator[str]:
    design, runs = candidate.design, {run.seed: run for run in candidate.runs}
    ours = {"scenario": candidate.scenario, "design": design.model_dump()}
    yield from _differences(ours, {"scenario": clones.scenario, "design": clones.design.model_dump()})
    of = {clone.weights_sha256: clone for clone in clones.clones}
    experts = (clone.expert or clone.recorded for clone in clones.clones)
    expert = min((score.return_mean for score in experts if score is not None), default=float("inf"))
    if clones.untrained.return_mean >= expert:
        yield (
            f"expected an expert with a higher return than an untrained policy, got {expert:.4g} and "
            f"{clones.untrained.return_mean:.4g}: margins are shares of the distance between them"
        )
    if len(of) < len(clones.clones) or len({clone.seed for clone in clones.clones}) < len(clones.clones):
        yield "expected clones with seeds and weights of their own, got the same seed or weights twice"
    for clone in clones.clones:
        own = runs.get(clone.seed)
        if own is None or own.clone_sha256 != clone.weights_sha256:
            got = "no such run" if own is None else f"clone {str(own.clone_sha256)[:12]}"
            yield f"seed {clone.seed}: expected a run of {candidate.arm} from clone {clone.weights_sha256[:12]}, got {got}"
    for run in candidate.runs:
        started = of.get(run.clone_sha256 or "")
        if started is None:
            yield f"seed {run.seed}: expected the clone {str(run.clone_sha256)[:12]} that {candidate.arm} started from, got none"
        elif run.demonstration_steps != (cost := started.demonstration_steps):
            yield f"seed {run.seed}: expected the {cost:,} env steps that its demonstrations cost, got {run.demonstration_steps:,}"
    measures = {name for run in candidate.runs[:1] for score in run.exam.values() for name in score.measures}
    references = [("untrained", clones.untrained, design.exam_worlds)]
    references += [(f"expert of seed {clone.seed}", clone.expert, design.exam_worlds) for clone in clones.clones if clone.expert]
    yield from _wrong_scores(references, measures)
    played = [run.shift.variants for run in candidate.runs if run.shift]
    variants = {name: one.scenario_sha256 for name, one in (played[0] if played else {}).items()}
    for clone in clones.clones:
        for wrong in _wrong_clone(clone, design, measures, variants):
            yield f"seed {clone.seed}: {wrong}"


def _wrong_clone(
    clone: CloneRun, design: EvaluationDesign, measures: Iterable[str], variants: Mapping[str, str]
) -> Iterator[str]:
    rows = clone.data.visited.rows if clone.data else 1
    if clone.demonstration_steps < rows:
        yield f"expected to be charged at least the {rows} steps that it was trained on, got {clone.demonstration_steps}"
    yield from _missing(MODES, clone.exam, "exam")
    yield from _wrong_scores(_final_scores(clone.exam, clone.shift, design), measures)
    yield from _wrong_shift(clone.shift, design, variants)


def _differences(expected: Any, got: Any, where: str = "") -> Iterator[str]:
    """Where two values made of mappings and sequences differ, key by key."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping) and expected.keys() == got.keys():
        for key in expected:
            yield from _differences(expected[key], got[key], f"{where}.{key}".lstrip("."))
    elif isinstance(expected, list | tuple) and isinstance(got, list | tuple) and len(expected) == len(got):
        for index, pair in enumerate(zip(expected, got, strict=True)):
            yield from _differences(*pair, f"{where}.{index}")
    elif expected != got:
        yield f"{where}: expected {shown(expected)}, got {shown(got)}"
