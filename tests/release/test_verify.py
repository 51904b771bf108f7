"""Any byte that is not the recorded one is found."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.own_experts import pole
from tests.released import Project

from headstart.config.history import parse_history
from headstart.core.contents import sealed_directory
from headstart.core.dvc_lock import content_md5, read_lock
from headstart.core.errors import HeadstartError
from headstart.core.files import write_record
from headstart.core.strict_json import canonical_json
from headstart.dataset.catalogue import change_mark, read_entries
from headstart.release.faults import Findings
from headstart.release.verify import contents_findings, environment_findings, verify
from headstart.runs.recorded import ENVIRONMENT, Environment
from headstart.worlds.make import environment_sha256


def problems(root: Path) -> list[str]:
    return [str(fault) for found in verify(root).values() for fault in found.faults]


@pytest.fixture
def whole(ready: Project) -> Path:
    return ready.root


def test_an_untouched_project_verifies(whole: Path) -> None:
    findings = verify(whole)

    assert problems(whole) == []
    assert {name: found.checked for name, found in findings.items()} == {
        "history lines": 3,
        "catalogue entries": 1,
        "marks of datasets": 0,
        "folders with contents.json": 0,
        "checkpoints": 20,
        "releases": 0,
        "environments": 0,
        "policies and evidence in git": 0,
        "entries of dvc.lock": 4,
        "outputs of stages": 4,
    }


def test_an_environment_that_changed_outside_the_repository_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scenarios").mkdir()
    scenario = pole({"policy": "ppo"})
    (tmp_path / "scenarios/pole.yaml").write_text(
        json.dumps(scenario.model_dump(mode="json", exclude={"name"}, exclude_unset=True))
    )
    path = tmp_path / "data/pole/source" / ENVIRONMENT
    write_record(path, Environment(sha256=environment_sha256(scenario.world, scenario.setup)))
    write_record(tmp_path / "data/town/source" / ENVIRONMENT, Environment(sha256=None))
    assert environment_findings(tmp_path) == Findings(1)

    monkeypatch.setattr("headstart.core.own_code.package_version", lambda name: "9.9")  # as after an upgrade of gymnasium
    (fault,) = environment_findings(tmp_path).faults
    problem = str(fault)
    assert problem.startswith("scenarios/pole.yaml: expected the environment ")
    assert problem.endswith("`dvc repro --force source@pole` and then `dvc repro` play it anew")


def test_any_flipped_byte_in_a_tracked_artefact_is_found(whole: Path) -> None:
    """A random byte of every artefact, and a dozen more of random ones; times and sizes stay as they were."""
    draw = random.Random(1)
    folders = ("models/walk", "reports/evaluate", "governance")
    files = [f for folder in folders for f in sorted((whole / folder).rglob("*")) if f.is_file() and f.name != ".gitignore"]
    assert len(files) > 40

    for path in [*files, *draw.choices(files, k=12)]:
        good = path.read_bytes()
        at = draw.randrange(len(good))
        path.write_bytes(good[:at] + bytes([good[at] ^ (1 << draw.randrange(8))]) + good[at + 1 :])
        assert problems(whole), f"{path}: byte {at} of {len(good)}"
        path.write_bytes(good)

    assert problems(whole) == []


@pytest.mark.parametrize("cut", [1, 50])
def test_a_cut_history_is_found(whole: Path, cut: int) -> None:
    path = whole / "governance/history.ndjson"
    path.write_bytes(path.read_bytes()[:-cut])

    assert any("governance/history.ndjson" in p for p in problems(whole))


def test_a_dropped_line_is_found_by_git_though_the_chain_holds(whole: Path) -> None:
    path = whole / "governance/history.ndjson"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    assert any("line 3: expected what revision" in p for p in problems(whole))


def test_a_chain_that_was_written_anew_is_found_by_git_even_if_committed(whole: Path) -> None:
    from headstart.config.history import GENESIS, line_sha256

    path = whole / "governance/history.ndjson"
    lines, previous = [], GENESIS
    for line in parse_history(path.read_bytes(), "history"):
        forged = line.model_copy(update={"actor": "Mallory", "prev_sha256": previous})
        forged = forged.model_copy(update={"sha256": line_sha256(forged)})
        lines.append(canonical_json(forged.model_dump(mode="json")) + b"\n")
        previous = forged.sha256
    path.write_bytes(b"".join(lines))
    assert parse_history(path.read_bytes(), "history")[0].actor == "Mallory"
    Project(whole).commit()

    assert any("line 1: expected what revision" in p for p in problems(whole))


def test_an_edited_catalogue_entry_is_found_and_a_new_tag_is_none(whole: Path) -> None:
    path = whole / "data/catalogue/walk.json"
    good = path.read_text()
    name = read_entries(whole)[0].name

    change_mark(whole, name, lambda mark: mark.model_copy(update={"tags": ("spring",)}))
    assert problems(whole) == []

    path.write_text(good.replace('"episodes": 2', '"episodes": 3'))
    assert any("expected the entry that HEAD holds, found another" in p for p in problems(whole))


def test_what_is_not_checked_out_is_no_problem(whole: Path) -> None:
    subprocess.run(["rm", "-r", "models/walk", "reports"], cwd=whole, check=True)

    assert problems(whole) == []


def test_a_directory_hashes_as_dvc_hashes_it(whole: Path, tmp_path: Path) -> None:
    """Names whose order by parts and by text differ."""
    for stage in read_lock(whole):
        for path, md5 in stage.outs.items():
            assert content_md5(whole / path) == md5
    odd = whole / "odd"
    for name in ("a/z", "a-b/y", "a.b", "é/ü"):
        (odd / name).parent.mkdir(parents=True, exist_ok=True)
        (odd / name).write_text(name)
    Project(whole).dvc("add", "--quiet", "odd")

    assert content_md5(odd) in (whole / "odd.dvc").read_text()


def test_a_lock_that_is_none_is_named(whole: Path) -> None:
    (whole / "dvc.lock").write_text("stages: 3\n")

    with pytest.raises(HeadstartError, match=r"dvc\.lock: expected a lock file of DVC"):
        read_lock(whole)


def test_a_fetched_version_is_no_fault_for_lying_elsewhere_and_a_copy_among_the_data_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with sealed_directory(Path("data/walk/curated")) as folder:
        (folder / "train.h5").write_bytes(b"steps")
    shutil.copytree("data/walk", "datasets/walk@0123456789ab")
    assert contents_findings(Path()) == Findings(1, ())
    shutil.copytree("data/walk", "data/run")
    (fault,) = contents_findings(Path()).faults
    assert "found a copy of" in fault.text
