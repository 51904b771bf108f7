"""`headstart deps` writes what stages import, keeps what a person wrote, and names what it cannot use."""

import os
from pathlib import Path

import pytest

from headstart.cli.deps import deps, with_deps
from headstart.core.errors import InputError, UsageError

TEXT = """\
# a comment of the pipeline
stages:
  evaluate:  # of the stage
    cmd: ./stage evaluate ${item.scenario}
    deps:
      - src/headstart/cli/main.py
      - src/mine/extra.py
      - data/in.txt  # of a dep
    outs:
      - out.txt
  own:
    cmd: [python one.py, python two.py]
    deps: [one.py, two.py: {}]
"""


def test_only_the_deps_on_the_package_are_replaced() -> None:
    written = with_deps(TEXT)
    assert "src/headstart/cli/main.py" not in written
    for kept in (
        "# a comment of the pipeline",
        "# of the stage",
        "- src/mine/extra.py",
        "- data/in.txt",
        "deps: [one.py, two.py: {}]",
    ):
        assert kept in written
    assert "- src/headstart/stages/evaluate.py" in written
    commented = written.replace("- data/in.txt", "- data/in.txt  # of a dep")
    assert with_deps(commented) == commented


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT.replace("./stage evaluate", "./stage evalaute"), "evaluate: expected one of the stages anneal, .*, got evalaute"),
        ("", "expected `stages:` at the top"),
        ("stages: [1]", "expected `stages:` at the top"),
        ("stages: {", "not readable as YAML"),
    ],
)
def test_a_pipeline_that_is_none_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_deps(text)


def test_a_stage_without_deps_gets_them() -> None:
    assert "- src/headstart/stages/curate.py" in with_deps("stages:\n  curate:\n    cmd: ./stage curate x\n")


def test_a_project_without_sources_gets_none_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(TEXT)
    with pytest.raises(UsageError, match=r"dvc\.yaml: expected sources in src/headstart/, there are none"):
        deps()
    assert (os.listdir(), Path("dvc.yaml").read_text()) == (["dvc.yaml"], TEXT)
