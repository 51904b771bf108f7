"""`headstart targets`: what it prints, writes and refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.runs.targets import HISTORY, read_history
from headstart.runs.worlds import design_of

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]
FILE = Path("scenarios/walk.yaml")
PLANTED = "targets:  # planted\n  expert_level: {success_rate: 0.5, return_mean: 9.90}\n  solved: {success_rate: 1.0, return_mean: 1.9}\n"


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A project of its own: queue_conflict with eight evaluation worlds and planted targets, as `walk`, and a learned expert's scenario."""
    monkeypatch.chdir(tmp_path)
    Path("scenarios").mkdir()
    Path("params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    Path("scenarios/nav_mixed.yaml").write_bytes((ROOT / "scenarios/nav_mixed.yaml").read_bytes())
    before, after = (ROOT / "scenarios/queue_conflict.yaml").read_text().split("targets:", 1)
    after = after[after.index("min_action_share:") :]
    FILE.write_text(f"{before}{PLANTED}{after}recipe: {{evaluation: {{worlds: 8}}}}\n")


def test_it_prints_the_level_and_the_targets_and_writes_nothing(command: Command) -> None:
    before = FILE.read_bytes()
    code, out, _ = command("targets", "walk")

    assert code == 0
    assert "walk: scripted expert, 8 evaluation worlds, seed 520\n" in out
    assert "  return_mean " in out and "  lowest_need " in out
    assert "\ntargets:\n  expert_level:\n    success_rate: 0." in out
    assert "  # in the file 9.9\n" in out
    assert FILE.read_bytes() == before
    assert not HISTORY.exists()
    assert max(len(line) for line in out.splitlines()) <= 80


def test_a_scenario_that_names_neither_target_is_told_both_and_where_they_go(command: Command) -> None:
    level, solved = PLANTED.splitlines(keepends=True)[1:]
    FILE.write_text(FILE.read_text().replace(level, ""))
    code, _, err = command("targets", "walk", "--write")
    assert code == 3
    assert "got solved; `headstart targets walk` prints both, to be added there" in err
    code, out, _ = command("targets", "walk")
    assert code == 0
    printed = out[out.index("targets:\n") :]
    FILE.write_text(FILE.read_text().replace("targets:  # planted\n" + solved, printed))
    assert list(load_scenario("walk").targets) == ["expert_level", "beyond_expert"]
    assert command("targets", "walk")[1].endswith(printed)


def test_it_writes_the_file_and_the_history_once(command: Command) -> None:
    before = FILE.read_text()
    code, out, _ = command("targets", "walk", "--write")

    assert code == 0
    assert out.endswith("written: scenarios/walk.yaml, scenarios/targets.json\ncommit before the first run\n")
    (entry,) = read_history().entries
    written = load_scenario("walk").targets
    assert written["expert_level"] == entry.targets["expert_level"]
    assert written["solved"].return_mean == 1.9
    assert (entry.evaluation_seed, entry.evaluation_worlds, entry.after_runs) == (520, 8, False)
    changed = [pair for pair in zip(before.splitlines(), FILE.read_text().splitlines(), strict=True) if pair[0] != pair[1]]
    assert [old for old, _ in changed] == [PLANTED.splitlines()[1]]

    again = command("targets", "walk", "--write")[1]
    assert "in the file" not in again
    assert again.endswith("nothing to write: the file and the history have these targets\n")
    assert "\nthese targets were written on " in again and ", before any run of this design\n" in again
    assert len(read_history().entries) == 1


def test_a_target_that_was_edited_by_hand_is_written_again_without_a_new_entry(command: Command) -> None:
    command("targets", "walk", "--write")
    right = FILE.read_text()
    FILE.write_text(PLANTED.join(split_targets(right)))
    assert "written: scenarios/walk.yaml\n" in command("targets", "walk", "--write")[1]
    assert FILE.read_text() == right


def split_targets(text: str) -> tuple[str, str]:
    before, after = text.split("targets:", 1)
    return before, after[after.index("min_action_share:") :]


def run_of_today() -> None:
    """Plant a run of the design that `walk` has now."""
    scenario = load_scenario("walk")
    design = design_of(for_scenario(load_params(), scenario), scenario).model_dump()
    runs = Path("models/walk/anneal/pretrained/runs.json")
    runs.parent.mkdir(parents=True, exist_ok=True)
    runs.write_text(json.dumps({"design": design}))


def test_targets_after_runs_of_the_same_design_say_so(command: Command) -> None:
    run_of_today()
    code, out, _ = command("targets", "walk", "--write")

    assert code == 0
    assert "\nwritten now, they come after runs of this design (models/walk)\n" in out
    assert read_history().entries[0].after_runs
    again = command("targets", "walk")[1]
    assert ", when runs of this design were there\n" in again
    assert "written now" not in again


def test_targets_that_were_written_before_the_runs_are_not_said_to_be_chosen_after_them(command: Command) -> None:
    command("targets", "walk", "--write")
    run_of_today()
    same = command("targets", "walk")[1].splitlines()
    assert same[-1].startswith("these targets were written on ") and same[-1].endswith(", before any run of this design")

    FILE.write_text(FILE.read_text().replace("{worlds: 8}", "{worlds: 8, seed: 521}"))  # another design, not yet run
    assert "written now" not in command("targets", "walk")[1]
    run_of_today()
    last, now = command("targets", "walk")[1].splitlines()[-2:]
    assert last.startswith("the last were written on ") and last.endswith(", before any run of their design")
    assert now == "written now, they come after runs of this design (models/walk)"


def test_other_worlds_may_be_looked_at_and_not_written(command: Command) -> None:
    assert "walk: scripted expert, 16 evaluation worlds" in command("targets", "walk", "--worlds", "16")[1]
    code, _, err = command("targets", "walk", "--worlds", "16", "--write")
    assert code == 2
    assert "expected the worlds of the comparison (evaluation.worlds: 8)" in err
    assert not HISTORY.exists()
    assert command("targets", "walk", "--worlds", "8", "--write")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (
            ["nav_mixed"],
            3,
            "models/nav_mixed/expert: expected an expert, found none; `dvc exp run -S 'scenarios=[nav_mixed]'` makes it",
        ),
        (["wlak"], 2, "no scenario 'wlak' (did you mean 'walk'?)"),
        (["walk", "--worlds", "1"], 3, "evaluation.worlds: expected at least 2, for a standard error over worlds, got 1"),
        (["walk", "--worlds", "0"], 3, "--worlds: evaluation.worlds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line(command: Command, arguments: list[str], code: int, words: str) -> None:
    found, _, err = command("targets", *arguments)
    assert found == code
    assert words in err
    assert err.count("\n") == 1


def test_a_damaged_history_is_refused_before_anything_is_written(command: Command) -> None:
    HISTORY.write_text("{}")
    before = FILE.read_bytes()
    code, _, err = command("targets", "walk", "--write")
    assert code == 3
    assert "scenarios/targets.json: expected schema 'targets/1'" in err
    assert FILE.read_bytes() == before
