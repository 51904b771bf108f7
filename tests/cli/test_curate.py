"""`headstart curate` with a filter: what it prints, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cloned import ROOT
from tests.inspected import robot_project

from headstart.config.scenario import Scenario
from headstart.dataset.episodes import Episodes, Header

Command = Callable[..., tuple[int, str, str]]
NAME = "nav_gap_seeker"


@pytest.fixture(autouse=True)
def project(robot_walks: tuple[Scenario, Episodes, Header], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("headstart.cli.main.enter_project", lambda: None)
    Path("scenarios").mkdir()
    Path("params.yaml").write_text(f"scenarios: [{NAME}]\n")
    Path(f"scenarios/{NAME}.yaml").write_bytes((ROOT / f"scenarios/{NAME}.yaml").read_bytes())
    robot_project(robot_walks)


def test_a_slice_says_what_it_holds_of_what_and_how_to_look_at_it(
    command: Command, robot_walks: tuple[Scenario, Episodes, Header]
) -> None:
    returns = robot_walks[1].table.total_reward
    least = float(np.sort(returns)[4])
    code, out, err = command("curate", NAME, "--min-return", str(least), "--name", "good")
    said = " ".join(out.split())

    assert (code, err) == (0, "") and max(map(len, out.splitlines())) <= 80, out
    assert f"6 of 10 accepted episodes: min_return {least:g}" in said and f"of: {NAME}@" in said
    for one in (f"`headstart inspect {NAME}.good`", f"`headstart play {NAME}.good EPISODE`"):
        assert one in said
    found = json.loads(command("inspect", f"{NAME}.good", "--json")[1])
    assert found["counts"]["accepted"] == 6 and found["state"].startswith(f"a slice of {NAME}@")


def test_json_is_the_manifest(command: Command) -> None:
    found = json.loads(command("curate", NAME, "--agent", "0", "--json")[1])

    assert found["dataset"] == f"{NAME}.1" and found["parent"]["filter"] == {
        "agent": [0], "outcome": [], "min_return": None, "behaviour": [], "family": [],
    }  # fmt: skip
    assert found == json.loads(Path(f"data/{NAME}.1/curated/manifest.json").read_text())


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (("--outcome", "succes"), 2, "--outcome: expected one of success, failure, harm, no-harm, got 'succes' (did you mean"),
        (("--name", "x"), 2, "--name: expected a filter beside it, as --agent 0; without one, `curate` is the stage"),
        (("--agent", "5"), 3, "expected episodes that are agent 5, found none; widen the filter"),
        (("--agent", "0", "--name", "a/b"), 3, "--name: expected a name of"),
        (("--min-return", "nan"), 3, "min_return"),
        (("--family", "nowhere"), 2, "--family nowhere: there are "),
    ],
)
def test_a_filter_that_means_nothing_ends_in_one_line(command: Command, typed: tuple[str, ...], code: int, said: str) -> None:
    found = command("curate", NAME, *typed)

    assert found[0] == code and said in found[2] and found[2].count("\n") == 1
    assert not list(Path("data").glob("*.*"))


def test_a_dataset_that_is_not_there_is_named_with_its_neighbour(command: Command) -> None:
    code, _, err = command("curate", "nav_gap_seker", "--agent", "0")

    assert code == 2 and "no such dataset (did you mean 'nav_gap_seeker'?)" in err


def test_a_slice_of_a_slice_is_known_by_where_it_comes_from(command: Command) -> None:
    assert command("curate", NAME, "--agent", "0", "--name", "first")[0] == 0
    code, out, _ = command("curate", f"{NAME}.first", "--min-return", "-1000", "--name", "second")
    assert (code, "10 of 10 accepted episodes" in out) == (0, True)

    out = command("lineage", f"{NAME}.second")[1]
    assert f"from slice {NAME}.first@" in out and f"from dataset {NAME}@" in " ".join(out.split())
    assert f"{NAME}.second, a slice of {NAME}.first@" in " ".join(command("catalogue", "list")[1].split())
    assert command("inspect", f"{NAME}.second", "--against", f"{NAME}.first")[0] == 0
    for arguments, said in (
        (("catalogue", "show", f"{NAME}.first"), f"this is a slice; `headstart lineage {NAME}.first` tells of what"),
        (("curate", f"{NAME}.first"), f"it is a slice of {NAME}@"),
        (("inspect", f"{NAME}.first", "--flag", "00", "--reason", "odd"), f"this is a slice; flag it in {NAME}"),
        (("capture", NAME, "--name", "first", "--episodes", "1"), ""),
    ):
        code, _, err = command(*arguments)
        assert code != 0 and said in err, (arguments, err)
    assert not Path(f"data/{NAME}.first/raw").exists()


def test_a_slice_without_its_parent_and_an_edited_one_are_told_as_such(command: Command) -> None:
    assert command("curate", NAME, "--agent", "0", "--name", "first")[0] == 0
    assert command("curate", f"{NAME}.first", "--agent", "0", "--name", "second")[0] == 0
    shutil.rmtree(f"data/{NAME}.first")

    code, _, err = command("export", f"{NAME}.second", "--format", "npz", "--out", "out.npz")
    assert (code, f"expected a slice of a dataset that is here and validated, {NAME}.first@" in err) == (3, True)
    assert "it is neither here nor in the catalogue" in " ".join(command("lineage", f"{NAME}.second")[1].split())

    path = Path(f"data/{NAME}.second/curated/manifest.json")
    path.write_text(path.read_text().replace('"agent": [\n        0', '"agent": [\n        1'))
    for arguments in (("inspect",), ("play",), ("export",), ("lineage",)):
        more = ("0",) if arguments == ("play",) else ("--format", "npz", "--out", "o.npz") if arguments == ("export",) else ()
        code, _, err = command(*arguments, f"{NAME}.second", *more)
        assert (code, "manifest.json: expected" in err) == (4, True), (arguments, err)
