"""`headstart evidence` and `headstart results`."""

import sys
from pathlib import Path

import pytest

from headstart.cli import main as cli

ROOT = Path(__file__).parents[2]


def test_results_without_records_say_what_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["headstart", "results"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert "found none; `headstart evidence` makes them" in capsys.readouterr().err
