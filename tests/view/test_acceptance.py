"""The page on which a release is decided says GO where `headstart promote` would promote and all evidence is here, and nowhere else."""

import json

import pytest
from tests.forked import command
from tests.released import Project

from headstart.config.history import HISTORY, read_history
from headstart.core.errors import Hold, UsageError
from headstart.core.files import read_record, sha256_file, write_record
from headstart.core.verdict import Subject, at_least, judge
from headstart.dataset.manifest import DatasetManifest
from headstart.release.promote import promote
from headstart.release.rollback import withdraw
from headstart.release.signing import sign
from headstart.view.acceptance import Acceptance, read_acceptance
from headstart.view.acceptance_page import write_acceptance


@pytest.fixture
def judged(ready: Project) -> Project:
    """Ready, with the verdict on its dataset, which `validate` leaves."""
    name = read_record(ready.root / "data/walk/validated.json", DatasetManifest)
    subject = Subject(
        type="dataset", id=f"{name.dataset}@{name.version}", sha256=sha256_file(ready.root / "data/walk/validated.json")
    )
    checks = [at_least("episodes", 200, 200, "episodes")]
    write_record(ready.root / "reports/walk/validate/verdict.json", judge(subject, checks, {}))
    return ready


def opened(made: Acceptance) -> list[str]:
    return [one.name for one in made.open]


def found(made: Acceptance, name: str) -> str:
    return next(one.found for one in made.criteria if one.name == name)


def ask(project: Project, *roles: str) -> None:
    project.set_params(lambda params: params.update(promotion={"approvals": list(roles)}))
    project.commit()


def test_with_all_evidence_it_is_go_and_each_criterion_names_its_evidence_and_who_recorded_it(judged: Project) -> None:
    made = read_acceptance(judged.root, "walk")

    assert (made.decision, opened(made)) == ("GO", [])
    lines = read_history(judged.root / HISTORY)
    by = {one.name: one for one in made.criteria}
    assert by["pass 2"].evidence == f"`governance/history.ndjson`, line 2 ({lines[1].sha256[:12]})"
    assert by["pass 2"].by == f"Ada, {lines[1].at[:10]}"
    assert "seeds 10, 11, 12, 13, 14, 15, 16, 17, 18, 19" in by["pass 2"].found
    comparison = judged.root / "reports/evaluate/walk/beyond.json"
    assert sha256_file(comparison)[:12] in by["comparison"].evidence
    assert by["clones"].found.startswith("10 of 10 pass")
    assert by["rollback drill"].found == "passed: 1 guardrail, 3 runs each"

    path = write_acceptance(judged.root, made)
    first = path.read_bytes()
    assert '<h1>walk: <span class="GO">✓ GO</span></h1>' in first.decode()
    text = path.with_suffix(".md").read_text()
    assert text.startswith("# walk: GO\n") and all(one.found[:40] in text for one in made.criteria)
    assert write_acceptance(judged.root, read_acceptance(judged.root, "walk")).read_bytes() == first
    assert promote(judged.root, "walk", "Ada", "spring").id == made.candidate


def test_evidence_that_is_missing_or_another_is_open_and_names_what_brings_it(ready: Project) -> None:
    (ready.root / "reports/evaluate/walk/beyond.json").write_text((ready.root / "reports/evaluate/walk/easy.json").read_text())

    made = read_acceptance(ready.root, "walk")

    assert made.decision == "NO-GO"
    assert {"comparison", "dataset", "integrity"} <= set(opened(made))
    assert "dvc get . reports/evaluate/walk/beyond.json --rev" in found(made, "comparison")
    assert "reports/walk/validate/verdict.json" in found(made, "dataset")
    with pytest.raises(Exception, match=r"beyond\.json"):
        promote(ready.root, "walk", "Ada", "spring")


def test_without_a_pass_it_is_no_go_and_nobody_can_sign(project: Project) -> None:
    ask(project, "operations")

    made = read_acceptance(project.root, "walk")

    assert (made.decision, made.candidate) == ("NO-GO", "")
    assert {"passes in a row", "rollback drill", "signature: operations"} <= set(opened(made))
    with pytest.raises(Hold, match="expected 2 passes in a row, counted 0"):
        sign(project.root, "walk", "Ada", "operations", True, "looks good")


def test_every_role_that_is_asked_for_must_sign_before_the_promotion(judged: Project) -> None:
    ask(judged, "data", "operations")
    with pytest.raises(
        Hold, match=r"expected GO of data, operations .*, data, operations did not sign; `headstart release approve walk"
    ):
        promote(judged.root, "walk", "Ada", "spring")
    with pytest.raises(UsageError, match=r"expected one of data, operations .* got 'operation' \(did you mean 'operations'\?\)"):
        sign(judged.root, "walk", "Ada", "operation", True, "typo")

    sign(judged.root, "walk", "Ada", "data", True, "26 gates, looked at forty episodes")
    sign(judged.root, "walk", "Grace", "operations", False, "who is on call in May?")
    judged.commit()
    with pytest.raises(Hold, match="Grace signed NO-GO: who is on call in May"):
        promote(judged.root, "walk", "Ada", "spring")
    assert opened(read_acceptance(judged.root, "walk")) == ["signature: operations"]

    sign(judged.root, "walk", "Grace", "operations", True, "Linus is")
    again, _ = sign(judged.root, "walk", "Grace", "operations", True, "Linus is")  # counts once
    assert again.seq + 1 == len(read_history(judged.root / HISTORY))
    line, _ = judged.record()  # the same verdict, typed again
    assert (line.seq, line.record.kind) == (1, "verdict")
    judged.commit()
    made = read_acceptance(judged.root, "walk")
    assert made.decision == "GO"
    assert found(made, "signature: data") == "GO (who recorded the verdict, too): 26 gates, looked at forty episodes"
    assert found(made, "signature: operations") == "GO: Linus is"

    promote(judged.root, "walk", "Ada", "spring")
    judged.commit()
    after = read_acceptance(judged.root, "walk")
    assert (after.decision, after.candidate) == ("GO", made.candidate)
    assert found(after, "signature: operations") == "GO: Linus is"
    assert after.promoted is not None and after.promoted.reason == "spring"


def test_what_happens_after_a_signature_voids_it(judged: Project) -> None:
    ask(judged, "operations")
    sign(judged.root, "walk", "Grace", "operations", True, "fine")
    judged.commit()
    assert read_acceptance(judged.root, "walk").decision == "GO"

    judged.train(range(20, 30))
    judged.commit()
    judged.record()
    judged.commit()
    assert "signature: operations" in opened(read_acceptance(judged.root, "walk"))
    withdraw(judged.root, "walk", "Ada", "the data was wrong")
    assert read_acceptance(judged.root, "walk").candidate == ""


def test_the_commands_sign_show_and_end_with_5_while_it_is_no_go(judged: Project) -> None:
    ask(judged, "operations")
    refused = command(judged.root, "headstart", "report", "walk", "--acceptance")
    assert refused.code == 5, refused.err
    assert "open  signature: operations: did not sign; `headstart release approve walk" in " ".join(refused.out.split("\n"))
    assert "NO-GO for walk" in refused.err

    signed = command(
        judged.root, "headstart", "release", "approve", "walk", "--by", "Grace", "--role", "operations", "--reason", "fine"
    )
    assert signed.code == 0, signed.err
    assert "GO of operations by Grace, line 4 of the history; commit governance" in signed.out
    judged.commit()
    listed = json.loads(command(judged.root, "headstart", "release", "list", "--json").out)["scenarios"][0]
    assert listed["signatures"]["operations"]["record"]["decision"] == "GO"
    done = command(judged.root, "headstart", "report", "walk", "--acceptance", "--json")
    assert done.code == 0, done.err
    assert '"decision": "GO"' in done.out
