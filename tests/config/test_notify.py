"""A HOLD or a FAIL reaches a person, as JSON and nothing else; a message that cannot be delivered stops no stage."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError
from tests.config import test_stage
from tests.view.test_page import HOSTILE

from headstart.config import notify as notifying
from headstart.config.notify import OUTBOX, notify
from headstart.config.params import NotifyParams, Params, changed, for_scenario, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.config.settings import only, resolved
from headstart.config.stage import Done, run
from headstart.core.errors import GateFailed, Hold, InputError
from headstart.core.verdict import Outcome, Subject, at_least, judge

project = test_stage.project
WHOSE = ("evaluate", "walk")
QUIET = NotifyParams()


def keeps(path: Path) -> NotifyParams:
    """A command that writes its arguments and what it reads into a file."""
    code = f"import json, sys; json.dump([sys.argv[1:], sys.stdin.read()], open({str(path)!r}, 'w'))"
    return NotifyParams(command=(sys.executable, "-c", code, "a b", "$HOME"))


def outbox() -> list[dict[str, object]]:
    return [json.loads(line) for line in OUTBOX.read_text().splitlines()] if OUTBOX.exists() else []


def test_the_command_reads_the_line_of_the_outbox_and_no_shell_reads_its_arguments(
    tmp_path: Path, require_schema: Callable[[bytes | str, str], None]
) -> None:
    notify(keeps(tmp_path / "got.json"), ("anneal", "walk", "tiny"), "HOLD", HOSTILE, seed=42)
    arguments, text = json.loads((tmp_path / "got.json").read_text())
    assert arguments == ["a b", "$HOME"]
    assert [json.loads(text)] == outbox()
    assert OUTBOX.read_text() == text
    require_schema(text, "notification/1")
    message = outbox()[0]
    assert (message["reasons"], message["outcome"]) == (list(HOSTILE), "HOLD")
    assert (message["stage"], message["scenario"], message["arm"], message["seed"]) == ("anneal", "walk", "tiny", 42)


def test_messages_are_added_to_the_outbox_and_a_pass_is_none() -> None:
    assert notify(QUIET, WHOSE, "PASS", ()) is None
    assert not OUTBOX.exists()
    notify(QUIET, WHOSE, "FAIL", ["one"])
    notify(QUIET, WHOSE, "HOLD", ["two"])
    assert [(line["outcome"], line["reasons"]) for line in outbox()] == [("FAIL", ["one"]), ("HOLD", ["two"])]


def test_a_message_has_a_bounded_size() -> None:
    notify(QUIET, WHOSE, "FAIL", ["x" * 10_000] * 1000)
    assert [len(reason) for reason in outbox()[0]["reasons"]] == [500] * 20  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "command",
    [
        ("/nowhere/mail",),
        (sys.executable, "-c", "raise SystemExit(3)"),
        (sys.executable, "-c", "import time; time.sleep(60)"),
        ("a\0b",),
        ("true",),
    ],
    ids=["absent", "fails", "hangs", "not a path", "does not read"],
)
def test_a_command_that_does_not_work_is_said_in_one_line(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(notifying, "PATIENCE_S", 0.5)
    notify(NotifyParams(command=command), WHOSE, "HOLD", ["why"])
    said = capfd.readouterr().err
    assert (said == "") if command == ("true",) else said.startswith("note: a message was not delivered: notify.command: ")
    assert said.count("\n") <= 1
    assert len(outbox()) == 1


def test_a_command_that_takes_too_long_ends_with_all_that_it_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "PATIENCE_S", 1.0)
    child = "import os, time; open('child', 'w').write(str(os.getpid())); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    notify(NotifyParams(command=(sys.executable, "-c", code)), WHOSE, "HOLD", ["why"])
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(Path("child").read_text())).wait(timeout=30)


def test_an_outbox_that_cannot_be_written_does_not_keep_the_command_from_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    OUTBOX.mkdir(parents=True)
    notify(keeps(tmp_path / "got.json"), WHOSE, "HOLD", ["why"])
    assert (tmp_path / "got.json").exists()
    assert capfd.readouterr().err == f"note: a message was not delivered: {OUTBOX}: Is a directory\n"


def test_a_stage_tells_of_a_failed_gate_and_of_a_verdict_but_not_of_a_fault(project: Path) -> None:
    def failing(error: Exception) -> Callable[[Params, Scenario], Done]:
        def capture(params: Params, scenario: Scenario) -> Done:
            raise error

        return capture

    for error in (GateFailed("gate\nin two lines"), Hold("open"), InputError("fault")):
        with pytest.raises(type(error)):
            run(failing(error), "queue_conflict")
    assert [(line["outcome"], line["reasons"]) for line in outbox()] == [("FAIL", ["gate", "in two lines"]), ("HOLD", ["open"])]

    def compared(success: float) -> Callable[[Params, Scenario], Done]:
        def capture(params: Params, scenario: Scenario) -> Done:
            check = at_least("success", success, 0.9, "success of the candidate", on_miss=Outcome.HOLD)
            return Done("compared", verdict=judge(Subject(type="comparison", id="walk", sha256="0" * 64), [check], {}))

        return capture

    for success in (0.95, 0.5):
        assert run(compared(success), "queue_conflict").says == "compared"
    told = outbox()[2:]
    assert [(line["stage"], line["outcome"], line["reasons"]) for line in told] == [
        ("capture", "HOLD", ["HOLD: success of the candidate"])
    ]


def test_a_stage_passes_its_message_to_the_command_of_params_yaml(project: Path) -> None:
    def capture(params: Params, scenario: Scenario) -> Done:
        raise GateFailed("gate")

    command = json.dumps(keeps(project / "got.json").command)
    with (project / "params.yaml").open("a") as file:
        file.write(f"notify: {{command: {command}}}\n")
    with pytest.raises(GateFailed):
        run(capture, "queue_conflict")
    assert json.loads(json.loads((project / "got.json").read_text())[1])["reasons"] == ["gate"]


def test_whom_a_message_reaches_is_no_setting_that_a_stage_runs_again_for(project: Path) -> None:
    params, scenario = load_params(), load_scenario("queue_conflict")
    loud = changed(params, {"notify": {"command": ["mail"]}}, "test")
    assert resolved(for_scenario(loud, scenario), scenario) == resolved(for_scenario(params, scenario), scenario)
    part, _ = only(for_scenario(loud, scenario), scenario, ["capture.worlds"])
    assert part.notify.command == ("mail",)


def test_a_command_is_a_list_of_a_program_and_its_arguments() -> None:
    for wrong in ([], "mail"):
        with pytest.raises(ValidationError):
            NotifyParams.model_validate({"command": wrong})
