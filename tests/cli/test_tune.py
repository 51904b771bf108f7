"""`headstart tune`: the search as a command, its record, and what it refuses."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.one_process import run_here
from typer.main import get_command

pytest.importorskip("optuna", reason="needs the extra `tune`")

from headstart.cli.main import app
from headstart.cli.tune import clones_folder, make_clones, recipe_text
from headstart.config import stage
from headstart.config.params import Params, changed, for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.config.stage import Done
from headstart.core.files import read_record
from headstart.core.yaml import read_yaml
from headstart.runs import tuning_search
from headstart.runs.tuning import TuningRecord, for_tuning
from headstart.runs.tuning_space import arm_with, settings_of

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]
ARM = {
    "start": "random",
    "ppo": {"worlds": 8, "rollout_ticks": 16, "num_epochs": 1, "mini_batch_size": 64},
    "phases": [{"name": "learn", "kind": "ppo", "env_steps": 256, "learning_rate": 0.003, "entropy_coef": 0.0}],
}
RECIPE = {
    "processes": 1,
    "network": {"hidden": [8]},
    "evaluation": {"worlds": 2, "every": 128},
    "tuning": {"seeds": [1000], "space": {"ppo.worlds": [8], "ppo.rollout_ticks": [16], "ppo.num_epochs": [1, 2]}},
    "candidate": "scratch",
    "arms": {"scratch": ARM, "other": ARM},
}
SCENARIO = Path("scenarios/tiny.yaml")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose scenario `tiny` is CartPole with two evaluations; its arm `other` is scratch under a name that is no baseline."""
    cartpole = read_yaml(ROOT / "scenarios/cartpole.yaml")
    (tmp_path / "scenarios").mkdir()
    (tmp_path / SCENARIO).write_text(json.dumps(cartpole | {"recipe": RECIPE}))  # JSON is YAML
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_two_trials_leave_a_record_that_a_further_trial_continues(
    tiny: Path, command: Command, require_schema: Callable[[bytes | str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = Path("reports/tuning/tiny/other.json")
    code, out, err = command("tune", "tiny", "other", "--trials", "2")
    assert code == 0, err
    assert max(map(len, (out + err).splitlines())) <= 80, out + err
    assert "trial   0  complete" in err and "trial   1  complete" in err
    assert "warning: scratch has not been tuned, other has: 2 trials" in err
    require_schema(path.read_bytes(), "tuning/1")
    record = read_record(path, TuningRecord)
    assert record.command == "headstart tune tiny other --trials 2"
    assert (record.arm, record.target, record.seeds, record.capture_seed) == ("other", "solved", (1000,), None)
    assert record.steps == sum(trial.steps for trial in record.trials) == 2 * 256

    pasted = YAML(typ="safe").load(out)
    params = for_scenario(load_params(), load_scenario("tiny"))
    assert record.best is not None
    best = arm_with(params.arms["other"], record.best)
    assert changed(params, pasted, "pasted").arms["other"] == best

    monkeypatch.setattr(tuning_search, "run_all", run_here)
    code, out, err = command("tune", "tiny", "other", "--trials", "1")
    assert code == 0, err
    assert "2 trials are there; this run adds 1" in err
    longer = read_record(path, TuningRecord)
    assert longer.trials[:2] == record.trials
    assert [trial.number for trial in longer.trials] == [0, 1, 2]


def test_another_search_leaves_the_record_that_is_there_and_has_one_of_its_own(
    tiny: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning_search, "run_all", run_here)
    path = Path("reports/tuning/tiny/other.json")
    assert command("tune", "tiny", "other", "--trials", "2")[0] == 0
    kept = path.read_bytes()
    SCENARIO.write_text(SCENARIO.read_text().replace("0.003", "0.002"))

    for trials in (1, 2):
        code, out, err = command("tune", "tiny", "other", "--trials", "1")
        (own,) = path.parent.glob("other-*.json")
        assert (code, path.read_bytes()) == (0, kept), err
        assert f"# record: {own}\n# reports show the search of {path};\n" in out
        assert max(map(len, out.splitlines())) <= 80
        assert len(read_record(own, TuningRecord).trials) == trials

    own.rename(path)
    assert command("tune", "tiny", "other", "--trials", "1")[0] == 0
    assert (len(read_record(path, TuningRecord).trials), list(path.parent.iterdir())) == (3, [path])


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tiny", "scrach"), 2, "no arm 'scrach' (did you mean 'scratch'?)"),
        (("tiny", "scratch", "--target", "solve"), 2, "no target 'solve' (did you mean 'solved'?); scenarios/tiny.yaml has"),
        (("tin", "scratch"), 2, "no scenario 'tin' (did you mean 'tiny'?)"),
        (
            ("tiny", "pretrained"),
            3,
            "models/tiny/expert: expected an expert, found none; `dvc exp run -S 'scenarios=[tiny]'` makes it",
        ),
    ],
)
def test_what_is_not_there_is_refused_before_a_trial(
    tiny: Path, command: Command, arguments: tuple[str, ...], code: int, says: str
) -> None:
    got, _, err = command("tune", *arguments, "--trials", "1")
    assert (got, says in err) == (code, True), err
    assert not (tiny / ".headstart").exists()


def test_a_seed_of_the_report_is_refused(tiny: Path, command: Command) -> None:
    SCENARIO.write_text(SCENARIO.read_text().replace("[1000]", str([load_params().seeds[0]])))
    code, _, err = command("tune", "tiny", "scratch", "--trials", "1")
    assert (code, "tuning.seeds: expected other seeds than seeds" in err) == (3, True), err


def test_without_optuna_the_extra_is_named(tiny: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "headstart.runs.tuning_search", raising=False)
    code, _, err = command("tune", "tiny", "scratch", "--trials", "1")
    assert (code, "pip install 'headstart[tune]'" in err) == (9, True), err


def test_clones_of_the_tuning_seeds_are_made_once_in_a_project_of_their_own(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, int, tuple[int, ...]]] = []

    def run(function: Callable[..., object], name: str) -> Done:
        params = for_scenario(load_params(), load_scenario(name))
        assert json.loads(Path("models/tiny/expert/expert.json").read_text()) == {"of": "the project"}
        ran.append((function.__name__, params.capture.seed, params.seeds))
        return Done("")

    monkeypatch.setattr(stage, "run", run)
    (tiny / "models/tiny/expert").mkdir(parents=True)
    (tiny / "models/tiny/expert/expert.json").write_text('{"of": "the project"}')
    scenario = load_scenario("tiny")
    params = for_tuning(for_scenario(load_params(), scenario))

    def cloned(params: Params) -> Path:
        home = clones_folder(params, scenario)
        make_clones(home, params, scenario)
        return home

    home = cloned(params)
    assert home.is_relative_to(".headstart/tuning")
    assert ran == [(name, 1200, (1000,)) for name in ("capture", "curate", "validate", "bc_train")]
    assert load_scenario("tiny", home / "scenarios").sha256 == scenario.sha256
    assert cloned(params) == home
    assert len(ran) == 4
    changed_seed = changed(params, {"capture": {"seed": 1201}}, "test")
    assert cloned(changed_seed) != home
    assert len(ran) == 8


@pytest.mark.slow
def test_an_arm_that_starts_from_a_clone_is_tuned_on_recordings_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    from headstart.stages.expert import expert

    for name in ("params.yaml", "dvc.yaml", "scenarios/cartpole.yaml", "experts/pole.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    stage.run(expert, "cartpole")
    code, _, err = command("tune", "cartpole", "pretrained", "--trials", "1")
    assert code == 0, err
    record = read_record(Path("reports/tuning/cartpole/pretrained.json"), TuningRecord)
    assert [trial.state for trial in record.trials] == ["complete"]
    assert record.capture_seed == load_params().tuning.capture_seed
    assert sorted(path.name for path in Path("models/cartpole").iterdir()) == ["expert"]
    assert not Path("data").exists()


def test_a_ramp_that_stays_is_printed_as_a_number() -> None:
    arm = load_params(ROOT / "params.yaml").arms["pretrained"]
    text = recipe_text("pretrained", arm, settings_of(arm))
    assert "kl_weight: 0.05\n" in text
    assert "bc_weight: {from: 0.05, to: 0.0, shape: step, over: 0.9}" in text
    assert changed(load_params(ROOT / "params.yaml"), YAML(typ="safe").load(text), "test").arms["pretrained"] == arm


def test_the_commands_of_the_page_are_ones_that_the_program_takes() -> None:
    lines = [line for line in (ROOT / "docs/anneal.md").read_text().splitlines() if line.startswith("    headstart tune")]
    assert len(lines) == 2
    for line in lines:
        get_command(app).commands["tune"].make_context("headstart", line.split()[2:])
