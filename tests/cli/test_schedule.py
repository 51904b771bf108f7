"""`headstart schedule`: exit codes, what is printed, and that nothing heavy is loaded."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from headstart.telemetry.kinds import Envelope
from headstart.telemetry.writer import TelemetryWriter

ROOT = Path(__file__).parents[2]
Command = Callable[..., tuple[int, str, str]]
LOOSE = {
    "schema": "anneal-schedule/1",
    "start": "bc",
    "phases": [{"name": "tune", "kind": "ppo", "env_steps": 262144, "learning_rate": 0.001}],
    "guardrails": {"entropy": {"enabled": False}},
}


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with params.yaml, scenarios/ and a schedule whose guardrail is off."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "loose.yaml").write_text(yaml.safe_dump(LOOSE))
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(LOOSE | {"guardrails": {"entropi": {}}}))
    (tmp_path / "bad.tsv").write_text("kind\tenv_steps\nupdate\tsoon\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(command: Command) -> Command:
    """A function: arguments after `schedule` → exit code, stdout, stderr."""
    return partial(command, "schedule")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "pretrained"], 0),
        (["check", "jumpstart", "--scenario", "nav_mixed"], 0),
        (["check", "loose.yaml"], 5),
        (["check", "wrong.yaml"], 3),
        (["simulate", "pretrained", "--trace", "steady"], 0),
        (["simulate", "pretrained", "--trace", "nan@20"], 0),
        (["simulate", "pretrained", "--trace", "cliff"], 5),
        (["simulate", "pretrained", "--trace", "oscillate"], 5),
        (["simulate", "loose.yaml", "--trace", "steady"], 5),
        (["simulate", "classic", "--trace", "bc-fails"], 6),
        (["simulate", "classic", "--trace", "bc-fails", "--expect", "FAIL"], 0),
        (["simulate", "classic", "--trace", "bc-fails", "--expect", "HOLD"], 6),
        (["simulate", "classic", "--trace", "steady", "--expect", "FAIL"], 6),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_exit_code_says_how_it_ended(command: Command, arguments: list[str], code: int) -> None:
    assert command(*arguments)[0] == code


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["check", "pretraind"], 2, "expected a .yaml file or an arm of params.yaml (scratch, matched, pretrained, "),
        (["check", "nowhere.yaml"], 3, "nowhere.yaml: expected a file, found none"),
        (["check", "pretrained", "--scenario", "queue_conflit"], 2, "did you mean 'queue_conflict'?"),
        (["check", "params.yaml"], 3, "params.yaml: expected schema: anneal-schedule/1 at the top, got scenarios, seeds"),
        (["simulate", "wrong.yaml", "--trace", "steady"], 3, "unknown guardrail 'entropi' (did you mean 'entropy'?)"),
        (["simulate", "pretrained", "--trace", "stedy"], 2, "trace: expected one of steady, improve"),
        (["simulate", "pretrained", "--trace", "no.tsv"], 3, "no.tsv: expected a file, found none"),
        (["simulate", "pretrained", "--trace", "bad.tsv"], 3, "bad.tsv, line 2: expected update or evaluation"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line(command: Command, arguments: list[str], code: int, words: str) -> None:
    found, _, err = command(*arguments)
    assert found == code
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


def test_check_names_every_problem(command: Command) -> None:
    out = command("check", "loose.yaml")[1]
    assert "budget: 262,144 env steps" in out
    assert "\nhold   phases.tune.guardrails.entropy: looser than the default" in out
    assert out.endswith("\nloose.yaml: HOLD\n")


def test_a_scenario_brings_its_recipe_and_its_metrics(command: Command) -> None:
    _, town, _ = command("check", "pretrained", "--scenario", "employment_punctuality")
    assert "1,474,560 env steps" in town
    assert "queue_events" in town
    _, nav, _ = command("check", "pretrained", "--scenario", "nav_mixed")
    assert "queue_events" not in nav


def test_a_rehearsal_is_recorded_and_gives_its_events_again(command: Command, in_project: Path) -> None:
    first = command("simulate", "pretrained", "--trace", "noisy:5", "--tsv", "mine.tsv")[1]
    assert "rollback" in first
    assert command("simulate", "pretrained", "--trace", "mine.tsv")[1] == first


def test_a_rehearsal_is_drawn_with_the_same_bytes_each_time(command: Command, in_project: Path) -> None:
    for name in ("a.svg", "b.svg"):
        command("simulate", "classic", "--trace", "noisy:3", "--svg", name)
    drawn = (in_project / "a.svg").read_bytes()
    assert drawn == (in_project / "b.svg").read_bytes()
    assert drawn.startswith(b"<?xml")
    for word in (b"return_normalised", b"practise", b"refine"):
        assert word in drawn


@pytest.mark.parametrize(
    "arguments", [["check", "pretrained"], ["simulate", "pretrained", "--trace", "cliff", "--expect", "HOLD"]]
)
def test_neither_command_needs_torch_or_numba(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "for name in ('torch', 'numba', 'scipy', 'matplotlib'): sys.modules[name] = None\n"
        f"sys.argv = ['headstart', 'schedule', *{arguments!r}]\n"
        "from headstart.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_telemetry_of_a_run_is_a_trace(command: Command, in_project: Path) -> None:
    envelope = Envelope(run_id="a", arm="pretrained", world="town", scenario="queue_conflict", seed=0, stage="anneal")
    began = {"phase": "warm_up", "phase_index": 0, "phase_kind": "critic", "rollback_target": "warm_up-start-0"}
    with TelemetryWriter(in_project / "seed-0", envelope) as telemetry:
        telemetry.write("phase_started", env_steps=0, **began, baselines={"success_rate": 0.9})
        telemetry.write("reading", env_steps=4096, check="update", values={"nonfinite": 0.0, "grad_norm": 0.5})
        telemetry.write("reading", env_steps=8192, check="update", values={"nonfinite": 1.0, "grad_norm": "inf"})
    code, out, _ = command("simulate", "pretrained", "--trace", "seed-0")
    assert code == 5  # the run has not come to its end
    assert "grad_norm inf is not finite" in " ".join(out.split())
    assert "rollback     to warm_up@0" in out


def test_a_folder_without_telemetry_is_no_trace(command: Command, in_project: Path) -> None:
    (in_project / "empty").mkdir()
    code, _, err = command("simulate", "pretrained", "--trace", "empty")
    assert (code, err) == (3, "error: empty: expected telemetry-0000.ndjson, found none\n")
