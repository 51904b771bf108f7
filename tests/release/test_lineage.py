"""A lineage walks from any number to config, seeds, data and commit, and from an episode to what learned from it; a break is named."""

import json
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import yaml
from tests.arms import clones_of
from tests.catalogued import ENTRY_STAGES, flip
from tests.experiments import experiment_record
from tests.released import CANDIDATE, CLONES_PATH, SCHEMA, SCRATCH, Project, copy_of, new_project

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.comparison import Comparison
from headstart.core.dvc_lock import content_md5
from headstart.core.errors import UsageError
from headstart.core.files import read_record, sha256_file, write_record
from headstart.dataset.catalogue import Stored, add_entry, entry_of, read_entries
from headstart.dataset.curation import INDEX_COLUMNS
from headstart.dataset.index import read_index, used_of
from headstart.dataset.manifest import Block, DatasetFacts, DatasetManifest, Quality, Splits, Tally, manifest_of, stored_file
from headstart.release.known import Step
from headstart.release.lineage import lineage
from headstart.runs.checkpoint import save_checkpoint
from headstart.runs.expert_record import ExpertPolicy

SEEDS = (4, 9)
POLICY = "6" * 64
WORLDS = 5  # of each block, an episode each; the last of a block is held out, the first of the recording rejected


def episode_id(world: int) -> str:
    return f"{world:016x}"


def record_dataset(root: Path) -> None:
    """Two blocks of five worlds, with their index, validated, and listed in the catalogue."""
    folder = root / "data/walk/curated"
    rows = ["# episode-index/1", "\t".join(INDEX_COLUMNS)]
    for world in range(2 * WORLDS):
        accepted = world != 0
        split = "none" if not accepted else "heldout" if world % WORLDS == WORLDS - 1 else "train"
        cells = [
            episode_id(world),
            7,
            world,
            0,
            0,
            10,
            1.5,
            "true",
            "false",
            str(accepted).lower(),
            split,
            "" if accepted else "harm",
        ]
        rows.append("\t".join(map(str, cells)))
    for block in range(2):
        for side in ("train", "heldout"):
            (folder / f"block-{block}").mkdir(parents=True, exist_ok=True)
            (folder / f"block-{block}/{side}.h5").write_text(f"steps of {side} {block}")
    (folder / "episodes.tsv").write_text("\n".join(rows) + "\n")
    part = Tally(worlds=WORLDS, episodes=WORLDS, steps=50)
    blocks = tuple(Block(first_world=5 * b, last_world=5 * b + 4, recorded=part, accepted=part) for b in range(2))
    files = {path.relative_to(folder).as_posix(): stored_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    facts = DatasetFacts(
        dataset="walk", scenario="walk", scenario_sha256="5" * 64, expert="scripted", policy_sha256=POLICY, seed=7,
        accepted=Tally(worlds=9, episodes=9, steps=90), rejected=Tally(worlds=1, episodes=1, steps=10), rejection_reasons={"harm": 1},
        quality=Quality(success_rate=1.0, harm_rate=0.0, return_mean=1.5, steps_mean=10.0), blocks=blocks, files=files,
        splits=Splits(rule="by world", seed=0, heldout_share=0.2, train=part, heldout=part),
    )  # fmt: skip
    write_record(folder / "manifest.json", manifest_of(facts))
    manifest, path = manifest_of(facts, "validated"), root / "data/walk/validated.json"
    write_record(path, manifest)
    stored = Stored(manifest_sha256=sha256_file(path), manifest_md5=content_md5(path), files_md5=content_md5(folder))
    add_entry(root, entry_of(manifest, stored, "2026-01-01T00:00:00.000Z", {"capture": {"worlds": WORLDS}}, None))


def record_expert(root: Path) -> None:
    expert = ExpertPolicy(
        kind="scripted", world="toy", scenario="walk", scenario_sha256="5" * 64, policy_sha256=POLICY, seed=1, score=None, state="approved",
        diagnostics=(),
    )  # fmt: skip
    write_record(root / "models/walk/expert/expert.json", expert)


def record_clones(root: Path) -> None:
    """Clones with weights of their own, from which the candidate's runs start."""
    made = clones_of(read_record(root / CANDIDATE, ArmRuns))
    sha256, saved = sha256_file(root / "data/walk/validated.json"), {}
    for seed in SEEDS:
        about = {"kind": "bc", "scenario": "walk", "arm": "bc", "seed": seed, "env_steps": 0, "observation": SCHEMA}
        weights = {"w": np.array([seed, 100], np.float32)}
        saved[seed] = save_checkpoint(
            root / f"models/walk/bc/seed-{seed}", weights, {**about, "network": {}, "lineage": {"dataset": sha256}}
        )
    clones = tuple(one.model_copy(update={"weights_sha256": saved[one.seed].weights_sha256}) for one in made.clones)
    write_record(root / CLONES_PATH, made.model_copy(update={"clones": clones}))
    runs = read_record(root / CANDIDATE, ArmRuns)
    started = tuple(run.model_copy(update={"clone_sha256": saved[run.seed].weights_sha256}) for run in runs.runs)
    write_record(root / CANDIDATE, runs.model_copy(update={"runs": started}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lineage") / "walk"
    root.mkdir()
    project = new_project(root)
    pipeline = yaml.safe_load((root / "dvc.yaml").read_text())
    stages = {name: stage for name, stage in pipeline["stages"].items() if name != "bc_train_walk"} | deepcopy(ENTRY_STAGES)
    stages["bc_train_walk"] |= {
        "deps": ["data/walk/validated.json", "data/walk/curated", "models/walk/expert"],
        "params": ["bc_train"],
    }
    stages["anneal_walk-pretrained"]["deps"] += ["models/walk/bc"]
    stages["evaluate"]["deps"] = ["models/walk"]
    stages["expert_walk"] = {"cmd": "true", "deps": ["scenarios/walk.yaml"], "outs": ["models/walk/expert"]}
    (root / "dvc.yaml").write_text(yaml.safe_dump(pipeline | {"stages": stages}))
    project._arm("pretrained", CANDIDATE.parent, SEEDS, 2)
    project._arm("scratch", SCRATCH.parent, SEEDS, 9)
    record_dataset(root)
    record_expert(root)
    record_clones(root)
    project.compare(shift=False)
    project.dvc_commit()
    project.commit()
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy_of(made, tmp_path / "walk")
    monkeypatch.chdir(tmp_path / "walk")
    return tmp_path / "walk"


def steps(step: Step) -> list[tuple[str, str]]:
    """Kind and name of all steps upwards, in the order in which they are printed."""
    return [(step.kind, step.name), *(one for parent in step.made_from for one in steps(parent))]


def fact(step: Step, label: str) -> str:
    return dict(step.facts)[label]


def find(step: Step, kind: str) -> Step:
    return next(one for one in walk(step) if one.kind == kind)


def walk(step: Step) -> list[Step]:
    return [step, *(one for part in (*step.made_from, *step.led_to) for one in walk(part))]


def version(root: Path) -> str:
    return read_entries(root)[0].name


# --- upwards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing",
    [
        "walk/pretrained/9",
        "walk/pretrained/seed-9",
        "models/walk/anneal/pretrained/seed-9",
        "models/walk/anneal/pretrained/seed-9/card.json",
    ],
)
def test_a_run_leads_to_its_clone_the_block_of_its_dataset_and_the_expert(root: Path, thing: str) -> None:
    found = lineage(root, thing)

    assert steps(found) == [
        ("run", "walk/pretrained/9"),
        ("clone", "walk/bc/9"),
        ("dataset", f"{version(root)}, block 1"),
        ("expert", "walk"),
    ]
    assert list(found.all_breaks()) == []
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True).stdout[:12]
    assert all(fact(one, "commit") == head for one in walk(found) if one.kind in ("run", "clone", "dataset", "expert"))
    assert "arms.pretrained" in fact(found, "settings")
    assert "scenarios/walk.yaml" in fact(found, "settings")
    assert fact(find(found, "dataset"), "episodes") == "4 to learn from, 1 held out to judge by"
    assert "learned" not in dict(find(found, "dataset").facts)


def test_the_ids_of_the_episodes_are_those_of_the_block(root: Path) -> None:
    block = find(lineage(root, "walk/pretrained/4", episodes=True), "dataset")

    assert fact(block, "learned").split() == [episode_id(world) for world in (1, 2, 3)]  # the first was rejected
    assert fact(block, "judged").split() == [episode_id(4)]


def test_fewer_episodes_are_those_that_the_clone_was_trained_with(root: Path) -> None:
    project = Project(root)
    project.set_params(lambda params: params["bc_train"].update(episodes=3))
    project.dvc_commit()

    block = find(lineage(root, "walk/bc/9", episodes=True), "dataset")

    assert fact(block, "learned").split() == [episode_id(5), episode_id(6)]
    assert fact(block, "judged").split() == [episode_id(9)]


def test_what_a_clone_used_is_what_the_trainer_takes(root: Path) -> None:
    """By hand: 9 accepted in two blocks; of 3 wanted in a block of 5 with 1 held out, max(1, ⌊3·1/5⌋) = 1 judges and 2 teach."""
    manifest = read_record(root / "data/walk/validated.json", DatasetManifest)
    rows = read_index(root / "data/walk/curated/episodes.tsv")

    for wanted, learned, judged in ((None, [5, 6, 7, 8], [9]), (3, [5, 6], [9]), (2, [5], [9]), (5, [5, 6, 7, 8], [9])):
        train, heldout = used_of(rows, manifest, 1, wanted)
        assert ([row.world for row in train], [row.world for row in heldout]) == (learned, judged)


@pytest.mark.parametrize("thing", ["reports/evaluate/walk/beyond.json", "reports/evaluate"])
def test_a_report_leads_to_every_run_that_it_compares(root: Path, thing: str) -> None:
    found = lineage(root, thing)

    names = [name for kind, name in steps(found) if kind in ("report", "arm", "run", "clone")]
    assert names == [
        thing,
        *("walk/pretrained", "walk/pretrained/4", "walk/bc/4", "walk/pretrained/9", "walk/bc/9"),
        *("walk/scratch", "walk/scratch/4", "walk/scratch/9"),
    ]
    assert list(found.all_breaks()) == []


def test_a_run_from_random_weights_learned_from_no_episode(root: Path) -> None:
    found = lineage(root, "walk/scratch/4")

    assert found.made_from == ()
    assert fact(found, "start") == "random weights: it learned from no episode"


def test_a_checkpoint_that_was_copied_is_found_by_its_weights(root: Path) -> None:
    import shutil

    shutil.copytree(root / "models/walk/anneal/pretrained/seed-4", root / "policies/best")
    shutil.copytree(root / "models/walk/bc/seed-9", root / "policies/clone")

    assert steps(lineage(root, "policies/best"))[:2] == [("checkpoint", "policies/best"), ("run", "walk/pretrained/4")]
    assert steps(lineage(root, "policies/clone"))[:2] == [("checkpoint", "policies/clone"), ("clone", "walk/bc/9")]


def test_a_file_of_a_person_leads_to_what_was_made_from_it(root: Path) -> None:
    found = lineage(root, "scenarios/walk.yaml")
    assert {step.name for step in found.led_to} >= {
        "models/walk/expert",
        "models/walk/bc",
        "reports/evaluate",
        "data/walk/curated",
    }
    assert "changed" not in dict(found.facts)

    with (root / "scenarios/walk.yaml").open("a") as file:
        file.write("# more\n")
    assert "expert_walk" in fact(lineage(root, "scenarios/walk.yaml"), "changed")


# --- downwards ----------------------------------------------------------------------------------------------------------


def test_an_episode_leads_to_the_clone_and_the_runs_that_learned_from_it(root: Path) -> None:
    found = lineage(root, episode_id(6))

    assert fact(found, "block") == "1, learned from"
    assert [(one.kind, one.name) for one in found.led_to] == [("clone", "walk/bc/9")]
    assert [(one.kind, one.name) for one in found.led_to[0].led_to] == [("run", "walk/pretrained/9")]
    assert find(found, "dataset").name == f"{version(root)}, block 1"


@pytest.mark.parametrize(
    ("world", "block", "split", "led"),
    [
        (0, "0, used by no clone", "rejected: harm", []),
        (4, "0, held out: judged by", "heldout", [("clone, judged by it", "walk/bc/4")]),
    ],
)
def test_an_episode_that_nothing_learned_from_says_so(
    root: Path, world: int, block: str, split: str, led: list[tuple[str, str]]
) -> None:
    found = lineage(root, episode_id(world))

    assert (fact(found, "block"), fact(found, "split")) == (block, split)
    assert [(one.kind, one.name) for one in found.led_to] == led
    assert all(one.led_to == () for one in found.led_to)


def test_an_episode_beyond_those_of_bc_train_was_not_learned_from(root: Path) -> None:
    project = Project(root)
    project.set_params(lambda params: params["bc_train"].update(episodes=3))
    project.dvc_commit()

    assert lineage(root, episode_id(6)).led_to != ()
    assert lineage(root, episode_id(7)).led_to == ()


def test_an_unknown_episode_says_how_many_were_searched(root: Path) -> None:
    with pytest.raises(UsageError, match="expected one of the 10 episodes of the datasets that are here, found none"):
        lineage(root, "f" * 16)


def test_a_dataset_leads_to_what_dvc_made_from_it(root: Path) -> None:
    for thing in ("walk", version(root), "data/walk/validated.json", "data/walk/curated/block-0/train.h5"):
        found = lineage(root, thing)
        assert found.name == version(root)
        assert {one.name for one in found.led_to} >= {"models/walk/bc", "models/walk/anneal/pretrained", "reports/evaluate"}
        assert "models/walk/baseline/scratch" not in {one.name for one in found.led_to}
        assert fact(found, "episodes") == "7 to learn from, 2 held out to judge by"


# --- what is not here ---------------------------------------------------------------------------------------------------


def test_a_fresh_clone_tells_what_dvc_lock_and_git_know_and_how_to_get_the_rest(root: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(root), str(tmp_path / "clone")], check=True)

    for thing in ("walk/pretrained/9", "reports/evaluate/walk/beyond.json", "models/walk/bc/seed-4"):
        found = lineage(tmp_path / "clone", thing)
        assert list(found.all_breaks()) == []
        texts = [text for step in walk(found) for text in step.absent]
        assert any("`dvc checkout models/walk/" in text or "`dvc checkout reports/" in text for text in texts)
        assert any(f"`headstart catalogue fetch {version(root)}` brings it" in text for text in texts)
        assert find(found, "dataset").name == version(root)


# --- breaks -------------------------------------------------------------------------------------------------------------


def edit_json(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.unlink()
    path.write_text(json.dumps(content))


def other_clone(root: Path) -> None:
    record = read_record(root / CLONES_PATH, CloneRuns)
    (root / CLONES_PATH).unlink()
    first, second = record.clones
    write_record(
        root / CLONES_PATH, record.model_copy(update={"clones": (first, second.model_copy(update={"weights_sha256": "0" * 64}))})
    )


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda root: flip(root / "models/walk/anneal/pretrained/seed-9/weights.safetensors"),
            "seed-9/weights.safetensors: expected hash",
        ),
        (lambda root: flip(root / "models/walk/bc/seed-9/weights.safetensors"), "bc/seed-9/weights.safetensors: expected hash"),
        (lambda root: flip(root / "data/walk/curated/block-1/train.h5"), "block-1/train.h5: expected"),
        (
            lambda root: edit_json(root / CANDIDATE, lambda runs: runs.update(rollout_steps=99)),
            "models/walk/anneal/pretrained: expected MD5",
        ),
        (other_clone, "expected a clone with weights"),
        (
            lambda root: edit_json(
                root / "models/walk/bc/seed-9/card.json", lambda card: card.update(lineage={"dataset": "0" * 64})
            ),
            "expected its dataset, hash 0000",
        ),
        (
            lambda root: edit_json(root / "models/walk/expert/expert.json", lambda one: one.update(seed=2)),
            "models/walk/expert: expected MD5",
        ),
        (
            lambda root: (root / "dvc.lock").write_text(
                (root / "dvc.lock").read_text().replace(content_md5(root / "data/walk/curated"), "0" * 32 + ".dir", 1)
            ),
            "dvc.lock: ",
        ),
    ],
    ids=["weights", "clone", "data", "runs", "another-clone", "another-dataset", "expert", "lock"],
)
def test_a_hash_on_the_way_that_is_not_the_recorded_one_is_named(root: Path, damage: Callable[[Path], object], says: str) -> None:
    assert list(lineage(root, "walk/pretrained/9").all_breaks()) == []
    damage(root)

    breaks = list(lineage(root, "walk/pretrained/9").all_breaks())

    assert any(says in text for text in breaks), breaks


def test_a_report_of_other_runs_is_a_break(root: Path) -> None:
    edit_json(root / "reports/evaluate/walk/beyond.json", lambda found: found["verdict"]["evidence"][0].update(sha256="0" * 64))  # type: ignore[index]

    breaks = list(lineage(root, "reports/evaluate/walk/beyond.json").all_breaks())

    assert any("reports/evaluate: expected MD5" in text for text in breaks)


# --- the command --------------------------------------------------------------------------------------------------------


def test_a_person_reads_it_in_eighty_columns_and_a_program_as_json(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    project = Project(root)

    for thing in ("reports/evaluate/walk/beyond.json", "walk", episode_id(6)):
        ended = project.headstart("lineage", thing)
        assert ended.code == 0, ended.err
        assert max(map(len, ended.out.splitlines())) <= 80
    as_json = project.headstart("lineage", "walk/pretrained/9", "--json")
    assert Step.model_validate_json(as_json.out) == lineage(root, "walk/pretrained/9")


def test_a_break_ends_with_4_and_an_unknown_thing_with_2(root: Path) -> None:
    project = Project(root)
    ended = project.headstart("lineage", "walk/pretraind/9")
    assert (ended.code, "Traceback" in ended.err) == (2, False)
    flip(root / "models/walk/bc/seed-9/weights.safetensors")

    ended = project.headstart("lineage", "walk/pretrained/9")

    assert ended.code == 4
    assert "  BREAK     " in ended.out
    assert ended.err.startswith("error: ")


@pytest.mark.parametrize(
    "thing",
    [
        "",
        " ",
        "..",
        "../..",
        "/etc/passwd",
        "walk/../../x",
        "walk@",
        "@",
        "a\0b",
        "walk/pretrained/",
        "\u202e",
        "models/walk/bc/seed-x",
    ],
)
def test_what_is_no_thing_is_an_error_of_ours(root: Path, thing: str) -> None:
    with pytest.raises(UsageError):
        lineage(root, thing)


# --- evidence ----------------------------------------------------------------------------------------------


def test_a_record_of_evidence_without_its_commit_is_a_break_and_without_its_experiment_says_what_runs_it(
    project: Project,
) -> None:
    path = "reports/evidence/walk_again.json"
    record = experiment_record(read_record(project.root / "reports/evaluate/walk/beyond.json", Comparison))
    write_record(project.root / path, record)

    (problem,) = lineage(project.root, path).all_breaks()

    assert problem == f"{path}: expected its commit {record.commit} in git, found none; `git fetch`"
    write_record(project.root / path, record.model_copy(update={"commit": project.git("rev-parse", "HEAD").strip()}))
    found = lineage(project.root, path)
    assert list(found.all_breaks()) == []
    (absent,) = found.absent
    assert absent.startswith("DVC's experiment of it is not here; `headstart evidence walk_again` runs it again")
    assert fact(found, "headline").startswith(f"{record.comparisons[record.headline].verdict.outcome}: pretrained")
