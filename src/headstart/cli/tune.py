"""`headstart tune`: search an arm's settings for its steps to target, on seeds, worlds and recordings that no report uses."""

import contextlib
import shlex
import shutil
import sys
import textwrap
import time
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.cli.names import Arm as ArmName
from headstart.cli.names import Scenario as ScenarioName
from headstart.cli.output import Json, columns, output
from headstart.core.errors import InputError, UsageError, nearest
from headstart.core.extras import require_extra

if TYPE_CHECKING:
    from headstart.config.params import Params
    from headstart.config.scenario import Scenario
    from headstart.config.schedule import Arm
    from headstart.runs.tuning import TuningRecord
    from headstart.runs.tuning_search import Search
    from headstart.runs.tuning_space import Settings, TuningTrial

CLONING = ("capture", "curate", "validate", "bc_train")  # stages from the expert to the clones


def tune(
    scenario: ScenarioName,
    arm: ArmName,
    trials: Annotated[int, typer.Option(min=1, help="How many to add to those that there are.")],
    steps: Annotated[int | None, typer.Option(min=1, help="Begin no trial after so many env steps of this run.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Begin no trial after so many seconds.")] = None,
    target: Annotated[str | None, typer.Option(help="Of the scenario; that of `comparison`.")] = None,
    as_json: Json = False,
) -> None:
    """Search an arm's settings for its steps to target: reports/tuning/SCENARIO/ARM.json. The first trial is the arm as it stands."""
    for package, why in (("optuna", "to choose settings"), ("torch", "to train networks")):
        require_extra(package, "tune", "tune", why)
    from headstart.core.files import write_record
    from headstart.runs.tuning import path_of_search, record_path, unfair
    from headstart.runs.tuning_search import Limits, run_search, trials_of
    from headstart.runs.tuning_space import best_of, settings_of

    search, home = planned(scenario, arm, target)
    done = trials_of(search) if search.folder.is_dir() else ()
    path = path_of_search(scenario, arm, done, search.folder.name[-8:])
    seeds, root = len(search.params.seeds), Path.cwd()
    if search.recipe.start == "bc":
        make_clones(home, search.params, search.scenario)
    command = shlex.join(["headstart", *sys.argv[1:]])

    def finished(number: int) -> None:
        found = trials_of(search)
        write_record(root / path, record_of(search, found, command))
        trial = next(one for one in found if one.number == number)
        typer.echo(line(trial, settings_of(search.recipe), seeds, sum(one.steps for one in found)), err=True)

    if done:
        typer.echo(f"{len(done)} trials are there; this run adds {trials}", err=True)
    limit = None if steps is None else sum(trial.steps for trial in done) + steps
    with contextlib.chdir(home):
        run_search(search, Limits(trials, limit, None if timeout is None else time.time() + timeout), finished)
    found = trials_of(search)
    best = best_of(found)
    with output(as_json) as out:
        out.found(scenario=scenario, arm=arm, target=search.target.name, trials=found, best=best, record=path)
        if best is None:
            out.say("no trial is complete: give it more trials, steps or time")
            return
        out.say(f"{scenario} {arm}: trial {best.number} of {len(found)} is the best for {search.target.name}:", "# ", "# ")
        out.verbatim(f"# {said(best, seeds)}\n# the arm as it stands: {said(found[0], seeds)}")
        out.verbatim(recipe_text(arm, search.recipe, best.settings))
        out.verbatim(f"# for params.yaml, or for `recipe` in scenarios/{scenario}.yaml\n# record: {path}")
        if path != (shown := record_path(scenario, arm)):
            out.verbatim(f"# reports show the search of {shown};\n# `git mv` that and move this one there to show it instead")
    if found[0].value == 0:
        easy = f"{arm} meets {search.target.name} before training: tune it for a harder target (--target)"
        typer.echo(textwrap.fill(easy, columns()), err=True)
    if arm not in search.params.baselines and (reason := unfair(scenario, arm)):
        typer.echo(textwrap.fill(f"warning: {reason}", columns()), err=True)
        typer.echo(f"`headstart tune {scenario} scratch` can give it as much", err=True)


def planned(name: str, arm: str, target: str | None) -> "tuple[Search, Path]":
    """The search, and the project folder in which its runs find their clones; nothing is played."""
    from headstart.config.params import for_scenario, headline_target, load_params
    from headstart.config.project import WORK_DIR
    from headstart.config.scenario import load_scenario
    from headstart.core.closure import code_sha256
    from headstart.core.strict_json import sha256_json
    from headstart.guard.schedule_check import require_sound
    from headstart.runs.tuning import for_tuning, require_apart
    from headstart.runs.tuning_search import MODULES, Search
    from headstart.runs.tuning_space import space_of
    from headstart.runs.worlds import worlds_of

    settings, scenario = load_params(), load_scenario(name)
    report = for_scenario(settings, scenario)
    if arm not in report.arms:
        raise UsageError(f"no arm {arm!r}{nearest(arm, report.arms)}; params.yaml has {', '.join(report.arms)}")
    wanted = target or headline_target(report, scenario)
    if wanted not in scenario.targets:
        known = scenario.targets
        raise UsageError(f"no target {wanted!r}{nearest(wanted, known)}; scenarios/{name}.yaml has {', '.join(known)}")
    require_apart(settings, scenario)
    params = for_tuning(report)
    require_sound(f"arms.{arm}", params.arms[arm], scenario.world, params.evaluation.every)
    recipe, code = params.arms[arm], code_sha256(MODULES)
    space = space_of(params, arm)
    agents = worlds_of(scenario, "training", 1, params.capture.observation).num_agents
    most = max(params.evaluation.every // agents, recipe.ppo.worlds * recipe.ppo.rollout_ticks)
    home = clones_folder(params, scenario) if recipe.start == "bc" else Path()
    decides = params.model_dump(mode="json", include={"seeds", "network", "capture", "evaluation", "bc_train", "device"})
    spans = {name: values if isinstance(values, tuple) else [values.low, values.high] for name, values in space.items()}
    key = sha256_json([decides, recipe.model_dump(mode="json"), scenario.model_dump(mode="json"), wanted, spans, str(home), code])
    folder = (WORK_DIR / "tuning" / f"{name}-{arm}-{key[:16]}").resolve()
    return Search(params, scenario, arm, scenario.targets[wanted], space, most, folder, code), home


def clones_folder(params: "Params", scenario: "Scenario") -> Path:
    """The project folder with recordings and clones of the tuning seeds: named by all that decides them. InputError without an expert."""
    from headstart.config.project import WORK_DIR
    from headstart.core.closure import code_sha256
    from headstart.core.files import sha256_tree
    from headstart.core.strict_json import sha256_json
    from headstart.runs.expert import require_judged

    if scenario.demonstrations is not None:
        raise InputError(
            f"{scenario.name}: expected an expert, which records demonstrations for the tuning seeds, got recorded demonstrations: clones of "
            "them would be those of the report; tune an arm with start: random, or settings of a scenario with an expert"
        )
    expert = require_judged(scenario)
    sections = {"seeds", "capture", "curate", "validate", "bc_train", "network", "evaluation", "device"}
    decides = params.model_dump(mode="json", by_alias=True, include=sections)
    code = code_sha256([f"headstart.stages.{stage}" for stage in CLONING])
    key = sha256_json([decides, _described(scenario), sha256_tree(expert), code])
    return WORK_DIR / "tuning" / f"{scenario.name}-clones-{key[:16]}"


def _described(scenario: "Scenario") -> dict[str, Any]:
    return scenario.model_dump(mode="json", exclude={"name", "recipe"})


def make_clones(home: Path, params: "Params", scenario: "Scenario") -> None:
    """Make the recordings and clones of the tuning seeds in `clones_folder` where they are missing, given the project's expert."""
    import importlib

    from headstart.config.history import HISTORY
    from headstart.config.stage import PIPELINE, printed, run
    from headstart.core.files import fresh_directory, write_bytes
    from headstart.runs.expert import expert_folder
    from headstart.runs.own_source import own_files

    if (home / "ready").exists():
        return
    expert = expert_folder(scenario)
    write_bytes(
        home / "params.yaml", _yaml(params.model_dump(mode="json", by_alias=True, exclude={"evidence", "notify"})).encode()
    )
    write_bytes(home / "scenarios" / f"{scenario.name}.yaml", _yaml(_described(scenario)).encode())
    write_bytes(home / PIPELINE, PIPELINE.read_bytes())
    with fresh_directory(home / expert) as copy:
        shutil.copytree(expert, copy, dirs_exist_ok=True)
    for own in own_files(scenario):  # a module is found in the project, whose root is on sys.path
        write_bytes(home / own, own.read_bytes())
    if HISTORY.exists():  # which has a person's approval of the expert
        write_bytes(home / HISTORY, HISTORY.read_bytes())
    with contextlib.chdir(home):
        for stage in CLONING:
            done = run(getattr(importlib.import_module(f"headstart.stages.{stage}"), stage), scenario.name)
            typer.echo(printed(done), err=True)
        write_bytes(Path("ready"), b"")


def record_of(search: "Search", trials: "tuple[TuningTrial, ...]", command: str) -> "TuningRecord":
    """What git keeps of the search so far."""
    from headstart.core.git import git_state
    from headstart.core.provenance import utc_text
    from headstart.runs.experiment import this_machine
    from headstart.runs.tuning import TuningRecord
    from headstart.runs.tuning_space import best_of

    commit, dirty = git_state(search.folder)
    best = best_of(trials)
    tuning = search.params.tuning
    return TuningRecord(
        scenario=search.scenario.name,
        arm=search.arm,
        target=search.target.name,
        space=search.space,
        seeds=tuning.seeds,
        evaluation_seed=tuning.evaluation_seed,
        capture_seed=tuning.capture_seed if search.recipe.start == "bc" else None,
        trials=trials,
        steps=sum(trial.steps for trial in trials),
        best=best.settings if best else None,
        commit=commit,
        dirty=dirty,
        code_sha256=search.code_sha256,
        machine=this_machine(),
        finished_at=utc_text(datetime.now(UTC)),
        command=command,
    )


# --- what is printed ----------------------------------------------------------------------------------------------------


def line(trial: "TuningTrial", own: "Settings", seeds: int, steps: int) -> str:
    """A trial on one line, and below it the settings that differ from the arm's `own`. `steps`: of all trials so far."""
    head = f"trial {trial.number:3}  {trial.state:8}  {said(trial, seeds)}; {steps / 1e6:,.2f} M steps so far"
    changed = ", ".join(f"{name} {value:g}" for name, value in trial.settings.items() if value != own[name])
    return "\n".join([head, *textwrap.wrap(changed, columns(), initial_indent=" " * 11, subsequent_indent=" " * 11)])


def said(trial: "TuningTrial", seeds: int) -> str:
    """`value 312,400, 3 of 4 reached`; the value of a pruned trial is the limit at which it was given up."""
    value = "no value" if trial.value is None else f"value {trial.value:,.0f}"
    return f"{value}, {trial.reached} of {seeds} reached"


def recipe_text(name: str, arm: "Arm", settings: "Settings") -> str:
    """The arm with these settings as YAML that overrides params.yaml."""
    from headstart.runs.tuning_space import PPO, arm_with

    found = arm_with(arm, settings).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    ppo = {key: settings[f"ppo.{key}"] for key in PPO}
    return _yaml({"arms": {name: {"ppo": ppo, "phases": [_short(phase) for phase in found["phases"]]}}})


def _short(value: Any) -> Any:
    """A ramp that stays where it begins as a number."""
    if not isinstance(value, dict):
        return value
    if value.keys() == {"from", "to"} and value["from"] == value["to"]:
        return value["from"]
    return {key: _short(one) for key, one in value.items()}


def _yaml(content: dict[str, Any]) -> str:
    """YAML in blocks, with the innermost mappings and lists on a line."""
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.width, yaml.sort_base_mapping_type_on_output = None, 80, False  # type: ignore[assignment]
    text = StringIO()
    yaml.dump(content, text)
    return "".join(f"{one.rstrip()}\n" for one in text.getvalue().splitlines())
