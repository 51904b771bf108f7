"""All stages through `dvc repro` on tiny settings, in a temporary clone, and what a user does with DVC afterwards."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import forked
from tests.dvc_status import changed_paths, changed_stages

from headstart.compare.arm_runs import ArmRuns, CloneRuns
from headstart.compare.comparison import Comparison
from headstart.core.dvc_lock import content_md5
from headstart.core.files import read_record
from headstart.core.run_record import RunRecord
from headstart.dataset.catalogue import read_entries
from headstart.dataset.manifest import DatasetManifest

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).parents[2]
TINY: dict[str, dict[str, Any]] = {
    "expert": {"worlds": 400},
    "capture": {"worlds": 96, "blocks": 2, "shard_worlds": 40},
    "bc_train": {
        "epochs": 12,
        "batch_size": 256,
        "min_accuracy": 0.8,
        "min_macro_f1": 0.5,
        "success_margin": 0.5,
        "closed_loop_worlds": 32,
    },
    "evaluation": {"worlds": 16, "every": 16384, "exam_worlds": 16, "variant_worlds": 16},
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree as a repository of its own, with tiny settings, after one `dvc repro`."""
    folder = tmp_path_factory.mktemp("clone")
    names = run(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").split("\n")
    for name in filter(None, names):
        ours = name.startswith("data/catalogue/") or name in ("dvc.lock", "reports/metrics/queue_conflict.json")
        if (ROOT / name).is_file() and not ours:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for section, values in TINY.items():
        params[section] |= values
    params["seeds"] = [0, 1]
    params["processes"] = 1  # each takes seconds to begin
    params["baselines"] = ["scratch", "matched"]
    params["scenarios"] = ["queue_conflict"]
    params["evidence"] = {"tiny": {}}
    for arm, steps in (("scratch", 32768), ("matched", 32768), ("pretrained", 16384)):  # one phase and two: the same budget
        for phase in params["arms"][arm]["phases"]:
            phase["env_steps"] = steps
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.email", "smoke@example.org")
    run(folder, "git", "config", "user.name", "smoke")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", "tiny")
    run(folder, "dvc", "repro")
    return folder


def run(folder: Path, *command: str, ok: bool = True) -> str:
    """stdout of a command; the virtual environment that runs the tests is on its path, and the code is the clone's."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder / "src")}
    if command[0] == "dvc":  # of which each start takes a second
        code, out, err = forked.command(folder, *command, environment=environment)
    else:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
        code, out, err = done.returncode, done.stdout, done.stderr
    assert not ok or code == 0, f"{' '.join(command)}\n{out[-3000:]}\n{err[-3000:]}"
    return out if ok else out + err


def test_every_seed_has_a_block_of_the_recording_a_clone_and_a_run_of_every_arm(clone: Path) -> None:
    models = clone / "models/queue_conflict"
    manifest = read_record(clone / "data/queue_conflict/validated.json", DatasetManifest)
    first, second = manifest.blocks
    assert (first.recorded.worlds, second.recorded.worlds) == (96, 96)
    assert first.last_world + 1 == second.first_world
    clones = read_record(models / "bc/clones.json", CloneRuns).clones
    assert [(one.seed, one.outcome) for one in clones] == [(0, "PASS"), (1, "PASS")]
    runs = {
        arm: read_record(models / arm / "runs.json", ArmRuns).runs
        for arm in ("baseline/scratch", "baseline/matched", "anneal/pretrained")
    }
    assert [run.clone_sha256 for run in runs["anneal/pretrained"]] == [one.weights_sha256 for one in clones]
    assert len({one.weights_sha256 for one in clones}) == 2
    assert len({run.checkpoint_sha256 for of in runs.values() for run in of}) == 6
    found = read_record(clone / "reports/evaluate/queue_conflict/beyond_expert.json", Comparison)
    assert {against.baseline.arm for against in found.grid} == {"scratch", "matched"}


def test_every_stage_leaves_its_outputs(clone: Path) -> None:
    metrics = json.loads((clone / "reports/metrics/queue_conflict.json").read_text())
    assert metrics["verdict"] in ("HOLD", "FAIL")  # two seeds prove nothing
    assert (clone / "reports/plots/queue_conflict.tsv").read_text().startswith("arm\tenv_steps")
    (entry,) = read_entries(clone)
    assert entry.stored[0].files_md5 == content_md5(clone / "data/queue_conflict/curated")
    assert "data/catalogue/queue_conflict.json" in run(clone, "git", "ls-files", "--cached", "--others", "--exclude-standard")
    for seed in (0, 1):
        telemetry = clone / f"reports/queue_conflict/anneal/pretrained/telemetry/seed-{seed}/telemetry-0000.ndjson"
        kinds = [json.loads(line)["kind"] for line in telemetry.read_text().splitlines()]
        assert (kinds[0], kinds[-1]) == ("run_started", "run_ended")
        assert kinds.count("evaluation") == 3  # before, at 16,384 and at 32,768 steps; no target asks for likeliest actions
        assert kinds[-2:] == ["checkpoint", "run_ended"]


EDITED = {  # file below src/headstart → the stages that import it
    "view/report.py": {"report"},
    "view/pages/report.html": {"report"},
    "release/promote.py": set(),
    "cli/main.py": set(),
    "worlds/town/draw/picture.py": set(),
    "__init__.py": set(),
    "learn/ppo.py": {"expert", "baseline", "anneal"},
    "compare/comparison.py": {"evaluate", "report"},
    "dataset/curation.py": {"curate", "validate"},
    "dataset/formats/npz.py": {"source"},
    "dataset/catalogue.py": {"catalogue"},
    "stages/capture.py": {"capture"},
    "stages/bc_train.py": {"bc_train"},
}


def test_dvc_runs_again_what_imports_an_edited_file_and_nothing_else(clone: Path) -> None:
    sources = clone / "src/headstart"
    before = {name: (sources / name).read_text() for name in EDITED}
    try:
        for name, text in before.items():
            (sources / name).write_text(text + "\n# edited\n")
        changed = changed_paths(clone)
    finally:
        for name, text in before.items():
            (sources / name).write_text(text)
    for name, stages in EDITED.items():
        ways = {
            (sources / name).relative_to(clone),
            *(sources / name).relative_to(clone).parents,
        }  # a dep is a file, or a folder around it
        assert {stage.split("@")[0] for stage, paths in changed.items() if ways & {Path(path) for path in paths}} == stages, name


def add_recipe(scenario: dict[str, Any]) -> None:
    scenario["recipe"] = {"arms": {"pretrained": {"ppo": {"num_epochs": 3}}}}


ALL = ("source", "expert", "capture", "curate", "validate", "bc_train", "baseline", "anneal", "evaluate")


@pytest.mark.parametrize(
    ("file", "edit", "changed"),
    [
        ("scenarios/queue_conflict.yaml", lambda content: None, ()),  # written anew: comments are gone
        ("scenarios/queue_conflict.yaml", add_recipe, ("anneal", "evaluate")),
        ("scenarios/queue_conflict.yaml", lambda content: content["success"].append("sum eats >= 0"), ALL),
        (
            "scenarios/queue_conflict.yaml",
            lambda content: content["targets"]["beyond_expert"].update(success_rate=0.5),
            ("baseline", "anneal", "evaluate"),  # telemetry counts the steps to the target
        ),
        ("scenarios/queue_conflict.yaml", lambda content: content.update(constant_reward=True), ("validate",)),
        ("params.yaml", lambda content: content.update(processes=2), ()),
        ("params.yaml", lambda content: content["arms"]["quick"]["ppo"].update(num_epochs=3), ()),  # no experiment trains it
        ("params.yaml", lambda content: content["comparison"].update(max_ratio=0.5), ("evaluate",)),
        ("params.yaml", lambda content: content["curate"].update(seed=7), ("curate", "catalogue")),
    ],
)
def test_dvc_runs_again_what_reads_an_edited_setting_and_nothing_else(
    clone: Path, file: str, edit: Callable[[dict[str, Any]], None], changed: tuple[str, ...]
) -> None:
    settings = clone / "data/queue_conflict/settings.json"
    before = {path: path.read_bytes() for path in (clone / file, settings)}
    try:
        content = yaml.safe_load(before[clone / file])
        edit(content)
        (clone / file).write_text(yaml.safe_dump(content, sort_keys=False))
        run(clone, "./stage", "settings", "queue_conflict")
        found = {name.split("@")[0] for name in changed_stages(clone)}
    finally:
        for path, text in before.items():
            path.write_bytes(text)
    assert found == {"settings", *changed}


def test_an_arm_of_the_recipe_is_trained_and_judged_anew_alone(clone: Path) -> None:
    file = clone / "scenarios/queue_conflict.yaml"
    before = file.read_text()
    try:
        content = yaml.safe_load(before)
        add_recipe(content)
        file.write_text(yaml.safe_dump(content, sort_keys=False))
        out = run(clone, "dvc", "repro")
    finally:
        file.write_text(before)
        run(clone, "dvc", "repro")
    ran = {"settings@queue_conflict", "anneal@queue_conflict-pretrained", "evaluate@queue_conflict", "report@queue_conflict"}
    assert set(re.findall(r"tage '(\S*)'(?::| is cached)", out)) == ran


def test_what_another_scenario_brings_concerns_no_stage_but_the_one_that_looks_for_it(clone: Path) -> None:
    new = [clone / folder / "new.py" for folder in ("demonstrations", "experts", "flags")]
    try:
        for path in new:
            path.write_bytes(b"anything")
        changed = {name.split("@")[0]: paths for name, paths in changed_paths(clone).items()}
        out = run(clone, "dvc", "repro", "expert@queue_conflict")
    finally:
        for path in new:
            path.unlink(missing_ok=True)
        run(clone, "dvc", "repro", "source@queue_conflict")
    assert changed == {"source": {"demonstrations", "experts"}, "curate": {"flags"}}
    assert "Stage 'expert@queue_conflict' didn't change, skipping" in out


def test_every_stage_leaves_the_record_of_its_run(clone: Path) -> None:
    head = run(clone, "git", "rev-parse", "HEAD").strip()
    reports = clone / "reports"
    for stage in (
        "source",
        "expert",
        "capture",
        "curate",
        "validate",
        "bc_train",
        "baseline/scratch",
        "baseline/matched",
        "anneal/pretrained",
    ):
        record = read_record(reports / "queue_conflict" / stage / "run.json", RunRecord)
        assert (record.status, record.circumstances.git_revision) == ("completed", head), stage
        assert record.circumstances.git_dirty is False, stage
    judged = read_record(reports / "evaluate/queue_conflict/run.json", RunRecord)
    assert judged.seeds == (0, 1)
    assert judged.inputs.keys() == {"models/queue_conflict", "data/queue_conflict/source/environment.json"}
    assert {"arms", "comparison", "scenario.targets"} < judged.parameters.keys()


def test_the_log_of_a_fresh_run_is_valid_and_can_be_watched_and_summed_up(clone: Path) -> None:
    run(clone, "headstart", "telemetry", "validate", "--strict", "queue_conflict/pretrained/seed-0")
    assert "records" in run(clone, "headstart", "telemetry", "watch", "--fail-on", "none", "queue_conflict/pretrained/seed-0")
    assert "warm_up" in run(clone, "headstart", "telemetry", "summary", "queue_conflict/pretrained/seed-0")


def test_cloning_lifts_the_return_with_which_a_run_starts(clone: Path) -> None:
    def starts(arm: str) -> list[float]:
        runs = read_record(clone / f"models/queue_conflict/{arm}/runs.json", ArmRuns).runs
        return [one.curve[0].score("sampled").return_mean for one in runs]

    assert min(starts("anneal/pretrained")) > max(starts("baseline/scratch"))


def test_a_second_repro_has_nothing_to_do(clone: Path) -> None:
    assert "Running stage" not in run(clone, "dvc", "repro")
    assert "up to date" in run(clone, "dvc", "status")


def test_candidates_compare_as_experiments_that_only_evaluate(clone: Path) -> None:
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-q", "-m", "results")
    out = run(clone, "dvc", "exp", "run", "-n", "as-scratch", "-S", "candidate=scratch")
    assert "Running stage 'anneal" not in out
    assert "Running stage 'baseline" not in out
    out = run(clone, "dvc", "exp", "run", "-n", "gentler", "-S", "arms.pretrained.ppo.num_epochs=3")
    assert "Stage 'anneal@queue_conflict-pretrained' is cached" in out  # the arm of the recipe above, from the run cache
    assert "Stage 'baseline@queue_conflict-matched' didn't change, skipping" in out
    assert "arms.pretrained.ppo.num_epochs" in run(clone, "dvc", "params", "diff", "as-scratch", "gentler")
    rows = json.loads(run(clone, "dvc", "exp", "show", "--json"))
    found = json.dumps(rows)
    assert "as-scratch" in found
    (shown,) = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("    dvc exp show")]
    table = run(clone, *shlex.split(shown, comments=True), "--no-pager")
    assert max(len(line.strip()) for line in table.splitlines()) <= 80
    assert all(name in table for name in ("verdict", "candidate", "as-scratch", "gentler"))  # of two seeds there is no ratio
    assert max(map(len, run(clone, "dvc", "metrics", "show").splitlines())) <= 120
    run(clone, "git", "checkout", "--", ".")
    run(clone, "dvc", "checkout")
    diff = json.loads(run(clone, "dvc", "plots", "diff", "as-scratch", "HEAD", "--json"))
    assert sorted(diff["data"]) == [
        "reports/plots/queue_conflict.tsv",
        "reports/queue_conflict/bc_confusion.csv",
        "reports/queue_conflict/bc_losses.tsv",
    ]
    assert "success_low" in json.dumps(diff["data"]["reports/plots/queue_conflict.tsv"][0]["content"]["hconcat"])  # our template


def test_an_experiment_of_the_evidence_becomes_a_record_and_a_page_and_is_not_run_again(clone: Path) -> None:
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "-q", "--allow-empty", "-m", "results")
    verdict = json.loads((clone / "reports/metrics/queue_conflict.json").read_text())["verdict"]
    assert f"tiny: {verdict}, reports/evidence/tiny.json" in run(clone, "headstart", "evidence")
    assert "tiny: on record, with today's code and settings" in run(clone, "headstart", "evidence")
    record = json.loads((clone / "reports/evidence/tiny.json").read_text())
    assert record["commit"] == run(clone, "git", "rev-parse", "HEAD").strip()
    assert record["comparisons"]["beyond_expert"]["candidate"]["arm"] == "pretrained"

    run(clone, "headstart", "results")
    assert f"| [tiny](#tiny) | {verdict} | `pretrained` |" in (clone / "docs/results.md").read_text()
    assert (clone / "docs/pictures/tiny.png").read_bytes().startswith(b"\x89PNG")

    edited = clone / "src/headstart/learn/loss.py"
    edited.write_text(edited.read_text() + "# an edit\n")
    out = run(clone, "headstart", "evidence", ok=False)
    assert "error: src/headstart/learn/loss.py: expected what is committed" in out
    run(clone, "headstart", "results")
    assert "(changed since)" in (clone / "docs/results.md").read_text()
    run(clone, "git", "checkout", "--", ".")


def test_everything_comes_back_from_the_remote(clone: Path) -> None:
    run(clone, "dvc", "push")
    shutil.rmtree(clone / ".dvc/cache")
    for folder in ("data/queue_conflict/raw", "data/queue_conflict/curated", "models/queue_conflict"):
        shutil.rmtree(clone / folder)
    (clone / "data/queue_conflict/settings.json").unlink()
    assert "not in cache" in run(clone, "dvc", "status")  # as in a fresh clone
    assert json.loads(run(clone, "dvc", "exp", "show", "--json"))
    run(clone, "dvc", "pull")
    assert "up to date" in run(clone, "dvc", "status")


def test_the_catalogue_agrees_with_the_files_and_the_report_reads(clone: Path) -> None:
    assert "1 versions: 1 checked in the workspace, 1 checked in the cache" in run(clone, "headstart", "catalogue", "check")
    before = {name: (clone / "reports/queue_conflict" / name).read_bytes() for name in ("report.html", "report.md")}
    assert "read it: reports/queue_conflict/report.html" in run(clone, "headstart", "report")
    assert before == {name: (clone / "reports/queue_conflict" / name).read_bytes() for name in before}  # as the stage wrote them
    text = before["report.md"].decode()
    assert "## beyond_expert: " in text
    assert not re.search(r"\bnan\b", text.lower())
    for name in ("curves_return", "steps_beyond_expert", "confusion"):
        assert f"(report/{name}.png)" in text
        assert (clone / f"reports/queue_conflict/report/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert 'href="queue_conflict/report.html"' in (clone / "reports/index.html").read_text()


def test_the_notebook_loads_the_dataset_and_the_policy_plots_and_plays(clone: Path) -> None:
    cells = json.loads((clone / "docs/examples/dataset_and_policy.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    begin = "import os, matplotlib; matplotlib.use('svg'); os.chdir('docs/examples')\n"
    out = run(clone, sys.executable, "-c", begin + code)
    manifest = read_record(clone / "data/queue_conflict/validated.json", DatasetManifest)
    assert out.startswith(f"queue_conflict@{manifest.version} ")
    assert "Policy of queue_conflict, pretrained, seed" in out


def test_a_missing_input_is_named_without_a_traceback(clone: Path, tmp_path: Path) -> None:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy2(clone / name, tmp_path / name)
    shutil.copytree(clone / "scenarios", tmp_path / "scenarios")
    out = run(tmp_path, sys.executable, "-m", "headstart.stages.capture", "queue_conflict", ok=False)
    assert "expert.json" in out
    assert "Traceback" not in out


def test_an_unknown_key_is_named_with_its_neighbour(clone: Path, tmp_path: Path) -> None:
    params = (clone / "params.yaml").read_text().replace("shard_worlds:", "shard_world:")
    (tmp_path / "params.yaml").write_text(params)
    out = run(tmp_path, sys.executable, "-m", "headstart.stages.evaluate", "queue_conflict", ok=False)
    assert "capture.shard_world" in out
    assert "did you mean 'shard_worlds'?" in out
