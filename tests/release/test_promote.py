"""From two verdicts to a release, and everything that stands in the way of one."""

import os
import re
from typing import Any

import pytest
from tests.forked import command
from tests.released import Project

from headstart.config.history import HISTORY, Drilled, Judged, Release, open_history, read_history
from headstart.core.errors import GateFailed, Hold, InputError, IntegrityError
from headstart.release.lock import require_release
from headstart.release.promote import promote
from headstart.release.record import record_drill, record_verdict
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
        return command(ready.root, "dvc", "artifacts", "get", "--quiet", ".", "walk", "--stage", "prod", "--out", folder).code

    release = promote(ready.root, "walk", "Ada", "spring")
    ready.commit()
    ready.train(range(30, 40))
    ready.commit()
    assert get("got") == 0
    require_release(release, ready.root / "got/seed-10")

    roll_back(ready.root, "walk", "Ada", "worse")
    assert get("more") != 0


def test_a_second_promotion_at_once_is_told_who_promotes_and_since_when(ready: Project) -> None:
    with open_history(ready.root, "headstart promote walk"):
        done = ready.headstart("promote", "walk", "--by", "Grace", "--reason", "me too")

    assert done.code == 8
    told = rf"error: headstart promote walk: .*process {os.getpid()} has run `headstart promote walk` since \d{{4}}-\d\d-\d\dT"
    assert re.match(told, done.err), done.err
    assert ready.standing().state == "ready"


def interrupted(project: Project, monkeypatch: pytest.MonkeyPatch) -> Release:
    """A promotion that was killed when its line was written: the history has it, git has no tag."""
    with monkeypatch.context() as patch:
        patch.setattr("headstart.release.registry.set_tag", lambda *arguments: interrupt())
        with pytest.raises(KeyboardInterrupt):
            promote(project.root, "walk", "Ada", "spring")
    assert project.standing().state == "promoted"
    assert not project.git("tag")
    current = project.standing().current
    assert current is not None
    return current


def interrupt() -> None:
    raise KeyboardInterrupt


def test_the_same_command_again_ends_an_interrupted_promotion_as_an_uninterrupted_one_ends(
    ready: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = interrupted(ready, monkeypatch)
    lines = read_history(ready.root / HISTORY)
    assert ready.headstart("verify").code == 4

    done = ready.headstart("promote", "walk", "--by", "Ada", "--reason", "spring")

    assert done.code == 0, done.err
    assert f"{release.id} is released" in done.out
    assert "an earlier command did not get so far, done now: walk@v1.0.0, walk#prod#1" in done.err
    assert "promotion by Ada, was written by an earlier command; it counts once" in done.err
    assert read_history(ready.root / HISTORY) == lines
    assert ready.git("tag").split() == ["walk#prod#1", "walk@v1.0.0"]
    assert ready.headstart("verify").code == 0


def test_another_command_finishes_an_interrupted_promotion_and_goes_on(
    ready: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(ready, monkeypatch)

    roll_back(ready.root, "walk", "Ada", "no")

    assert "was promoted by Ada: spring; an earlier command did not get so far" in capsys.readouterr().err
    assert ready.git("tag").split() == ["walk@v1.0.0"]  # none is in use that was promoted
    assert ready.standing().current.arm == "scratch"
    assert ready.headstart("verify").code == 0


def test_a_line_that_a_crash_tore_does_not_stand_in_the_way_even_if_it_was_committed(ready: Project) -> None:
    path = ready.root / HISTORY
    with path.open("ab") as file:
        file.write(b'{"actor":"Ad')
    ready.commit()
    done = ready.headstart("verify")
    assert done.code == 4
    assert "found 12 torn bytes behind them; `headstart release list` sets them aside" in done.err

    done = ready.headstart("promote", "walk", "--by", "Ada", "--reason", "spring")

    assert done.code == 0, done.err
    assert "12 bytes of a line that an earlier command did not complete are in governance/history.torn-" in done.err
    assert ready.standing().state == "promoted"


def test_a_tag_that_was_moved_is_found(ready: Project) -> None:
    promote(ready.root, "walk", "Ada", "spring")
    ready.commit()
    ready.git("tag", "--force", "--annotate", "--message", "moved", "walk@v1.0.0", "HEAD")

    done = ready.headstart("verify")

    assert done.code == 4
    assert "tag walk@v1.0.0: expected revision" in done.err
    assert "walk: promoted" in ready.headstart("release", "list").out
    assert ready.headstart("verify").code == 0


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
    first, _ = project.record()
    project.commit()

    again, standing = project.record()
    assert again == first
    assert len(read_history(project.root / HISTORY)) == 1
    assert standing.note == "needs 1 more pass in a row"

    project.record("easy")
    assert "10 of its checkpoints were judged before" in project.record()[1].note
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
