"""`headstart capture` with options: a draft outside of the pipeline, which can be looked at, and kept as a dataset of the catalogue."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.learned import approve_network, learned_project

from headstart.config.params import for_scenario, load_params
from headstart.config.scenario import load_scenario
from headstart.core.errors import Busy, UsageError
from headstart.core.files import read_record
from headstart.dataset.catalogue import active_entries, read_entries, read_marks
from headstart.dataset.drafts import DRAFT, Draft
from headstart.dataset.episodes_file import read_episodes
from headstart.runs import drafting
from headstart.runs.drafting import Asked, planned, record_draft
from headstart.runs.exporting import dataset_at_hand
from headstart.view.play_dataset import find_episode, open_dataset

Command = Callable[..., tuple[int, str, str]]
EASY = {"min_episodes": 4, "min_success_rate": 0.0, "max_majority_share": 1.0}
TOWN, NAV = "queue_conflict", "nav_mixed"


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    learned_project(TOWN, 9, {"worlds": 3, "shard_worlds": 4, "slip": 0.3}, EASY)


@pytest.mark.parametrize("scenario", [TOWN, NAV])
def test_a_dry_run_says_what_would_be_recorded_and_writes_nothing(
    scenario: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    learned_project(scenario, 9, {"worlds": 3, "shard_worlds": 4})
    before = tree(tmp_path)

    code, out, _ = command("capture", scenario, "--episodes", "20", "--ticks", "7", "--dry-run", "--json")

    assert code == 0
    found, agents = json.loads(out), 4 if scenario == TOWN else 1
    assert (found["draft"], found["worlds"], found["settings"]["blocks"]) == (f"{scenario}.1", 20 // agents, 1)
    if scenario == TOWN:
        assert (found["episodes"], found["steps"]) == (20, 20 * 7)  # nobody leaves a town
    assert found["bytes"] > 1000
    assert found["seconds"] > 0
    assert tree(tmp_path) == before

    code, out, _ = command("capture", scenario, "--dry-run")

    assert code == 0
    assert f"{scenario}: the stage, data/{scenario}/raw; nothing is written" in out
    assert tree(tmp_path) == before


def test_a_draft_is_what_was_asked_for_and_can_be_looked_at(town: None, command: Command) -> None:
    code, out, err = command("capture", TOWN, "--episodes", "6", "--ticks", "7", "--agents", "3", "--seed", "5", "--name", "mine")
    assert (code, err) == (0, "")
    assert f"capture {TOWN}: {TOWN}.mine: 6 episodes, 42 steps, seed 5" in out

    episodes, header = read_episodes(Path(f"data/{TOWN}.mine/raw/shard-0000.h5"))
    assert sorted(set(episodes.table.agent.tolist())) == [0, 1, 2]
    assert set(episodes.table.length.tolist()) == {7}
    assert header.seed == 5
    assert episodes.expert_log_prob is not None
    found = find_episode(open_dataset(f"{TOWN}.mine"), "4")
    assert (found.e, found.dataset.scenario.horizon, found.dataset.scenario.setup["agents"]) == (4, 7, 3)
    code, out, _ = command("inspect", f"{TOWN}.mine")
    assert (code, out.splitlines()[0]) == (0, f"{TOWN}.mine: a draft, not curated")
    code, _, err = command("curate", f"{TOWN}.mine")
    assert (code, "expected a draft with the ticks and agents" in err) == (2, True)


def test_a_draft_is_kept_as_a_dataset_of_its_own_with_its_tags(town: None, command: Command) -> None:
    for arguments in (
        ("capture", TOWN, "--episodes", "24", "--tags", "first, small", "--name", "mine"),
        ("curate", f"{TOWN}.mine"),
        ("validate", f"{TOWN}.mine"),
    ):
        code, out, err = command(*arguments)
        assert (code, err) == (0, ""), (arguments, out)
        assert ("keep: `headstart curate" in out) == (arguments[0] == "capture")

    (entry,) = read_entries(Path())
    assert not Path(f"data/catalogue/{TOWN}.json").exists()  # which DVC holds to what its stage wrote
    assert (entry.dataset, entry.scenario, entry.episodes) == (f"{TOWN}.mine", TOWN, 24)
    assert entry.parameters["capture"]["worlds"] == 6  # type: ignore[index,call-overload]
    assert read_marks(Path())[entry.name].tags == ("first", "small")
    assert active_entries(Path(), TOWN) == ()  # `promote` asks for the scenario's own dataset
    episodes, _, _ = dataset_at_hand(f"{TOWN}.mine")
    assert len(episodes.table.length) == 24
    assert episodes.final_value is not None
    assert not Path(f"data/{TOWN}").exists()
    assert not Path("reports", TOWN).exists()


def test_what_cannot_be_recorded_is_told_before_anything_is(town: None, command: Command) -> None:
    assert command("capture", TOWN, "--episodes", "4", "--name", "mine")[0] == 0
    for arguments, wanted, text in (
        (("--episodes", "4", "--name", "mine"), 2, "data/queue_conflict.mine is there already"),
        (("--agents", "99"), 3, "setup.agents"),
        (("--ticks", "10000000"), 3, "headstart capture: horizon"),
        (("--tags", "a b"), 3, "--tags: expected a name"),
        (("--name", "../up"), 3, "--name: expected a name"),
    ):
        code, _, err = command("capture", TOWN, *arguments)
        assert (code, text in err) == (wanted, True), (arguments, err)
    code, _, err = command("validate", f"{TOWN}.mine")
    assert (code, "`headstart curate queue_conflict.mine` makes them" in err) == (3, True)
    code, _, err = command("curate", f"{TOWN}.mien")
    assert (code, "did you mean 'queue_conflict.mine'" in err) == (2, True)


def test_a_draft_that_is_too_small_to_be_kept_is_called_so(town: None, command: Command) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["validate"]["min_episodes"] = 40
    Path("params.yaml").write_text(json.dumps(params))
    _, out, _ = command("capture", TOWN, "--episodes", "4", "--name", "small")
    assert "keep: not with fewer than" in out and "`validate.min_episodes`" in out


def test_only_a_town_has_as_many_agents_as_one_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    learned_project(NAV, 9, {"worlds": 3, "shard_worlds": 4})
    code, _, err = command("capture", NAV, "--agents", "2")
    assert (code, "only a town has as many as one asks for" in err) == (2, True)


def test_an_expert_that_is_not_approved_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    params, scenario = learned_project(TOWN, 9, {"worlds": 3, "shard_worlds": 4})
    approve_network(params, scenario, state="draft")
    for options in (("--episodes", "4"), ("--dry-run",)):
        code, _, err = command("capture", TOWN, *options)
        assert (code, "expected an approved expert, got a draft" in err) == (6, True)


def test_a_draft_that_was_interrupted_is_none_and_its_name_is_free(
    town: None, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = drafting._shard, list[int]()

    def dies(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise Busy("killed")
        return whole(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(drafting, "_shard", dies)
    assert command("capture", TOWN, "--episodes", "24", "--name", "mine")[0] == Busy.exit_code
    assert command("curate", f"{TOWN}.mine")[0] == 2
    assert command("capture", TOWN, "--episodes", "24", "--name", "mine")[0] == 0
    assert read_record(Path(f"data/{TOWN}.mine") / DRAFT, Draft).episodes == 24


def test_a_draft_whose_record_was_edited_is_found_by_all_that_read_it(town: None, command: Command) -> None:
    assert command("capture", TOWN, "--episodes", "4", "--name", "mine")[0] == 0
    path = Path(f"data/{TOWN}.mine") / DRAFT
    path.write_text(path.read_text().replace('"seed": 220', '"seed": 221'))

    for arguments in (("play", f"{TOWN}.mine", "0"), ("curate", f"{TOWN}.mine"), ("inspect", f"{TOWN}.mine")):
        code, _, err = command(*arguments)
        assert (code, "raw/draft.json: expected" in err) == (4, True), (arguments, err)
        assert f"`headstart capture {TOWN} --episodes N` records another draft" in err


def test_a_name_that_another_command_took_meanwhile_stays_its_own(town: None, command: Command) -> None:
    scenario = load_scenario(TOWN)
    plan = planned(for_scenario(load_params(), scenario), scenario, Asked(episodes=4))
    assert command("capture", TOWN, "--episodes", "8")[0] == 0  # the same number
    before = tree(Path("data"))

    with pytest.raises(UsageError, match=f"--name 1: data/{TOWN}.1 is there already"):
        record_draft(plan)

    assert tree(Path("data")) == before


def test_a_draft_of_before_a_person_was_to_be_asked_is_not_recorded(town: None, command: Command) -> None:
    params = json.loads(Path("params.yaml").read_text())
    Path("params.yaml").write_text(json.dumps(params | {"expert": params["expert"] | {"approval": "manual"}}))
    code, _, err = command("capture", TOWN, "--episodes", "4")
    assert (code, f"`dvc repro expert@{TOWN}` judges it again" in err) == (6, True)
