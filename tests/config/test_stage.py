"""Running a stage: its line, its errors, and the record that it leaves whether it succeeds or fails."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from headstart.config import stage as running
from headstart.config.params import Params, for_scenario, load_params
from headstart.config.project import LOCKS
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.settings import resolved
from headstart.config.stage import Done, main, run
from headstart.core import lock
from headstart.core.errors import Busy, GateFailed, InputError, IntegrityError
from headstart.core.files import read_record, sha256_file, write_bytes
from headstart.core.run_record import RunRecord
from headstart.core.strict_json import pretty_json
from headstart.core.yaml import read_yaml

ROOT = Path(__file__).parents[2]
PIPELINE = """
stages:
  capture:
    cmd: ./stage capture ${item.scenario}
    deps: [src/headstart/core, "scenarios/${item.scenario}.yaml", data/in.txt]
    params: [capture.worlds, arms.scratch.start]
    outs: ["data/${item.scenario}.txt", "reports/${item.scenario}/capture"]
  catalogue:
    cmd: ./stage catalogue ${item.scenario}
    deps: [data/in.txt]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A commit with settings, one scenario and a pipeline of two stages."""
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("params.yaml", "scenarios/queue_conflict.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "data/in.txt").write_text("in")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "code_sha256", lambda modules: "c" * 64)
    return tmp_path


def capture(params: Params, scenario: Scenario) -> Done:
    Path(f"data/{scenario.name}.txt").write_text("out")
    return Done("captured", {"worlds": 3.0, "unknown": None}, seeds=(7, 8))


def test_a_record_says_what_went_in_what_came_out_and_under_which_circumstances(
    project: Path, require_schema: Callable[[bytes | str, str], None]
) -> None:
    assert run(capture, "queue_conflict").says == "captured"

    path = project / "reports/queue_conflict/capture/run.json"
    record = read_record(path, RunRecord)
    assert (record.run_id, record.status, record.seeds) == ("capture-queue-conflict", "completed", (7, 8))
    assert record.inputs == {name: sha256_file(Path(name)) for name in ("scenarios/queue_conflict.yaml", "data/in.txt")}
    assert record.outputs == {"data/queue_conflict.txt": sha256_file(Path("data/queue_conflict.txt"))}
    assert record.parameters == {"capture.worlds": 256, "arms.scratch.start": "random"}
    assert record.metrics == {"worlds": 3.0, "unknown": None}
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert record.circumstances.git_revision == head
    assert record.circumstances.git_dirty is False
    assert record.circumstances.seconds >= 0
    require_schema(path.read_bytes(), "run/1")


def test_a_record_names_the_code_of_others_that_the_scenario_imports(project: Path) -> None:
    content = read_yaml(Path(__file__).parents[2] / "scenarios/cartpole.yaml")
    content |= {"setup": {"id": "mine:Env-v0", "wrappers": ["a.b:Wrapper"]}}
    (project / "scenarios/queue_conflict.yaml").write_text(json.dumps(content))

    run(capture, "queue_conflict")

    record = read_record(project / "reports/queue_conflict/capture/run.json", RunRecord)
    assert record.imported == ("mine:Env-v0", "a.b:Wrapper", "experts.pole:act")


def test_a_stage_that_fails_leaves_a_record_that_says_why(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(params: Params, scenario: Scenario) -> Done:
        raise GateFailed("expected more\nin two lines")

    (project / "data/in.txt").write_text("edited")
    with pytest.raises(GateFailed):
        run(capture, "queue_conflict")

    record = read_record(project / "reports/queue_conflict/capture/run.json", RunRecord)
    assert (record.status, record.diagnostics) == ("failed", ("expected more", "in two lines"))
    assert record.outputs == {}
    assert record.circumstances.git_dirty is True


def test_a_stage_that_another_process_runs_says_who_and_changes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(capture, "queue_conflict")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file() and "locks" not in path.parts}
    (project / "data/.queue_conflict.txt.tmp-0123456789ab").write_text("half")  # what the other one is writing
    monkeypatch.setattr(lock, "PATIENCE_S", 0)
    with lock.held(LOCKS / "capture-queue_conflict", "headstart capture queue_conflict"):
        with pytest.raises(Busy, match=f"process {os.getpid()} has run `headstart capture queue_conflict` since 2"):
            run(capture, "queue_conflict")
        assert run(catalogue, "queue_conflict").says == "another stage"
    assert {path: path.read_bytes() for path in before} == before
    assert (project / "data/.queue_conflict.txt.tmp-0123456789ab").exists()


def test_what_a_killed_stage_left_half_written_is_removed_by_the_next_run_of_it_and_of_no_other(project: Path) -> None:
    own = ["data/.queue_conflict.txt.tmp-0123456789ab", "reports/queue_conflict/.capture.tmp-0123456789ab/verdict.json"]
    others = ["data/.other.txt.tmp-0123456789ab", "reports/queue_conflict/.curate.tmp-0123456789ab/verdict.json"]
    for name in (*own, *others):
        write_bytes(Path(name), b"half")
    run(capture, "queue_conflict")
    left = {path.relative_to(project).as_posix() for path in project.rglob("*") if ".tmp-" in path.as_posix() and path.is_file()}
    assert left == set(others)


def catalogue(params: Params, scenario: Scenario) -> Done:
    return Done("another stage")


def test_edits_while_a_stage_runs_are_not_recorded_as_what_ran(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = iter(["a" * 64, "b" * 64])
    monkeypatch.setattr(running, "code_sha256", lambda modules: next(hashes))
    before = sha256_file(Path("data/in.txt"))

    def capture(params: Params, scenario: Scenario) -> Done:
        Path("data/in.txt").write_text("edited meanwhile")
        return Done("captured")

    with pytest.raises(IntegrityError, match="capture queue_conflict: its source files changed while it ran"):
        run(capture, "queue_conflict")
    record = read_record(project / "reports/queue_conflict/capture/run.json", RunRecord)
    assert (record.status, record.code_sha256, record.inputs["data/in.txt"]) == ("failed", "a" * 64, before)
    assert record.circumstances.git_dirty is False


def test_a_stage_that_reads_a_setting_which_its_entry_does_not_name_fails(project: Path) -> None:
    """Then an edit of the setting would not run the stage again."""

    def capture(params: Params, scenario: Scenario) -> Done:
        assert (params.capture.worlds, scenario.name, list(params.arms)) == (256, "queue_conflict", ["scratch"])
        return Done(f"noise {params.capture.noise}")

    with pytest.raises(InputError, match=r"dvc\.yaml: .* all settings that capture reads .*, CaptureParams\.noise is not"):
        run(capture, "queue_conflict")
    (project / "dvc.yaml").write_text(PIPELINE.replace("[capture.worlds,", "[capture.worlds, capture.noise,"))
    assert run(capture, "queue_conflict").says == "noise 0.3"


def test_a_stage_that_dvc_runs_refuses_settings_which_dvc_did_not_compare(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = load_scenario("queue_conflict")
    stored = resolved(for_scenario(load_params(), scenario), scenario)
    write_bytes(project / "data/queue_conflict/settings.json", pretty_json({"settings": stored}))
    monkeypatch.setattr("sys.argv", ["stage", "queue_conflict"])
    main(capture)
    assert capsys.readouterr().out == "captured\n"

    edited = (project / "params.yaml").read_text().replace("worlds: 256  # of each block", "worlds: 255")
    (project / "params.yaml").write_text(edited.replace("slip: 0.1", "slip: 0.2"))
    with pytest.raises(SystemExit):
        main(capture)
    assert (
        "settings.json: expected capture.worlds as params.yaml and scenarios/queue_conflict.yaml have it"
        in capsys.readouterr().err
    )
    (project / "params.yaml").write_text((ROOT / "params.yaml").read_text().replace("slip: 0.1", "slip: 0.2"))
    main(capture)  # it does not read this one


def test_a_stage_without_reports_keeps_no_record(project: Path) -> None:
    def catalogue(params: Params, scenario: Scenario) -> Done:
        return Done("listed")

    assert run(catalogue, "queue_conflict").says == "listed"
    assert not (project / "reports").exists()


def test_a_stage_that_the_pipeline_does_not_have_does_not_run(project: Path) -> None:
    def other(params: Params, scenario: Scenario) -> Done:
        raise AssertionError("ran")

    with pytest.raises(InputError, match=r"dvc\.yaml: expected a stage other"):
        run(other, "queue_conflict")


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        (
            "{candidate: mine, anneal: {arms: [mine]}, arms: {mine: *arm}}",
            r"recipe.anneal.arms: DVC trains those of params.yaml \(pretrained\), got mine; take anneal.arms out of the recipe, and override "
            "arms.pretrained",
        ),
        (
            "{baselines: [scratch]}",
            r"recipe.baselines: DVC trains those of params.yaml \(scratch, matched\), got scratch; .*override arms",
        ),
        ("{candidate: mine, arms: {mine: *arm}}", "recipe.candidate: DVC trains scratch, matched, pretrained .*got mine"),
    ],
)
def test_arms_of_a_recipe_that_dvc_does_not_train_are_refused_by_the_first_stage(project: Path, recipe: str, says: str) -> None:
    arm = load_params(project / "params.yaml").arms["pretrained"].model_dump_json(by_alias=True)
    with (project / "scenarios/queue_conflict.yaml").open("a") as file:
        file.write(f"recipe: {recipe.replace('*arm', arm)}\n")

    with pytest.raises(InputError, match=says):
        run(capture, "queue_conflict")
    assert not (project / "data/queue_conflict.txt").exists()


def test_a_failed_run_without_diagnostics_is_no_record(project: Path) -> None:
    run(capture, "queue_conflict")
    content = json.loads((project / "reports/queue_conflict/capture/run.json").read_text())
    with pytest.raises(ValidationError, match="needs at least one line of diagnostics"):
        RunRecord.model_validate(content | {"status": "failed"})


def test_the_code_of_another_tree_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "src/headstart").mkdir(parents=True)
    monkeypatch.setattr("sys.argv", ["stage", "queue_conflict"])
    with pytest.raises(SystemExit) as ended:
        main(capture)
    assert ended.value.code == 4
    said = capsys.readouterr().err
    assert said.startswith(f"error: {project}: expected the code of this tree, {project}/src/headstart, got that of {ROOT}/src")
    assert not (project / "reports").exists()


def test_the_last_line_of_a_stage_names_what_to_open(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def capture(params: Params, scenario: Scenario) -> Done:
        return Done("captured\n  twice", look="data/queue_conflict.txt")

    monkeypatch.setattr("sys.argv", ["stage", "queue_conflict"])
    main(capture)

    assert capsys.readouterr().out == "captured\n  twice\nlook: data/queue_conflict.txt\n"


@pytest.mark.parametrize(
    ("dvc", "command"), [(None, "headstart capture queue_conflict"), ("capture@queue_conflict", "dvc repro")]
)
def test_ctrl_c_ends_a_stage_with_130_and_the_command_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dvc: str | None, command: str
) -> None:
    def capture(params: Params, scenario: Scenario) -> Done:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "end_with_dvc", lambda: None)
    monkeypatch.setattr("sys.argv", ["stage", "queue_conflict"])
    monkeypatch.delenv("DVC_STAGE", raising=False) if dvc is None else monkeypatch.setenv("DVC_STAGE", dvc)
    with pytest.raises(SystemExit) as ended:
        main(capture)

    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (130, "")
    assert err == f"interrupted; complete files and checkpoints are kept, and this goes on: `{command}`\n"
