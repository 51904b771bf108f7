"""Gates hold wherever a command is typed: a stage with an input that is damaged, exchanged or out of date refuses, and says what to type."""

import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.cloned import ROOT, easy, tiny_params
from tests.one_process import run_here
from tests.sealed import reseal
from typer.main import get_command

from headstart.cli import main as cli
from headstart.config.checked import merged
from headstart.config.scenario import Scenario
from headstart.config.stage import main, run
from headstart.core.files import read_record, write_record
from headstart.dataset.episodes import Episodes, Header
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.checkpoint import CARD, Card
from headstart.runs.expert_record import ExpertPolicy
from headstart.stages.expert import expert

INPUTS = {  # stage → its inputs below data/ and models/, of scenario {0}
    "expert": ["data/{0}/source"],
    "capture": ["data/{0}/source", "models/{0}/expert"],
    "curate": ["data/{0}/raw"],
    "validate": ["data/{0}/curated", "data/{0}/source/environment.json", "models/{0}/expert"],
    "bc_train": ["data/{0}/curated", "data/{0}/source/environment.json", "data/{0}/validated.json", "models/{0}/expert"],
    "baseline": ["data/{0}/source/environment.json"],
    "anneal": [
        "data/{0}/curated", "data/{0}/source/environment.json", "data/{0}/validated.json", "models/{0}/bc", "models/{0}/expert",
    ],
    "evaluate": [
        "data/{0}/source/environment.json", "models/{0}/anneal/tiny", "models/{0}/baseline/scratch", "models/{0}/bc",
        "models/{0}/expert",
    ],
}  # fmt: skip
ORDER = ["settings", "source", "expert", "capture", "curate", "validate", "bc_train", "baseline", "anneal", "evaluate"]
ARMS = {"baseline": ("scratch",), "anneal": ("tiny",)}
SMALL = {
    "expert": {"worlds": 30, "seed": 5},
    "capture": {"worlds": 12, "blocks": 2, "shard_worlds": 7, "noise": 0.1},
    "curate": {"require_success": False, "reject_harm": False},
    "validate": {"min_episodes": 10, "min_success_rate": 0.5},
    "comparison": {"target": "any"},
}


class Ended(NamedTuple):
    """A command that ended."""

    code: int
    said: str


@pytest.fixture(scope="module")
def patched() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in ("headstart.stages.bc_train", "headstart.runs.arm", "headstart.runs.expert_training"):
            patch.setattr(f"{module}.run_all", run_here)
        yield


@pytest.fixture(scope="module")
def projects(
    robot_walks: tuple[Scenario, Episodes, Header], tmp_path_factory: pytest.TempPathFactory, patched: None
) -> dict[str, Path]:
    """`now`: two scenarios, walk and run, after every stage. `before`: what the stages had left with other settings."""
    found = {}
    for name, seed, weights in (("now", 3, 1), ("before", 2, 0)):
        root = found[name] = tmp_path_factory.mktemp(name)
        (root / "scenarios").mkdir()
        shutil.copy(ROOT / "dvc.yaml", root)
        params = tiny_params(**{key: SMALL[key] for key in ("capture", "bc_train") if key in SMALL})
        content = merged(
            params.model_dump(mode="json", by_alias=True),
            SMALL | {"scenarios": ["walk", "run"], "capture": SMALL["capture"] | {"seed": seed}},
        )
        content["evaluation"]["seed"] += seed
        content["bc_train"]["seed"] += weights
        content["expert"]["seed"] += seed
        (root / "params.yaml").write_text(yaml.safe_dump(content))
        scenario = easy(robot_walks[0])
        gate = {"success_rate": 0.5, "harm_rate": 1.0, "policy": "scripted"}
        about = scenario.model_dump(mode="json", exclude={"name"})
        about |= {"expert": about["expert"] | gate, "targets": {"any": {"success_rate": 0.1}}}
        for one, horizon in (("walk", 12), ("run", 11)):
            (root / f"scenarios/{one}.yaml").write_text(yaml.safe_dump(about | {"horizon": horizon}))
        with chdir(root):
            for one in ("walk", "run") if name == "now" else ("walk",):
                for stage in ORDER:
                    ended = typed(stage, one)
                    assert ended.code == 0, f"{stage} {one}: {ended.said}"
    return found


@pytest.fixture
def project(projects: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `now`, as the working directory."""
    shutil.copytree(projects["now"], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(stage: str, scenario: str = "walk") -> Ended:
    """What a person types, in this process."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["headstart", stage.replace("_", "-"), scenario, *ARMS.get(stage, ())])
        if stage == "expert":  # of this name there is another command, which writes nothing
            patch.setattr(sys, "argv", ["expert", scenario])
        patch.setattr("sys.stderr.write", said.append)
        patch.setattr("typer.echo", lambda text="", **how: said.append(str(text)))
        try:
            main(expert) if stage == "expert" else cli.main()
        except SystemExit as ended:
            return Ended(int(ended.code or 0), "".join(said))
    return Ended(0, "".join(said))


def files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def flip(path: Path) -> None:
    """One bit in the middle of the largest file; its time stays."""
    file = max(files_of(path), key=lambda one: one.stat().st_size)
    data, times = bytearray(file.read_bytes()), file.stat()
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def cut(path: Path) -> None:
    file = files_of(path)[-1]
    file.write_bytes(file.read_bytes()[:-1])


def lose(path: Path) -> None:
    """A file of a folder; of a file all."""
    files_of(path)[-1].unlink()


def add(path: Path) -> None:
    (path / ".card.json.tmp-0123456789ab").write_bytes(b"{")


def unlist(path: Path) -> None:
    (path / "contents.json").unlink()


def respell(path: Path) -> None:
    file = next(file for file in files_of(path) if file.suffix == ".json")
    file.write_text(json.dumps(json.loads(file.read_bytes())))


def exchange(path: Path, source: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.copytree(source, path) if source.is_dir() else shutil.copyfile(source, path)


PAIRS = [(stage, path.format("walk")) for stage, paths in INPUTS.items() for path in paths]


def refuses(stage: str, what: str) -> Ended:
    """The stage ends with an error that says what to type or to remove."""
    ended = typed(stage)
    assert ended.code in (3, 4, 6), f"{stage}, {what}: exit {ended.code}: {ended.said}"
    assert "dvc repro" in ended.said or "remove " in ended.said, f"{stage}, {what}: {ended.said}"
    return ended


def test_every_stage_ends_with_something_to_open_that_is_there_and_commands_that_there_are(project: Path) -> None:
    known: Any = get_command(cli.app)
    for stage in ORDER:
        done = run(getattr(importlib.import_module(f"headstart.stages.{stage}"), stage), "walk", *ARMS.get(stage, ()))
        assert (project / re.split("[,;]", done.look)[0]).exists(), (stage, done.look)
        for words in map(str.split, re.findall("`headstart ([^`]+)`", done.look)):
            known.commands[words[0]].make_context(words[0], words[1:])  # raises where it is none, or an argument is wrong


@pytest.mark.parametrize("fault", [flip, cut, lose, add, unlist, respell])
def test_a_damaged_input_is_refused_by_every_stage_that_reads_it(fault: Callable[[Path], object], project: Path) -> None:
    for path in sorted({path for _, path in PAIRS}):
        if fault in (add, unlist) and (project / path).is_file():
            continue
        if fault is lose and path.endswith("environment.json"):
            continue  # a stage that needs no environment of a user's does not miss it
        kept = project / "kept"
        exchange_in(kept, project / path)
        fault(project / path)
        stages = [stage for stage, one in PAIRS if one == path]
        for stage in stages if fault is flip else stages[:1]:
            refuses(stage, f"{fault.__name__} {path}")
        exchange(project / path, kept)


def exchange_in(kept: Path, path: Path) -> None:
    if kept.exists():
        shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
    shutil.copytree(path, kept) if path.is_dir() else shutil.copyfile(path, kept)


@pytest.mark.parametrize(("stage", "path"), PAIRS)
def test_an_input_of_another_scenario_is_refused(stage: str, path: str, project: Path) -> None:
    other = project / path.replace("walk", "run")
    if (project / path).is_file() and other.read_bytes() == (project / path).read_bytes():
        pytest.skip("it says the same of both")
    exchange(project / path, other)
    refuses(stage, path)


@pytest.mark.parametrize(("stage", "path"), PAIRS)
def test_an_input_that_other_settings_left_is_refused(stage: str, path: str, project: Path, projects: dict[str, Path]) -> None:
    old = projects["before"] / path
    if {file.name: file.read_bytes() for file in files_of(old)} == {
        file.name: file.read_bytes() for file in files_of(project / path)
    }:
        pytest.skip("it does not depend on them")
    exchange(project / path, old)
    refuses(stage, path)


@pytest.mark.parametrize(
    ("setting", "stale"),
    [
        ({"capture": {"noise": 0.2}}, {"curate", "validate", "bc_train", "anneal", "evaluate"}),
        ({"curate": {"heldout_share": 0.4}}, {"validate", "bc_train", "anneal", "evaluate"}),
        ({"validate": {"min_episodes": 9}}, {"bc_train", "anneal", "evaluate"}),
        ({"bc_train": {"epochs": 21}}, {"anneal", "evaluate"}),
    ],
)
def test_after_an_edit_of_a_setting_only_the_stages_before_it_run(
    setting: dict[str, Any], stale: set[str], project: Path
) -> None:
    """The stage that reads the setting first may run, and what comes after it waits for that."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    (project / "params.yaml").write_text(yaml.safe_dump(merged(params, setting)))
    reads = next(iter(setting)).replace("bc_train", "bc_train")
    assert "settings.json: expected" in refuses(reads, "before settings").said
    assert typed("settings").code == 0
    for stage in ("curate", "validate", "bc_train", "anneal", "evaluate"):
        if stage in stale:
            refuses(stage, str(setting))


def test_what_was_refused_is_not_learned_from(project: Path) -> None:
    """After a FAIL of the dataset; the earlier stamp and clone are there no longer, or do not count."""
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["validate"]["max_majority_share"] = 1e-9
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    stamp = (project / "data/walk/validated.json").read_bytes()
    assert typed("settings").code == 0
    assert typed("validate").code == 6
    kept = next((project / "data/quarantine").glob("walk@*"))
    assert read_record(kept / "manifest.json", DatasetManifest).status == "quarantined"
    for stage in ("bc_train", "anneal"):
        assert refuses(stage, "a dataset that failed").code == 6
    (project / "data/walk/validated.json").write_bytes(stamp)  # put back by hand
    for stage in ("bc_train", "anneal"):
        assert refuses(stage, "a dataset that failed, stamped by hand").code == 6


def test_a_clone_that_missed_its_gate_is_not_trained_from(project: Path) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["bc_train"]["min_explained_variance"] = 1.0
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    assert typed("settings").code == 0
    assert typed("bc_train").code == 6
    assert refuses("anneal", "a clone that failed").code == 6
    assert refuses("evaluate", "a clone that failed").code in (4, 6)


def test_a_folder_that_was_edited_and_listed_anew_is_held_to_the_other_records(project: Path) -> None:
    """Somebody who edits contents.json too, in a project without reports."""
    shutil.rmtree(project / "reports")
    bc, judged = Path("models/walk/bc"), Path("models/walk/expert")
    card = read_record(bc / "seed-3" / CARD, Card)
    for change in ({"scenario": "run"}, {"lineage": {"dataset": "0" * 64}}, {"kind": "policy"}, {"seed": 4}):
        write_record(bc / "seed-3" / CARD, card.model_copy(update=change))
        reseal(bc)
        assert refuses("anneal", str(change)).code == 4
    write_record(bc / "seed-3" / CARD, card)
    reseal(bc)
    artefact, stamp = read_record(judged / "expert.json", ExpertPolicy), Path("data/walk/validated.json")
    text = stamp.read_bytes()
    for change in (
        {"policy_sha256": "0" * 64},
        {"scenario_sha256": "0" * 64},
        {"kind": "callable"},
        {"state": "draft", "diagnostics": ("x",)},
    ):
        write_record(judged / "expert.json", artefact.model_copy(update=change))
        reseal(judged)
        for stage in ("capture", "validate", "bc_train", "anneal"):
            assert refuses(stage, str(change)).code == 6
            stamp.write_bytes(text)  # `validate` took it away
    write_record(judged / "expert.json", artefact)
    reseal(judged)
    shutil.rmtree("reports")  # `validate` left that it failed
    found = read_record(stamp, DatasetManifest)
    stamp.write_text(json.dumps(json.loads(stamp.read_bytes())))
    assert refuses("bc_train", "another spelling").code == 4
    write_record(stamp, found.model_copy(update={"status": "draft"}))
    for stage in ("bc_train", "anneal"):
        shutil.rmtree("reports", ignore_errors=True)
        assert refuses(stage, "a draft").code == 4
