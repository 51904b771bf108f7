"""`headstart inspect`: what it prints of datasets in every state, of recordings, of damage, and how flags come and go."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from tests.inspected import robot_project
from tests.poles import record_poles
from tests.stages.test_by_hand import flip

from headstart.config.scenario import Scenario
from headstart.core.contents import sealed_directory
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.episodes_file import write_episodes
from headstart.dataset.flags import read_flags
from headstart.dataset.formats.npz import write
from headstart.dataset.inspection_recording import said_of_itself

Command = Callable[..., tuple[int, str, str]]
NAME = "nav_gap_seeker"


@pytest.fixture
def ids(robot_walks: tuple[Scenario, Episodes, Header], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the ten episodes of a curated dataset, in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.cli.main.enter_project", lambda: None)
    monkeypatch.setattr("headstart.cli.project._typed_in", Path())
    Path("params.yaml").write_text(f"scenarios: [{NAME}]\n")
    return robot_project(robot_walks)


def is_narrow(out: str) -> bool:
    """Fits a terminal; a command stays in one line, so that it can be copied."""
    return all(len(line) <= 80 for line in out.splitlines() if "headstart " not in line)


def test_a_dataset_is_shown_in_eighty_columns_with_its_state_and_what_to_type_next(command: Command, ids: list[str]) -> None:
    code, out, err = command("inspect", NAME)
    assert (code, err) == (0, "")
    assert is_narrow(out)
    assert out.startswith(f"{NAME}@")
    for said in (
        ": validated\n",
        "10 of 10 recorded episodes accepted, 120 steps",
        "3 of 3 checks of hashes hold",
        "0 worlds on both sides",
    ):
        assert said.strip() in " ".join(out.split())
    assert f"all episodes on one page: headstart inspect {NAME} --html look.html" in out
    assert "missing licence: `licence: CC-BY-4.0`" in out


def test_json_has_the_numbers_of_the_text(command: Command, ids: list[str]) -> None:
    code, out, _ = command("inspect", NAME, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["counts"] == {
        "recorded": 10, "accepted": 10, "rejected": 0, "flagged": 0, "steps": 120, "worlds": 10, "blocks": 2,
    }  # fmt: skip
    assert found["episodes"]["id"] == ids
    assert found["episodes"]["length"] == [12] * 10 and found["spread"]["length"]["mean"] == 12
    assert found["split"]["leaked"] == [] and sum(found["split"]["episodes"]) == 10
    assert f"{found['spread']['return']['mean']:.3g}" in command("inspect", NAME)[1]


def test_a_damaged_file_is_named_and_the_command_ends_with_4(command: Command, ids: list[str]) -> None:
    Path(f"data/{NAME}/raw/extra.txt").write_text("x")
    code, out, err = command("inspect", NAME)
    assert code == 4
    assert "WRONG data/nav_gap_seeker/raw/extra.txt: expected no such file" in " ".join(out.split())
    assert err.startswith(f"error: data/{NAME}/raw/extra.txt") and f"`dvc repro capture@{NAME}` brings it back" in err


def test_bytes_that_cannot_be_read_end_in_one_line(command: Command, ids: list[str]) -> None:
    flip(Path(f"data/{NAME}/curated/block-0"))
    code, _, err = command("inspect", NAME)
    assert code in (3, 4) and err.count("\n") == 1 and "block-0" in err


def test_what_was_recorded_and_not_curated_can_be_looked_at(command: Command, ids: list[str]) -> None:
    for path in (Path(f"data/{NAME}/validated.json"), *sorted(Path(f"data/{NAME}/curated").rglob("*"), reverse=True)):
        path.rmdir() if path.is_dir() else path.unlink()
    Path(f"data/{NAME}/curated").rmdir()
    code, out, _ = command("inspect", NAME)
    assert code == 0 and out.startswith(f"{NAME}: recorded, not curated")


def test_a_dataset_without_its_stamp_says_so(command: Command, ids: list[str]) -> None:
    Path(f"data/{NAME}/validated.json").unlink()
    assert ": curated, not validated\n" in command("inspect", NAME)[1]


def test_a_stamp_of_another_version_is_no_damage(
    command: Command, robot_walks: tuple[Scenario, Episodes, Header], ids: list[str]
) -> None:
    stamp = Path(f"data/{NAME}/validated.json").read_bytes()
    robot_project(robot_walks, heldout_share=0.4)
    Path(f"data/{NAME}/validated.json").write_bytes(stamp)
    code, out, _ = command("inspect", NAME)
    assert code == 0 and "curated, not validated: validated.json is that of another version" in " ".join(out.split())


def test_one_that_is_not_here_is_named_with_its_neighbour(command: Command, ids: list[str]) -> None:
    code, _, err = command("inspect", "nav_gap_seker")
    assert code == 2 and "no such dataset (did you mean 'nav_gap_seeker'?)" in err
    code, _, err = command("inspect", f"{NAME}@000000000000")
    assert code == 2 and "no such dataset" in err
    code, _, err = command("inspect", "demonstrations/none.npz")
    assert (code, err) == (3, "error: demonstrations/none.npz: expected a recording, found nothing there\n")


def test_rejected_episodes_are_listed_with_their_reasons_and_have_numbers(
    command: Command, robot_walks: tuple[Scenario, Episodes, Header], ids: list[str]
) -> None:
    total = robot_walks[1].table.total_reward
    least = float(np.sort(total)[3]) + 1e-6
    robot_project(robot_walks, min_return=least)
    out = command("inspect", NAME, "--json")[1]
    found = json.loads(out)
    low = [name for name, one in zip(ids, total, strict=True) if one < least]
    assert found["rejected"] == {"low-return": low} and len(low) == 4
    assert found["counts"]["rejected"] == 4 and None not in found["episodes"]["change"]
    _, out, _ = command("inspect", NAME, "--only", "rejected")
    assert out.startswith("4 of 10 recorded episodes: rejected") and all(name in out for name in low)
    code, _, err = command("inspect", NAME, "--only", "rejekted")
    assert code == 2 and "did you mean 'rejected'" in err


# --- flags --------------------------------------------------------------------------------------------------------------


def test_an_episode_is_flagged_by_the_beginning_of_its_id_and_the_flag_taken_back(command: Command, ids: list[str]) -> None:
    code, out, _ = command("inspect", NAME, "--flag", ids[3][:6], "--reason", "stands in the wall")
    assert code == 0
    assert out == (f"{ids[3]}  stands in the wall\n1 flagged in flags/{NAME}.json\nnext: git add flags && dvc repro\n")
    assert read_flags(Path(), NAME) == {ids[3]: "stands in the wall"}
    assert command("inspect", NAME, "--flags")[1].startswith(f"{ids[3]}  stands in the wall\n")
    assert "1 flagged episode is still in the dataset" in " ".join(command("inspect", NAME)[1].split())
    assert command("inspect", NAME, "--unflag", ids[3])[0] == 0
    assert read_flags(Path(), NAME) == {}
    assert command("inspect", NAME, "--flags")[1] == f"0 flagged in flags/{NAME}.json\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--flag", "0000"), "--flag EPISODE and --reason TEXT: expected both"),
        (("--reason", "x"), "--flag EPISODE and --reason TEXT: expected both"),
        (("--flag", "zz", "--reason", "x"), "zz: expected the id of an episode of nav_gap_seeker, which has none of this"),
        (("--flag", "", "--reason", "x"), "expected the id of an episode"),
        (("--flag", "ID", "--reason", "two\nlines"), "--reason: expected one line of 1 to 500 printable characters"),
        (("--flag", "ID", "--reason", ""), "--reason: expected one line"),
        (("--unflag", "ID"), "which has none of this"),
    ],
)
def test_a_flag_that_cannot_be_is_refused_and_changes_nothing(
    arguments: tuple[str, ...], said: str, command: Command, ids: list[str]
) -> None:
    code, _, err = command("inspect", NAME, *(ids[0] if one == "ID" else one for one in arguments))
    assert code == 2 and said in err
    assert not Path("flags").exists()


def test_a_pipeline_that_does_not_watch_flags_is_told_what_to_add(command: Command, ids: list[str]) -> None:
    Path("dvc.yaml").write_text("stages:\n  curate:\n    cmd: true\n    deps: [data/x/raw]\n    outs: [data/x/curated]\n")
    code, _, err = command("inspect", NAME, "--flag", ids[0], "--reason", "dull")
    assert code == 3 and "add the line `- flags` to the deps of the stage curate" in err
    Path("dvc.yaml").write_text("stages:\n  curate:\n    cmd: true\n    deps: [flags, data/x/raw]\n    outs: [data/x/curated]\n")
    assert command("inspect", NAME, "--flag", ids[0], "--reason", "dull")[0] == 0


# --- recordings -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def poles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.cli.main.enter_project", lambda: None)
    monkeypatch.setattr("headstart.cli.project._typed_in", Path())
    write(Path("demonstrations/mine.npz"), record_poles(30))
    return Path("demonstrations/mine.npz")


def test_a_recording_is_looked_at_before_anything_is_made_of_it(command: Command, poles: Path) -> None:
    code, out, err = command("inspect", str(poles))
    assert (code, err) == (0, "")
    assert "a recording (npz), before anything was made of it" in " ".join(out.split())
    assert "  30 recorded episodes, " in out and "action 0" in out
    assert "hashes: nothing is recorded of them" in out and "missing licence, author" in out
    assert "slips             not measured: it is not recorded" in out  # without labels
    found = json.loads(command("inspect", str(poles), "--json")[1])
    assert [one["name"] for one in found["features"]] == [f"observation[{i}]" for i in range(4)]
    assert "success" not in found["spread"]  # which the file does not have


def test_what_a_file_says_of_itself_is_in_the_checklist(command: Command, poles: Path, tmp_path: Path) -> None:
    for folder, name in (("spaces", "metadata.json"), ("lerobot", "meta/info.json")):
        (tmp_path / folder / name).parent.mkdir(parents=True)
    minari, lerobot = tmp_path / "spaces", tmp_path / "lerobot"
    (minari / "metadata.json").write_text('{"author": ["Ada"], "code_permalink": "https://x", "max": NaN, "dataset_size": 3}')
    (lerobot / "meta/info.json").write_text('{"robot_type": "so100", "fps": 30}')
    (lerobot / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n  - x\n---\n# Mine\n")
    assert said_of_itself("minari", minari) == {"author": "['Ada']", "source": "https://x"}
    assert said_of_itself("lerobot", lerobot) == {"source": "so100", "licence": "apache-2.0"}
    (lerobot / "meta/info.json").write_text("{")
    assert said_of_itself("lerobot", lerobot) == {"licence": "apache-2.0"}
    assert said_of_itself("npz", poles) == {}


@pytest.mark.parametrize("kind", ["minari", "lerobot", "hdf5"])
def test_recordings_of_every_format_can_be_looked_at(
    kind: str, command: Command, poles: Path, robot_walks: tuple[Scenario, Episodes, Header]
) -> None:
    path, recording = Path("demonstrations") / kind, record_poles(12)
    match kind:
        case "minari":
            pytest.importorskip("minari")
            from headstart.dataset.formats import minari

            box = spaces.Box(-np.inf, np.inf, (4,), np.float64)
            minari.write(path / "data", recording, (box, spaces.Discrete(2)), "pole/mine-v0")
        case "lerobot":
            pytest.importorskip("pyarrow")
            from headstart.dataset.formats import lerobot

            lerobot.write(path, recording, task="pole")
        case _:
            path.mkdir()
            write_episodes(path / "one.h5", *robot_walks[1:])
    code, out, err = command("inspect", str(path), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["state"] == f"a recording ({kind}), before anything was made of it"
    assert found["counts"]["recorded"] == (10 if kind == "hdf5" else 12)
    assert len(found["features"]) > 3 and found["actions"]


def test_two_recordings_are_compared(command: Command, poles: Path) -> None:
    write(Path("demonstrations/other.npz"), record_poles(20, longest=20, seed=1))
    found = json.loads(command("inspect", str(poles), "--against", "demonstrations/other.npz", "--json")[1])["against"]
    assert (found["there"], found["common"], len(found["only_there"])) == ("demonstrations/other.npz", 0, 20)
    length = next(one for one in found["columns"] if one["name"] == "length")
    assert length["there"]["mean"] == 20 < length["here"]["mean"]
    out = command("inspect", str(poles), "--against", "demonstrations/other.npz")[1]
    assert "against demonstrations/other.npz" in out and is_narrow(out)


def test_a_recording_cannot_be_flagged_before_a_scenario_names_it(command: Command, poles: Path) -> None:
    code, _, err = command("inspect", str(poles), "--flag", "0", "--reason", "x")
    assert code == 2 and "expected the dataset of a scenario" in err


def test_a_file_that_is_no_recording_is_refused(command: Command, poles: Path) -> None:
    Path("demonstrations/notes.txt").write_text("notes")
    code, _, err = command("inspect", "demonstrations/notes.txt")
    assert code == 3 and err.startswith("error: demonstrations/notes.txt: expected a recording, got something else")


def test_a_copy_of_another_folder_is_no_dataset_that_is_whole(command: Command, ids: list[str]) -> None:
    with sealed_directory(Path("data/other/raw")) as folder:
        for file in Path(f"data/{NAME}/raw").glob("*.h5"):
            (folder / file.name).write_bytes(file.read_bytes())
    code, out, _ = command("inspect", "other")
    assert code == 0 and out.startswith("other: recorded, not curated")
