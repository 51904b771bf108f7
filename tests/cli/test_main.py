"""The command line: what it lists, and that a user's mistake or a full disk ends in one line that helps."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import headstart

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "settings",
    "source",
    "expert",
    "capture",
    "curate",
    "validate",
    "bc-train",
    "baseline",
    "anneal",
    "evaluate",
    "play",
    "report",
    "evidence",
    "results",
    "compile",
    "catalogue",
    "lineage",
    "schedule",
    "drill",
    "promote",
    "release",
    "verify",
    "formats",
    "export",
]


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working directory with params.yaml, dvc.yaml and scenarios/, and nothing that a stage made."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_lists_the_commands(command) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = command("--help")

    assert code == 0
    for name in COMMANDS:
        assert f" {name} " in out, name


def test_releasing_and_verifying_need_neither_torch_nor_numba() -> None:
    modules = "headstart.release.record, headstart.release.promote, headstart.release.rollback, headstart.release.verify"
    script = f"import sys, {modules}; print(sorted({{'torch', 'numba', 'matplotlib'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


NO_TORCH = """
import sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name=name)
sys.meta_path.insert(0, NotInstalled())
"""


@pytest.mark.parametrize(
    "modules",
    [
        "headstart.stages.expert, headstart.stages.capture, headstart.stages.curate, headstart.stages.validate",
        "headstart.stages.catalogue, headstart.stages.baseline, headstart.stages.anneal, headstart.stages.evaluate",
        "headstart.view.report, headstart.view.play",
        "headstart.guard.simulation, headstart.compare.comparison, headstart.compare.shift",
    ],
)
def test_what_reads_decides_and_reports_imports_where_there_is_no_torch(modules: str) -> None:
    script = f"{NO_TORCH}import {modules}"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.parametrize("arguments", [["bc-train", "queue_conflict"], ["drill", "rollback"]])
def test_a_command_that_needs_torch_says_so(arguments: list[str]) -> None:
    script = f"{NO_TORCH}sys.argv[1:] = {arguments!r}\nfrom headstart.cli.main import main\nmain()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 9
    assert "needs torch: `pip install torch`" in done.stderr and "Traceback" not in done.stderr


def test_help_needs_neither_torch_nor_numba_nor_matplotlib() -> None:
    script = "import sys, headstart.cli.main; print(sorted({'torch', 'numba', 'matplotlib', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["capture", "queue_conflit"], 2, "no scenario 'queue_conflit' (did you mean 'queue_conflict'?); scenarios/ has"),
        (["capture", "../params"], 2, "no scenario '../params'"),
        (["report", "queue_conflit"], 2, "no scenario 'queue_conflit' (did you mean 'queue_conflict'?)"),
        (["report"], 3, "reports/evaluate/queue_conflict: expected comparisons; `dvc repro evaluate@queue_conflict` makes them"),
        (
            ["expert", "queue_conflict", "--worlds", "-3"],
            3,
            "--worlds: expert.worlds: Input should be greater than or equal to 1, got -3",
        ),
        (["expert", "queue_conflict", "--worlds", "10000000000000"], 3, "less than or equal to 1000000"),
        (["evaluate", "queue_conflict"], 3, "baseline/scratch/runs.json: expected a file, found none"),
        (["curate", "queue_conflict"], 3, "expected"),
        (
            ["release", "record", "queue_conflict", "--by", "Ada"],
            3,
            "beyond_expert.json: expected a file, found none; `dvc repro evaluate@queue_conflict`",
        ),
        (["release", "record", "queue_conflict", "--by", "Ada", "--target", "x"], 2, "expected one of the targets"),
        (
            ["release", "rollback", "queue_conflict", "--by", "Ada", "--reason", "x"],
            3,
            "expected a release to roll back, none was ever",
        ),
        (
            ["promote", "queue_conflict", "--by", "Ada", "--reason", "x"],
            5,
            "expected 2 passes in a row, counted 0: nothing was judged",
        ),
        (["drill", "rollback", "--guardrail", "kpi"], 2, "expected a guardrail that can break (nonfinite, policy_kl"),
        (["drill", "rollback", "--arm", "scratch"], 2, "arm 'scratch' starts from random weights"),
        (["drill", "rollback", "--record"], 2, "--record: expected --by NAME"),
        (["drill", "rollback", "--record", "--by", "Ada", "--guardrail", "entropy"], 2, "expected a drill of all guardrails"),
        (["play", "queue_conflict", "--ticks", "128"], 2, "ticks: expected 0 to 127, got 128"),
        (["play", "queue_conflict", "--policy", "nowhere"], 3, "nowhere/card.json: expected a file, found none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_ends_in_one_line_that_says_what_was_expected_and_where(  # type: ignore[no-untyped-def]
    command, arguments: list[str], code: int, words: str
) -> None:
    found, _, err = command(*arguments)

    assert found == code
    assert err.startswith("error: ")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["play"], ["play", "queue_conflict", "--seed", "-1"], ["play", "x", "--seed", "y"]]
)
def test_a_wrong_call_exits_with_2_and_no_traceback(command, arguments: list[str]) -> None:  # type: ignore[no-untyped-def]
    code, _, err = command(*arguments)

    assert code == 2
    assert "Error" in err
    assert "Traceback" not in err


def test_a_command_finds_the_project_from_any_folder_below_it(  # type: ignore[no-untyped-def]
    command, in_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = in_project / "notes" / "today"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)

    code, out, _ = command("play", "queue_conflict", "--ticks", "0", "--png", "town.png")

    assert (code, out) == (0, "open notes/today/town.png\n")
    assert (below / "town.png").exists()


def test_outside_of_a_project_a_command_says_so(command, in_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(in_project.parent)

    code, _, err = command("catalogue", "list")

    assert code == 3
    assert err == (
        f"error: {in_project.parent}: expected a project, with params.yaml here or in a folder above, found none; "
        "go to one, or make one with `headstart init`\n"
    )


def test_the_version_is_that_of_the_package(command) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = command("--version")
    assert (code, out) == (0, f"headstart {headstart.__version__}\n")


def test_a_new_network_and_the_expert_are_shown_side_by_side(command, in_project: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = command("play", "queue_conflict", "--ticks", "3", "--against", "untrained", "--gif", "both.gif")

    assert (code, out) == (0, "open both.gif\n")
    with Image.open(in_project / "both.gif") as picture:
        assert picture.n_frames == 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["link.png", "folder", ".", "/dev/null"])
def test_a_picture_replaces_nothing_but_a_file(command, in_project: Path, name: str) -> None:  # type: ignore[no-untyped-def]
    (in_project / "file.png").touch()
    (in_project / "link.png").symlink_to("file.png")
    (in_project / "folder").mkdir()

    code, _, err = command("play", "queue_conflict", "--ticks", "0", "--png", name)

    assert code == 2
    assert "expected the name of a file" in err
    assert (in_project / "link.png").is_symlink() and Path("/dev/null").is_char_device()


def test_two_worlds_need_a_picture(command) -> None:  # type: ignore[no-untyped-def]
    code, _, err = command("play", "queue_conflict", "--against", "untrained")
    assert code == 2
    assert "--against: expected --html FILE, --gif FILE or --mp4 FILE beside it" in err


def test_a_params_file_that_is_no_yaml_is_named(command, in_project: Path) -> None:  # type: ignore[no-untyped-def]
    (in_project / "params.yaml").write_text("seeds: [0, 1\n")

    code, _, err = command("evaluate", "queue_conflict")

    assert code == 3
    assert err.startswith("error: params.yaml: not readable as YAML")
    assert err.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_named(command, in_project: Path) -> None:  # type: ignore[no-untyped-def]
    (in_project / "file").touch()

    code, _, err = command("play", "queue_conflict", "--ticks", "0", "--png", "file/town.png")

    assert code == 2
    assert err == "error: file/town.png: expected a folder above it, file is a file\n"


def test_a_full_disk_is_named(command, in_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def full(path: Path, _: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", full)

    code, _, err = command("play", "queue_conflict", "--ticks", "0", "--png", "town.png")

    assert code == 3
    assert err.startswith("error: town.png: expected room on the disk, which is full (No space left on device)")
    assert err.count("\n") == 1
    assert not list(in_project.glob(".town.png*"))


def test_a_world_without_text_names_the_files_that_show_it(command, in_project: Path) -> None:  # type: ignore[no-untyped-def]
    (in_project / "scenarios/cartpole.yaml").write_bytes((ROOT / "scenarios/cartpole.yaml").read_bytes())
    code, _, err = command("play", "cartpole")
    assert code == 2
    assert err == "error: cartpole: expected --html, --gif, --mp4 or --png FILE, for a gym world is drawn in pixels only\n"


def test_play_writes_a_picture_or_text(command, in_project: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = command("play", "queue_conflict", "--ticks", "2", "--png", "town.png")
    assert (code, out) == (0, "open town.png\n")
    assert (in_project / "town.png").read_bytes().startswith(b"\x89PNG")

    code, out, _ = command("play", "queue_conflict", "--ticks", "2")
    assert code == 0
    assert out.count("tick ") == 3
    assert "\x1b" not in out
