"""`headstart init`: what it writes, what it leaves alone, and what it refuses before it has written anything."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.poles import record_poles

import headstart
from headstart.cli.deps import INSTALLED
from headstart.config.params import for_scenario, load_params, require_arms_that_dvc_trains
from headstart.config.scenario import load_scenario
from headstart.core.yaml import parse_yaml
from headstart.dataset.formats import lerobot, npz

Command = Callable[..., tuple[int, str, str]]
MODULE = """
import gymnasium as gym
import numpy as np

class Line(gym.Env):
    observation_space, action_space = gym.spaces.Box(-9, 9, (1,), np.float32), gym.spaces.Discrete(2)
    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.at = np.zeros(1, np.float32)
        return self.at, {}
    def step(self, action):
        self.at = self.at + np.float32(0.1 if action else -0.1)
        return self.at, float(self.at[0]), False, False, {}

gym.register("Line-v0", Line, max_episode_steps=40)
"""


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder in no project and no repository, and a git that knows who commits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_the_files_are_a_project_that_is_committed(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, err = command("init", "demo")
    assert (code, err) == (0, "")
    assert (
        "they are the first commit of a new git repository\nnext:\n    cd demo\n    headstart check cartpole\n    dvc repro\n"
        in out
    )
    demo = tmp_path / "demo"
    assert git(demo, "status", "--porcelain") == ""
    assert set(git(demo, "ls-files").split()) == set(files(demo))

    monkeypatch.chdir(demo)
    settings, scenario = load_params(), load_scenario("cartpole")
    params = for_scenario(settings, scenario)
    require_arms_that_dvc_trains(settings, params, scenario)
    assert (settings.headstart, settings.scenarios, len(params.seeds)) == (headstart.__version__, ("cartpole",), 10)
    assert set(settings.arms) == {"scratch", "matched", "pretrained"}
    assert scenario.targets["solved"].return_mean == 475
    assert not set(params.seeds) & {*params.expert.seeds, *params.tuning.seeds}
    text = "".join(content.decode() for content in files(demo).values())
    assert not any(left in text for left in ("{{", "SCENARIO", "queue_conflict"))


def test_every_stage_runs_the_installed_package_and_runs_again_for_another_version(command: Command, tmp_path: Path) -> None:
    command("init", "demo")
    stages = parse_yaml((tmp_path / "demo/dvc.yaml").read_bytes(), Path("dvc.yaml"))["stages"]
    assert len(stages) == 12
    for name, stage in stages.items():
        assert stage["cmd"].startswith(f"{INSTALLED}{name} ")
        (keys,) = (keys for file in stage["params"] for keys in file.values())
        assert keys is None if name == "settings" else keys[0] == "settings.headstart"
        assert all(
            dep.split("/")[0] in ("data", "models", "reports", "scenarios", "demonstrations", "environments", "experts", "flags")
            for dep in stage["deps"]
        )
        assert all((tmp_path / "demo" / dep).exists() for dep in stage["deps"] if "/" not in dep)


@pytest.mark.parametrize("there", ["dvc.yaml", "params.yaml", "scenarios/cartpole.yaml"])
def test_a_file_that_is_there_is_never_overwritten(command: Command, tmp_path: Path, there: str) -> None:
    (tmp_path / "mine" / there).parent.mkdir(parents=True)
    (tmp_path / "mine" / there).write_text("mine\n")
    code, _, err = command("init", "mine")
    assert (code, files(tmp_path / "mine")) == (3, {there: b"mine\n"})
    assert (
        err
        == f"error: {tmp_path}/mine: expected a folder without {there}, and nothing was written; name another folder, as mine/headstart\n"
    )


def test_an_interrupted_command_is_finished_by_the_same_command(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.core import files as core

    write, written = core.write_bytes, list[Path]()

    def interrupted(path: Path, data: bytes) -> None:
        if len(written) == stop:
            raise KeyboardInterrupt
        written.append(path)
        write(path, data)

    command("init", "whole")
    for stop in range(len(files(tmp_path / "whole"))):
        written.clear()
        monkeypatch.setattr(core, "write_bytes", interrupted)
        command("init", str(tmp_path / f"part-{stop}"))
        monkeypatch.setattr(core, "write_bytes", write)
        code, _, err = command("init", str(tmp_path / f"part-{stop}"))
        assert (code, err) == (0, "")
        assert files(tmp_path / f"part-{stop}") == files(tmp_path / "whole")


def test_lines_are_added_in_the_bytes_of_the_users_own_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/.gitignore").write_bytes(b"b\xe4r\r\n*.log\r\n")
    assert command("init", "mine")[0] == 0
    now = (tmp_path / "mine/.gitignore").read_bytes()
    assert now.startswith(b"b\xe4r\r\n*.log\r\n")
    assert now.count(b"\n") == now.count(b"\r\n") > 5


@pytest.mark.parametrize(
    ("name", "words"), [("data", "expected a folder, or nothing, got a file"), ("headstart.py", "would import it")]
)
def test_what_would_stand_in_the_way_is_named_before_anything_is_written(
    command: Command, tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("")
    code, _, err = command("init", "mine")
    assert (code, err.count("\n"), files(tmp_path / "mine")) == (3, 1, {name: b""})
    assert words in err


def test_a_bare_repository_is_no_place_for_a_project(command: Command, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    code, _, err = command("init", "bare.git")
    assert code == 3
    assert "git says: fatal: this operation must be run in a work tree" in err


def test_in_a_repository_it_adds_lines_keeps_files_and_leaves_the_commit_to_its_owner(command: Command, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "mine")
    mine = tmp_path / "mine"
    kept = {"README.md": b"# Mine\n", "Makefile": b"all:\n", ".dvc/config": b"[core]\n"}
    for name, content in ({".gitignore": b"*.log\n/data/*/"} | kept).items():
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_bytes(content)
    (mine / "models").mkdir()
    code, out, _ = command("init", "mine", "--env", "Pendulum-v1")
    assert code == 0
    assert "there already: models/; stages write into them" in out
    assert "README.md and Makefile were there, and stay as they are" in out
    (added,) = [line for line in out.splitlines() if line.startswith("    git add ") and "--all" not in line]
    assert {"dvc.yaml", "params.yaml", "scenarios/pendulum.yaml", ".gitignore"} < set(added.split())
    assert {name: (mine / name).read_bytes() for name in kept} == kept
    lines = (mine / ".gitignore").read_text().splitlines()
    assert lines[:2] == ["*.log", "/data/*/"]
    assert (lines.count("/data/*/"), lines.count("/models/*/")) == (1, 1)
    assert git(mine, "ls-files") == ""


def test_without_an_identity_nothing_is_written_and_the_cure_is_told(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    code, _, err = command("init", "demo")
    assert code == 3
    assert "`git config --global user.name NAME`" in err
    assert not (tmp_path / "demo").exists()


def test_an_environment_of_the_users_own_is_found_in_the_project(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine/environments").mkdir(parents=True)
    (tmp_path / "mine/environments/line.py").write_text(MODULE)
    (tmp_path / "mine/sub").mkdir()
    monkeypatch.chdir(tmp_path / "mine/sub")
    code, out, err = command("init", "..", "--env", "environments.line:Line-v0")
    assert (code, err) == (0, "")
    assert "    cd ..\n" in out
    scenario = load_scenario("line")
    assert (scenario.horizon, scenario.setup["id"]) == (40, "environments.line:Line-v0")
    code, out, err = command("expert", "line", "--worlds", "4")  # from a folder below: no expert yet, and no other error
    assert (code, err) == (
        3,
        "error: models/line/expert/expert.json: expected a file, found none; `dvc repro expert@line` makes it\n",
    )


def test_an_environment_that_cannot_be_adapted_is_refused_in_the_adapters_words(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine/environments").mkdir(parents=True)
    unbounded = MODULE.replace("gym.spaces.Discrete(2)", "gym.spaces.Box(-np.inf, np.inf, (1,))").replace("Line", "Wide")
    (tmp_path / "mine/environments/wide.py").write_text(unbounded)
    before = files(tmp_path / "mine")
    code, _, err = command("init", "mine", "--env", "environments.wide:Wide-v0")
    assert (code, err.count("\n")) == (3, 1)
    assert "expected actions with bounds" in err
    after = {name: content for name, content in files(tmp_path / "mine").items() if "__pycache__" not in name}
    assert after == before


# --- recordings ---------------------------------------------------------------------------------------------------------


def recorded(kind: str, path: Path) -> None:
    poles = record_poles(20)
    if kind == "npz":
        npz.write(path, poles)
    else:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed; `pip install 'headstart[lerobot]'`")
        lerobot.write(path, poles)


@pytest.mark.parametrize("kind", ["npz", "lerobot"])
def test_a_recording_is_copied_and_takes_the_place_of_an_expert(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    recorded(kind, tmp_path / "mine.data")
    code, _, err = command("init", "demo", "--demonstrations", "mine.data")
    assert (code, err) == (2, "error: --demonstrations: this recording does not name its environment; add --env ID\n")
    assert not (tmp_path / "demo").exists()

    code, out, err = command("init", "demo", "--demonstrations", "mine.data", "--env", "CartPole-v1")
    assert (code, err) == (0, "")
    monkeypatch.chdir(tmp_path / "demo")
    assert git(tmp_path / "demo", "status", "--porcelain") == ""
    scenario = load_scenario("cartpole")
    assert scenario.demonstrations is not None
    assert (scenario.demonstrations.format, scenario.demonstrations.path) == (kind, "demonstrations/mine.data")
    assert for_scenario(load_params(), scenario).validate_.min_episodes == 1  # of two in each block
    lowest = np.quantile(record_poles(20).length, 0.25, method="lower")  # a step pays 1
    assert scenario.success == (f"every return >= {lowest}",)
    code, out, err = command("source", "cartpole")
    assert (code, err) == (0, "")
    assert "20 episodes" in out


def test_a_recording_that_lies_in_the_project_stays_and_another_of_its_name_is_refused(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q", "mine")
    recorded("npz", tmp_path / "mine/demonstrations/a file.npz")
    (tmp_path / "a file.npz").write_bytes((tmp_path / "mine/demonstrations/a file.npz").read_bytes())
    before = files(tmp_path / "mine")
    code, _, err = command("init", "mine", "--env", "CartPole-v1", "--demonstrations", "a file.npz")
    assert (code, err.count("\n"), files(tmp_path / "mine")) == (3, 1, before)
    assert "found another; rename one of them" in err

    monkeypatch.chdir(tmp_path)  # the command went to the project
    code, _, err = command("init", "mine", "--env", "CartPole-v1", "--demonstrations", "mine/demonstrations/a file.npz")
    assert (code, err) == (0, "")
    scenario = load_scenario("cartpole", tmp_path / "mine/scenarios")
    assert scenario.demonstrations is not None and scenario.demonstrations.path == "demonstrations/a file.npz"
    assert before.items() < files(tmp_path / "mine").items()


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Minari, about metadata that the dataset does not have
def test_a_dataset_of_minari_knows_its_environment(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari", reason="minari is not installed; `pip install 'headstart[minari]'`")
    import gymnasium as gym

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    (tmp_path / "sets").mkdir()
    buffers: list[Any] = []
    for number in range(20):
        env = gym.make("CartPole-v1")
        begins = [env.reset(seed=number)[0]]
        told = [env.step(t % 2) for t in range(5)]
        ends = [t == 4 for t in range(5)]
        buffers.append(
            minari.data_collector.EpisodeBuffer(
                id=number, seed=number, observations=[*begins, *(one[0] for one in told)], actions=[t % 2 for t in range(5)],
                rewards=[one[1] for one in told], terminations=[False] * 5, truncations=ends, infos={},
            )
        )  # fmt: skip
    minari.create_dataset_from_buffers("pole/test-v0", buffers, env="CartPole-v1")
    code, _, err = command("init", "demo", "--demonstrations", "pole/test-v0")
    assert (code, err) == (0, "")
    monkeypatch.chdir(tmp_path / "demo")
    scenario = load_scenario("cartpole")
    assert scenario.demonstrations is not None and scenario.demonstrations.path == "demonstrations/test-v0"
    assert "20 episodes, 100 steps" in command("source", "cartpole")[1]


def test_a_recording_may_have_any_name_that_a_scenario_takes(command: Command, tmp_path: Path) -> None:
    recorded("npz", tmp_path / "SCENARIO_A.npz")
    assert command("init", "demo", "--demonstrations", "SCENARIO_A.npz", "--env", "CartPole-v1")[0] == 0
    found = load_scenario("cartpole", tmp_path / "demo/scenarios").demonstrations
    assert found is not None and found.path == "demonstrations/SCENARIO_A.npz"
    (tmp_path / "SCENARIO_A.npz").rename(tmp_path / "a:b.npz")
    code, _, err = command("init", "other", "--demonstrations", str(tmp_path / "a:b.npz"), "--env", "CartPole-v1")
    assert code == 3
    assert err.endswith("expected a name without colons and backslashes, got 'a:b.npz'; rename it\n")


def test_a_file_that_is_not_there_is_named(command: Command) -> None:
    code, _, err = command("init", "demo", "--demonstrations", "none.npz", "--env", "CartPole-v1")
    assert (code, err) == (3, "error: --demonstrations: expected a recording, there is no file none.npz\n")


def test_what_is_no_recording_is_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "empty"):
        code, _, err = command("init", "demo", "--demonstrations", name)
        assert (code, err.count("\n")) == (3, 1)
        assert f"{name}: expected a recording, got something else. npz: " in err


def test_commands_of_this_repository_refuse_a_project(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command("init", "demo")
    monkeypatch.chdir(tmp_path / "demo/scenarios")
    before = files(tmp_path / "demo")
    for name in ("deps", "evidence", "results"):
        code, out, err = command(name)
        assert (code in (2, 3), out, err.count("\n")) == (True, "", 1), name
    assert files(tmp_path / "demo") == before
