"""From two verdicts to a release, and everything that stands in the way of one."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from tests.released import Project

from headstart.compare.findings import ComparisonLimits
from headstart.core.errors import GateFailed, Hold, InputError, IntegrityError
from headstart.core.strict_json import pretty_json
from headstart.release.history import Drilled, Judged, read_history
from headstart.release.lock import require_release
from headstart.release.promote import promote
from headstart.release.record import LOOSER_IF_LESS, LOOSER_IF_MORE, differences, record_drill, record_verdict
from headstart.release.rollback import roll_back


def test_two_passes_of_two_processes_make_a_candidate_ready(ready: Project) -> None:
    found = ready.standing()

    assert (found.state, found.pass_streak) == ("ready", 2)
    assert found.passed.candidate.checkpoint == "models/walk/anneal/pretrained/seed-10"  # 96 of 100: the best last evaluation


def test_promotion_writes_the_history_and_the_registry_and_keeps_the_way_back(ready: Project) -> None:
    done = ready.headstart("promote", "walk", "--by", "Ada", "--reason", "spring release")

    assert done.code == 0, done.err
    assert ready.standing().state == "promoted"
    found = ready.standing()
    assert found.current.id in done.out
    assert found.verified(found.current)
    assert found.previous.arm == found.initial.arm == "scratch"
    require_release(found.previous, ready.root / ".headstart/releases" / found.previous.id)
    assert ready.git("tag").split() == ["walk#prod#1", "walk@v1.0.0"]
    assert "current, v1.0.0\n" in ready.headstart("release", "list").out
    last = read_history(ready.root / "governance/history.ndjson")[-1]
    assert (last.actor, last.reason, last.record.version) == ("Ada", "spring release", "v1.0.0")


def test_dvc_gets_the_arm_of_the_release_in_use_and_none_after_a_rollback_to_the_baseline(ready: Project) -> None:
    def get(folder: str) -> int:
        command = ["dvc", "artifacts", "get", "--quiet", ".", "walk", "--stage", "prod", "--out", folder]
        return subprocess.run(command, cwd=ready.root, capture_output=True).returncode

    release = promote(ready.root, "walk", "Ada", "spring")
    ready.commit()
    ready.train(range(30, 40))
    ready.commit()
    assert get("got") == 0
    require_release(release, ready.root / "got/seed-10")

    roll_back(ready.root, "walk", "Ada", "worse")
    assert get("more") != 0


def test_a_promotion_that_was_interrupted_before_its_tags_gets_them_from_the_next_command(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when the line was written: the history has it, the registry does not."""
    with monkeypatch.context() as patch:
        patch.setattr(
            "headstart.release.registry.tagged_commit", lambda root, tag: "a" * 40 if ready.standing().versions else None
        )
        patch.setattr("gto.api.find_versions_in_stage", lambda *arguments, **options: interrupt())
        with pytest.raises(KeyboardInterrupt):
            promote(ready.root, "walk", "Ada", "spring")
    assert ready.standing().state == "promoted"
    assert not ready.git("tag")
    ready.commit()

    with pytest.raises(Hold, match=r"was promoted by Ada: spring.*Changed now: walk@v1\.0\.0, walk#prod \(v1\.0\.0\)"):
        roll_back(ready.root, "walk", "Ada", "no")

    assert ready.git("tag").split() == ["walk#prod#1", "walk@v1.0.0"]
    assert ready.headstart("verify").code == 0
    roll_back(ready.root, "walk", "Ada", "no")


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_line_that_a_crash_tore_does_not_stand_in_the_way_even_if_it_was_committed(ready: Project) -> None:
    path = ready.root / "governance/history.ndjson"
    with path.open("ab") as file:
        file.write(b'{"actor":"Ad')
    ready.commit()
    assert ready.headstart("verify").code == 4

    with pytest.raises(Hold, match="expected all its lines in git"):
        promote(ready.root, "walk", "Ada", "spring")  # the torn line is set aside
    ready.commit()
    promote(ready.root, "walk", "Ada", "spring")

    assert ready.standing().state == "promoted"


def test_a_tag_that_was_moved_is_found(ready: Project) -> None:
    promote(ready.root, "walk", "Ada", "spring")
    ready.commit()
    ready.git("tag", "--force", "--annotate", "--message", "moved", "walk@v1.0.0", "HEAD")

    done = ready.headstart("verify")

    assert done.code == 4
    assert "tag walk@v1.0.0: expected revision" in done.err


def test_after_a_promotion_everything_verifies_and_a_second_one_needs_new_passes(ready: Project) -> None:
    promote(ready.root, "walk", "Ada", "spring")
    ready.commit()

    assert ready.headstart("verify").code == 0
    with pytest.raises(Hold, match="expected 2 passes in a row, counted 0"):
        promote(ready.root, "walk", "Ada", "again")


def test_one_pass_is_not_enough(project: Project) -> None:
    project.record()
    project.commit()

    done = project.headstart("promote", "walk", "--by", "Ada", "--reason", "hurry")

    assert done.code == 5
    assert "counted 1: needs 1 more pass in a row" in done.err
    assert not project.git("tag")


def test_the_same_evidence_counts_once(project: Project) -> None:
    for _ in range(2):
        _, standing = project.record()

    assert "10 of its checkpoints were judged before" in standing.note
    assert project.standing().pass_streak == 1


def test_seeds_that_were_judged_before_do_not_count_again(project: Project) -> None:
    project.record()
    project.train(range(1, 11))
    project.commit()

    assert "checkpoints were judged before" in project.record()[1].note
    assert project.standing().pass_streak == 1


def test_an_easier_target_starts_its_own_count(project: Project) -> None:
    project.record()
    project.train(range(10, 20))
    project.commit()

    project.record("easy")

    assert (project.standing().state, project.standing().pass_streak) == ("monitoring", 1)


@pytest.mark.parametrize("other", [{"env_steps": 786432}, {"learning_rate": 0.002}], ids=["budget", "recipe"])
def test_two_passes_against_different_baselines_do_not_add_up(project: Project, other: dict[str, Any]) -> None:
    first, _ = project.record()
    project.train(range(10, 20), scratch=other)
    project.commit()

    second, standing = project.record()

    assert isinstance(first.record, Judged) and isinstance(second.record, Judged)
    assert first.record.outcome == second.record.outcome == "PASS"
    assert first.record.design_sha256 == second.record.design_sha256
    assert first.record.key != second.record.key
    assert (standing.state, standing.pass_streak) == ("monitoring", 1)
    project.train(range(20, 30), scratch=other)
    project.commit()
    assert project.record()[1].pass_streak == 2


def test_a_failed_verdict_refuses_with_6(ready: Project) -> None:
    ready.train(range(20, 30), good=False)
    ready.commit()
    record_verdict(ready.root, "walk", "Ada")

    assert ready.standing().last_result == "FAIL"
    with pytest.raises(GateFailed, match="FAIL: the count of passes begins again"):
        promote(ready.root, "walk", "Ada", "anyway")


def test_a_verdict_on_a_tree_with_changes_is_not_written(project: Project) -> None:
    (project.root / "dvc.yaml").write_text((project.root / "dvc.yaml").read_text() + "# edited\n")

    with pytest.raises(Hold, match=r"changed: dvc\.yaml"):
        record_verdict(project.root, "walk", "Ada")

    assert not (project.root / "governance").exists()


def test_a_verdict_on_code_that_did_not_train_the_arm_is_refused(project: Project) -> None:
    compiled = project.root / "src/learner/__pycache__/rule.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"compiled")
    (project.root / "src/learner/rule.py").write_text("learn = False\n")
    project.commit()
    with pytest.raises(IntegrityError, match=r"src/learner: expected MD5 \w+\.dir, with which anneal_walk-pretrained ran"):
        project.record()

    (project.root / "src/learner/rule.py").write_text("learn = True\n")
    project.commit()
    project.record()  # what Python compiled on the way is no code


def test_a_small_number_is_the_same_in_params_and_in_the_lock_of_dvc(project: Project) -> None:
    params = project.root / "params.yaml"
    content = yaml.safe_load(params.read_text())
    content["arms"]["pretrained"]["phases"][0]["learning_rate"] = 0.00005
    params.write_text(yaml.safe_dump(content).replace("5.0e-05", "0.00005"))
    project.dvc_commit()
    project.commit()
    assert "5e-05" in (project.root / "dvc.lock").read_text()
    line, _ = project.record()
    assert line.record.kind == "verdict"


def _stricter(params: dict[str, Any]) -> None:
    params["comparison"]["max_ratio"] = 0.1


def _another_baseline(params: dict[str, Any]) -> None:
    params["baselines"] = ["scratch", "matched"]
    params["arms"]["matched"]["phases"][0]["env_steps"] *= 2


@pytest.mark.parametrize("in_lock", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            _stricter,
            r"expected limits\.max_ratio 0\.1, as params\.yaml and the runs give it, found 0\.7; `dvc repro evaluate@walk`",
        ),
        (_another_baseline, "expected the candidate pretrained against scratch, matched, as params.yaml has them, found runs of"),
    ],
)
def test_a_comparison_by_other_rules_than_those_of_params_is_refused(
    project: Project, change: Callable[[dict[str, Any]], None], words: str, in_lock: bool
) -> None:
    project.set_params(change)
    if in_lock:
        project.dvc_commit()  # what `dvc commit --force` does: dvc.lock says that evaluate ran with them
    project.commit()

    with pytest.raises(IntegrityError, match=rf"^reports/evaluate/walk/beyond\.json: {words}"):
        project.record()
    assert not (project.root / "governance").exists()


@pytest.mark.parametrize(
    "where",
    [
        ("grid", 0, "online", "upper"),
        ("grid", 0, "baseline", "passages", 3, "after"),
        ("candidate", "exams", "sampled", "success"),
        ("candidate", "curves", "return", "high", 5),
        ("final", "expert", "return", "mean"),
        ("beyond", "planned_power", "share"),
        ("verdict", "checks", -1, "measured"),
    ],
    ids=str,
)
def test_a_number_that_the_runs_do_not_give_is_refused(project: Project, where: tuple[str | int, ...]) -> None:
    path = project.root / "reports/evaluate/walk/beyond.json"
    content = json.loads(path.read_text())
    assert content["verdict"]["checks"][-1]["name"].startswith("shift-")
    part = content
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] += 1 if isinstance(part[where[-1]], int) else 1e-6
    path.write_bytes(pretty_json(content))
    project.dvc_commit()
    project.commit()

    named = "".join(f"[{key % len(content['verdict']['checks'])}]" if isinstance(key, int) else f".{key}" for key in where)
    with pytest.raises(IntegrityError, match=re.escape(f"expected {named[1:]} ")):
        project.record()


def test_a_comparison_of_another_processor_is_the_same() -> None:
    """Floats may differ in their last bits; nothing else may differ at all."""
    one = {"mean": 0.1 + 0.2, "runs": [1, 2], "text": "a", "median": None}

    assert list(differences(one, one | {"mean": 0.3})) == []
    assert list(differences(one, one | {"mean": 0.3000001})) == [("mean", 0.1 + 0.2, 0.3000001)]
    assert list(differences(one, one | {"runs": [1, 2, 3]})) == [("runs[2]", None, 3)]
    assert list(differences(one, one | {"text": "b", "median": 1.0})) == [("text", "a", "b"), ("median", None, 1.0)]
    assert list(differences(one, {"mean": one["mean"], "runs": [1, 2], "text": "a"} | {"more": {"x": 1}})) == [
        ("more", None, {"x": 1})
    ]


def test_a_loosened_rule_does_not_count(project: Project) -> None:
    project.set_params(lambda params: params["comparison"].update(max_ratio=3.0, max_harm_rise=0.5))
    project.compare()
    project.dvc_commit()
    project.commit()

    _, standing = record_verdict(project.root, "walk", "Ada")

    assert "check of its schedule: max_ratio, max_harm_rise" in standing.note
    assert standing.pass_streak == 0


def test_passes_under_stricter_rules_add_up_because_they_are_passes_under_the_default(project: Project) -> None:
    project.record()
    project.set_params(lambda params: params["comparison"].update(max_ratio=0.6))
    project.train(range(10, 20))
    project.commit()

    assert project.record()[1].pass_streak == 2
    decides_nothing = {"planned_ratio", "planned_log_sd", "resamples"}
    assert {*LOOSER_IF_MORE, *LOOSER_IF_LESS} == ComparisonLimits.model_fields.keys() - decides_nothing


def test_a_verdict_without_distribution_shift_does_not_count(project: Project) -> None:
    project.compare(shift=False)
    project.dvc_commit()
    project.commit()

    line, standing = record_verdict(project.root, "walk", "Ada")

    assert line.record.outcome == "PASS"  # type: ignore[union-attr]
    assert (standing.pass_streak, "looser than the default" in standing.note) == (0, True)
    assert "variant_worlds" in standing.note


def test_a_schedule_that_its_check_holds_does_not_count(project: Project) -> None:
    project.set_params(lambda params: params["arms"]["pretrained"]["phases"][-1].update(bc_weight=0.5))
    project.dvc_commit()
    project.commit()

    _, standing = record_verdict(project.root, "walk", "Ada")

    assert "held by the check of its schedule: arms.pretrained.phases.tune.bc_weight" in standing.note
    assert standing.pass_streak == 0


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("reports/evaluate/walk/beyond.json", "expected a file, found none; `dvc repro evaluate@walk` makes it"),
        ("models/walk/baseline/scratch/runs.json", "expected a readable file"),
        ("data/walk/validated.json", "expected a readable file"),
    ],
)
def test_a_verdict_without_its_files_is_refused(project: Project, missing: str, words: str) -> None:
    (project.root / missing).unlink()

    with pytest.raises(InputError, match=words):
        record_verdict(project.root, "walk", "Ada")


def test_a_missing_checkpoint_refuses_and_names_the_file(ready: Project) -> None:
    (ready.root / "models/walk/anneal/pretrained/seed-10/weights.safetensors").unlink()

    with pytest.raises(InputError, match=r"seed-10/weights\.safetensors: expected a readable file"):
        promote(ready.root, "walk", "Ada", "now")


def test_a_changed_checkpoint_withdraws_the_candidate(ready: Project) -> None:
    path = ready.root / "models/walk/anneal/pretrained/seed-10/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")

    with pytest.raises(IntegrityError, match="the candidate was withdrawn"):
        promote(ready.root, "walk", "Ada", "now")

    assert (ready.standing().state, ready.standing().pass_streak) == ("monitoring", 0)


def test_a_changed_recipe_of_a_baseline_withdraws_the_candidate(ready: Project) -> None:
    ready.set_params(lambda params: params["arms"]["scratch"]["phases"][0].update(learning_rate=0.002))
    ready.commit()

    with pytest.raises(IntegrityError, match=r"expected the baselines and recipes that .*; the candidate was withdrawn"):
        promote(ready.root, "walk", "Ada", "now")

    assert (ready.standing().state, ready.git("tag")) == ("monitoring", "")


def test_a_newer_dataset_withdraws_the_candidate(ready: Project) -> None:
    ready.train(range(10, 20), dataset="b")
    ready.commit()

    with pytest.raises(
        Hold, match=r"expected a candidate that learned from the newest dataset, walk@.*the candidate was withdrawn"
    ):
        promote(ready.root, "walk", "Ada", "now")

    assert ready.standing().state == "monitoring"


def test_without_a_drill_the_command_to_run_is_named(project: Project) -> None:
    for seeds in (range(10), range(10, 20)):
        project.train(seeds)
        project.commit()
        project.record()
    project.commit()

    with pytest.raises(Hold, match="none was ever recorded; `headstart drill rollback --record --by NAME` runs it"):
        promote(project.root, "walk", "Ada", "now")


def test_a_drill_that_failed_refuses(ready: Project) -> None:
    record_drill(ready.root, Drilled(passed=False, rounds=3, guardrails=()), "Ada", "again")
    ready.commit()

    with pytest.raises(Hold, match="expected a rollback drill that passed"):
        promote(ready.root, "walk", "Ada", "now")


def test_lines_that_are_not_committed_refuse(project: Project) -> None:
    for seeds in (range(10), range(10, 20)):
        project.train(seeds)
        project.commit()
        project.record()

    with pytest.raises(Hold, match="expected all its lines in git"):
        promote(project.root, "walk", "Ada", "now")


def test_without_a_way_back_there_is_no_way_forward(ready: Project) -> None:
    import shutil

    shutil.rmtree(ready.root / "models/walk/baseline")
    shutil.rmtree(ready.root / ".dvc/cache")

    with pytest.raises(Hold, match="expected a way back before going forward"):
        promote(ready.root, "walk", "Ada", "now")
    assert ready.standing().state == "ready"


def test_a_reason_that_hides_characters_is_refused(ready: Project) -> None:
    done = ready.headstart("release", "withdraw", "walk", "--by", "Ada", "--reason", "fine\u202edab")

    assert done.code == 3
    assert "expected one line of printable text" in done.err
    assert ready.standing().state == "ready"
