"""What the runs had to do, and what each arm was given for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.config.scenario import Scenario
from headstart.config.schedule import PPOParams
from headstart.runs.tuning import TuningBudget, tuning_budgets
from headstart.view.blocks import Block, Note, Section, Table, Text, section
from headstart.view.comparison import arms_of, target_text

WORDS = {  # of conditions and measures: world → word → meaning
    "town": {
        "showers": "showers taken",
        "eats": "meals eaten",
        "faints": "whether hunger or energy fell so low that it dropped out",
        "presses": "times that it pressed the agent whose turn it was, a conflict",
        "ghost_steps": "times that it was sent to the tail of a queue, since it did not use what it held while others waited",
        "lowest_need": "the lowest value of hunger, hygiene or energy in an episode, in basis points (bp): 10,000 is satisfied",
    },
}
ACTIONS = {  # whose names do not say what they do
    "town": "Of the actions, `yield` lets the next in the queue go first, and `leave` gives up a place in a queue.",
}
REWARDS = {  # in words; numbers stand in the docstring of each world
    "town": "rewards come with satisfied needs and with the first meal, shower and sleep; pressing, displacing others, moving and fainting cost",
    "nav": "rewards come with progress along the route and with the goal; collisions, nearness to people and time cost",
}


def task_section(root: Path, scenario: Scenario, found: Comparison, arms: Mapping[str, ArmRuns]) -> Section:
    """World, conditions, and a row for each arm that was compared."""
    blocks: list[Block] = [Text(f"{described(root / 'scenarios' / f'{scenario.name}.yaml')}{_world(scenario)}")]
    blocks += [
        Text(
            f"An episode is a success where {_all(scenario.success, ' and ')}. It counts as harm where {_all(scenario.harm, ' or ')}. "
            f"(`every`: of each agent; `sum`: over the agents.{_words(scenario)})"
        ),
        Text(f"Return: the sum of an agent's rewards; {REWARDS.get(scenario.world, 'rewards are those of the environment')}."),
        Text(f"Target {found.target.name}: {target_text(found.target)}."),
    ]
    shown = [arms[arm.arm] for arm in arms_of(found)]
    return section("task", "The task, and what each arm was given", *blocks, _arms(root, scenario.name, shown), Note(PPO))


SAME = ", those of the candidate"
PPO = "PPO settings: worlds × ticks of a rollout, epochs over it, discount gamma. Searches: by `headstart tune`, on seeds of their own."


def described(path: Path) -> str:
    """The first paragraph of the comment at the head of a scenario file; empty where there is none."""
    words: list[str] = []
    for line in path.read_text().splitlines():
        if not line.startswith("# "):
            break
        words.append(line[2:].strip())
    return f"{' '.join(words)} " if words else ""


def _world(scenario: Scenario) -> str:
    agents = scenario.setup.get("agents")
    who = f", {agents} agents" if isinstance(agents, int) else ""
    name = f" ({scenario.setup['id']})" if "id" in scenario.setup else ""
    several = isinstance(agents, int) and agents > 1
    unit = f"ticks at most; one tick of {agents} agents is {agents} env steps" if several else "steps at most"
    return f"World `{scenario.world}`{name}{who}; an episode lasts {scenario.horizon:,} {unit}."


def _words(scenario: Scenario) -> str:
    """Of the world, those that the conditions and measures contain."""
    asked = " ".join((*scenario.success, *scenario.harm, *scenario.measures)).split()
    said = [f"`{word}`: {text}" for word, text in WORDS.get(scenario.world, {}).items() if word in asked]
    return f" Of an agent, {'; '.join(said)}. {ACTIONS.get(scenario.world, '')}".rstrip() if said else ""


def _all(conditions: Sequence[str], between: str) -> str:
    return between.join(f"`{one}`" for one in conditions)


def _arms(root: Path, scenario: str, arms: Sequence[ArmRuns]) -> Table:
    """The candidate first."""
    searched = tuning_budgets(scenario, [arm.arm for arm in arms], root)
    columns = "arm | starts from | PPO settings | searches | budget of a seed, env steps | demonstrations, env steps"
    return Table(columns, [_arm(arm, arms[0], searched.get(arm.arm)) for arm in arms])


def _arm(arm: ArmRuns, candidate: ArmRuns, searched: TuningBudget | None) -> Sequence[str]:
    whose = "" if arm is candidate else SAME if arm.recipe.ppo == candidate.recipe.ppo else ", its own"
    cost = fmean(run.demonstration_steps for run in arm.runs)
    return (
        arm.arm,
        "a clone of the expert" if arm.recipe.start == "bc" else "random weights",
        f"{_ppo(arm.recipe.ppo)}{whose}",
        str(searched or ("not tuned" if whose == SAME else "none on record")),
        f"{arm.recipe.budget:,}",
        f"{cost:,.0f}" if cost else "none",
    )


def _ppo(ppo: PPOParams) -> str:
    return f"{ppo.worlds:,} × {ppo.rollout_ticks:,}, {ppo.num_epochs} epochs, gamma {ppo.gamma:g}"
