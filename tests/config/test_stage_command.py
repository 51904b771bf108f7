"""The command that an error names is one that DVC takes."""

from pathlib import Path

import pytest

from headstart.config.stage_command import pipeline_command, stage_command


def test_a_stage_of_a_scenario_that_dvc_does_not_know_is_run_as_an_experiment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("scenarios: [queue_conflict, walk]\n")
    assert stage_command("expert", "queue_conflict") == "dvc repro expert@queue_conflict"
    assert stage_command("baseline", "walk", "scratch") == "dvc repro baseline@walk-scratch"
    assert stage_command("expert", "nav_mixed") == "dvc exp run -S 'scenarios=[nav_mixed]'"
    assert stage_command("expert", "nav_mixed", scenarios=("nav_mixed",)) == "dvc repro expert@nav_mixed"
    assert (pipeline_command("walk"), pipeline_command("nav_mixed")) == ("dvc repro", "dvc exp run -S 'scenarios=[nav_mixed]'")


def test_an_edit_of_the_settings_is_seen_and_settings_that_cannot_be_read_hide_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert stage_command("expert", "walk") == "dvc repro expert@walk"
    Path("params.yaml").write_text("scenarios: [other]\n")
    assert stage_command("expert", "walk").startswith("dvc exp run")
    Path("params.yaml").write_text("scenarios: [walk] # edited\n")
    assert stage_command("expert", "walk") == "dvc repro expert@walk"
    Path("params.yaml").write_text("scenarios: {\n")
    assert stage_command("expert", "walk") == "dvc repro expert@walk"
