"""`headstart evidence` and `headstart results`."""

import sys
from pathlib import Path

import pytest
from tests.arms import arm_runs, clones_of
from tests.experiments import experiment_record

from headstart.cli import main as cli
from headstart.compare.comparison import compare
from headstart.compare.findings import ComparisonLimits
from headstart.config.params import load_params
from headstart.config.scenario import Target
from headstart.core.files import write_record
from headstart.runs.experiment import ExperimentRecord, fingerprint, record_path

ROOT = Path(__file__).parents[2]


def headstart(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["headstart", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without records."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(name: str, **changes: str) -> ExperimentRecord:
    candidate, scratch = arm_runs("pretrained", [1] * 10), arm_runs("scratch", [9] * 10)
    target = Target(name="reliable", success_rate=0.9)
    found = compare(candidate, [scratch], clones_of(candidate), target, ComparisonLimits(resamples=20))
    return experiment_record(found, name).model_copy(update=changes)


def test_results_without_records_say_what_makes_them(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert headstart(monkeypatch, "results") == 3
    assert "found none; `headstart evidence` makes them" in capsys.readouterr().err


def test_results_writes_a_page_of_the_records_that_there_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_record(record_path("no_bc"), record("no_bc"))
    today = fingerprint(load_params(), "no_kl")
    write_record(record_path("no_kl"), record("no_kl", **today))

    assert headstart(monkeypatch, "results") == 0

    page = (root / "docs/results.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## no_bc", "## no_kl"]
    (old,), (new,) = ([row for row in page.splitlines() if row.startswith(f"| [{name}]")] for name in ("no_bc", "no_kl"))
    assert ("(changed since)" in old, "(changed since)" in new) == (True, False)
    assert (root / "docs/pictures/no_bc.png").exists()


def test_what_is_on_record_with_todays_code_and_settings_is_not_run_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(record_path("no_kl"), record("no_kl", **fingerprint(load_params(), "no_kl")))

    assert headstart(monkeypatch, "evidence", "no_kl") == 0
    assert "no_kl: on record, with today's code and settings" in capsys.readouterr().out
