"""Recording the expert: alignment, slips, and bytes that depend on scenario and seed alone."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.goldens import same_as_golden

import headstart
from headstart.config.params import CaptureParams, changed, load_params
from headstart.config.scenario import Scenario, load_scenario
from headstart.core.errors import GateFailed
from headstart.dataset.episodes import Episodes, Header, columns_of, concatenate, episodes_from, select
from headstart.dataset.episodes_file import read_episodes
from headstart.runs import recording as recording_module
from headstart.runs import replay as replay_module
from headstart.runs.expert import expert_of
from headstart.runs.recording import record
from headstart.runs.replay import replay
from headstart.runs.worlds import schema_of, worlds_of
from headstart.stages import capture as capture_stage
from headstart.worlds.api import FIRST_WORLD, Act, World

ROOT = Path(__file__).parents[2]
SEED = 7


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario("queue_conflict", ROOT / "scenarios")


def recorded(scenario: Scenario, count: int, skip: int = 0, slip: float = 0.1, **settings: Any) -> Episodes:
    world = worlds_of(scenario, "capture", count, skip=skip)
    params = CaptureParams(seed=SEED, worlds=count, shard_worlds=count, slip=slip, **settings)
    ids = FIRST_WORLD["capture"] + skip + np.arange(count)
    return record(world, expert_of(scenario, world), ids, params, header_of(scenario))


def header_of(scenario: Scenario) -> Header:
    return Header(
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256="0" * 64,
        seed=SEED,
        observation=schema_of(worlds_of(scenario, "capture", 1)),
        writer_version=headstart.__version__,
    )


def replayed(episodes: Episodes, scenario: Scenario) -> tuple[int, int]:
    """With the settings with which four worlds were recorded, in shards of three."""
    capture = {"seed": SEED, "worlds": 4, "blocks": 1, "shard_worlds": 3, "slip": 0.1}
    params = changed(load_params(ROOT / "params.yaml"), {"seeds": [0], "capture": capture}, "test")
    return replay(episodes, header_of(scenario), params, scenario)


def noise_in(episodes: Episodes) -> list[np.ndarray]:
    """What was added to each episode's actions [T, D]; NaN where the sum was cut to what a robot can do."""
    added = np.where(np.abs(episodes.action) < 1.0, episodes.action - episodes.expert_action, np.nan)
    return np.split(added, episodes.table.start[1:])


def columns(episodes: Episodes) -> dict[str, np.ndarray]:
    found = {name: getattr(episodes, name) for name in ("action", "expert_action", "reward", "terminated", "truncated")}
    found |= {f"observation/{k}": v for k, v in episodes.observation.items()}
    found |= {f"final/{k}": v for k, v in episodes.final_observation.items()}
    return found | {
        name: getattr(episodes.table, name) for name in ("episode_id", "start", "length", "world", "agent", "success")
    }


def test_worlds_recorded_together_or_apart_are_the_same(scenario: Scenario) -> None:
    together = columns(recorded(scenario, 6))
    apart = columns(concatenate([recorded(scenario, 2), recorded(scenario, 4, skip=2)]))
    for name, column in together.items():
        np.testing.assert_array_equal(column, apart[name], err_msg=name)


def test_a_capture_has_its_golden_content(scenario: Scenario) -> None:
    digest = hashlib.sha256()
    for name, column in sorted(columns(recorded(scenario, 4)).items()):
        digest.update(name.encode() + np.ascontiguousarray(column).tobytes())
    same_as_golden(digest.hexdigest(), "capture.json", "queue_conflict")


def test_without_slips_the_expert_does_what_it_chooses(scenario: Scenario) -> None:
    episodes = recorded(scenario, 4, slip=0.0)
    np.testing.assert_array_equal(episodes.action, episodes.expert_action)


@pytest.mark.parametrize("ticks", [1, 5])
def test_a_draw_of_noise_lasts_its_ticks_and_another_follows(ticks: int) -> None:
    episodes = recorded(load_scenario("nav_gap_seeker", ROOT / "scenarios"), 16, noise=0.2, noise_ticks=ticks)
    changes, spread = [], []
    for added in noise_in(episodes):
        changed = np.abs(np.diff(added, axis=0))
        borders = np.arange(1, len(added)) % ticks == 0
        assert np.nanmax(changed[~borders], initial=0.0) < 1e-6
        changes.append(changed[borders])
        spread.append(added)
    assert np.nanmin(np.concatenate(changes)) > 0
    assert 0.15 < np.nanstd(np.concatenate(spread)) < 0.25


def test_slips_replace_about_their_share_of_actions_and_stay_allowed(scenario: Scenario) -> None:
    episodes = recorded(scenario, 16, slip=0.3)
    assert episodes.action_mask is not None
    assert episodes.action_mask[np.arange(len(episodes.action)), episodes.action].all()
    free = episodes.action_mask.sum(axis=1) >= 4  # a random allowed action differs from the chosen one at least 3 times in 4
    assert 0.3 * 0.6 < (episodes.action != episodes.expert_action)[free].mean() < 0.3


def test_a_recording_replays_exactly(scenario: Scenario) -> None:
    assert replayed(recorded(scenario, 4), scenario) == (16, 0)


def test_every_bit_of_every_column_is_compared(scenario: Scenario) -> None:
    """One value of one episode is changed by the least that its type allows; what comes before in the file is no fact of an episode."""
    for name, column in columns_of(recorded(scenario, 4)).items():
        columns = columns_of(recorded(scenario, 4))
        at = (len(column) // 2, *[0] * (column.ndim - 1))
        value = columns[name][at]
        match column.dtype.kind:
            case "f":
                columns[name][at] = np.nextafter(value, np.float32(np.inf), dtype=np.float32)
            case "S":
                columns[name][at] = value[:-1] + (b"0" if value[-1:] != b"0" else b"1")
            case "b":
                columns[name][at] = not value
            case _:
                columns[name][at] = value ^ 1
        if name in ("/episodes/start", "/episodes/length"):  # no file has them, for the episodes would not tile the steps
            continue
        compared, differing = replayed(episodes_from(columns), scenario)
        assert (compared, differing) in ((16, 1), (16, 2)), name  # of two episodes of one name only one can be right


def test_one_wrong_world_of_many_is_found_and_one_that_was_not_asked_for(scenario: Scenario) -> None:
    episodes = recorded(scenario, 4)
    episodes.expert_action[-1] ^= 1
    assert replayed(episodes, scenario) == (16, 1)
    assert replayed(recorded(scenario, 5), scenario) == (20, 4)


def test_episodes_of_a_world_in_part_are_recorded_again_too(scenario: Scenario) -> None:
    episodes = recorded(scenario, 4)
    kept = select(episodes, np.arange(16) % 3 > 0)
    assert replayed(kept, scenario) == (10, 0)
    kept.table.harm[4] = not kept.table.harm[4]
    assert replayed(kept, scenario) == (10, 1)


@pytest.mark.parametrize("column", ["features", "action", "reward", "expert_action"])
def test_a_recorder_shifted_by_one_step_is_caught_by_replay(scenario: Scenario, column: str) -> None:
    good = recorded(scenario, 4)
    if column == "features":
        bad = replace(good, observation={"features": np.roll(good.observation["features"], -1, axis=0)})
    else:
        bad = replace(good, **{column: np.roll(getattr(good, column), -1, axis=0)})
    compared, differing = replayed(bad, scenario)
    assert compared == 16
    assert differing > 12


@pytest.mark.parametrize("mended", [False, True], ids=["same code", "edited code"])
def test_an_interrupted_capture_goes_on_from_its_shards_unless_its_code_was_edited(
    mended: bool, scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml")
    params = params.model_copy(
        update={"capture": params.capture.model_copy(update={"worlds": 3, "blocks": 2, "shard_worlds": 2})}
    )
    approve(scenario, tmp_path)
    written: list[str] = []
    write, dies = capture_stage._write_shard, [True]

    def write_or_die(path: Path, *rest: object) -> None:
        if dies[0] and len(written) == 2:
            raise KeyboardInterrupt
        written.append(path.name)
        write(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(capture_stage, "_write_shard", write_or_die)
    with pytest.raises(KeyboardInterrupt):
        capture_stage.capture(params, scenario)
    dies[0] = False
    if mended:
        monkeypatch.setattr(capture_stage, "code_sha256", lambda modules: f"edited {modules}")
    capture_stage.capture(params, scenario)
    names = [f"shard-000{number}.h5" for number in range(4)]  # two for each block
    assert written == (names[:2] + names if mended else names)
    resumed = [path.read_bytes() for path in sorted((tmp_path / "data/queue_conflict/raw").iterdir())]
    capture_stage.capture(params, scenario)
    assert resumed == [path.read_bytes() for path in sorted((tmp_path / "data/queue_conflict/raw").iterdir())]


def test_capture_refuses_an_expert_that_is_not_approved(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    approve(scenario, tmp_path, state="draft")
    with pytest.raises(GateFailed, match="expected an approved expert, got a draft"):
        capture_stage.capture(load_params(ROOT / "params.yaml"), scenario)


def approve(scenario: Scenario, folder: Path, state: str = "approved") -> None:
    """An expert artefact as the expert stage would leave it, without playing 1,000 worlds."""
    from headstart.compare.arm_runs import Score
    from headstart.core.contents import sealed_directory
    from headstart.core.files import write_record
    from headstart.runs.expert_record import ExpertPolicy
    from headstart.worlds.make import source_sha256

    artefact = ExpertPolicy(
        kind="scripted",
        world=scenario.world,
        scenario=scenario.name,
        scenario_sha256=scenario.sha256,
        policy_sha256=source_sha256(scenario.world),
        seed=0,
        score=Score(episodes=1, success=1, harm=0, return_mean=0.0, return_sd=0.0),
        state=state,  # type: ignore[arg-type]
        diagnostics=() if state == "approved" else ("success: too low",),
    )
    with sealed_directory(folder / "models" / scenario.name / "expert") as expert:
        write_record(expert / "expert.json", artefact)


def test_every_block_is_recorded_by_its_expert_and_replayed_with_it(
    scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    approve(scenario, tmp_path)
    small = {"blocks": 2, "worlds": 3, "shard_worlds": 2, "slip": 0.0}
    params = changed(load_params(ROOT / "params.yaml"), {"seeds": [40, 41], "capture": small}, "test")

    def waits(scenario: Scenario, world: World, block: int) -> Act:
        """The expert of block 0 never does anything; that of block 1 is the script."""
        return (lambda obs: np.zeros(world.num_envs, np.int64)) if block == 0 else expert_of(scenario, world)

    for module in (recording_module, replay_module):
        monkeypatch.setattr(module, "expert_of", waits)

    capture_stage.capture(params, scenario)

    schema = schema_of(worlds_of(scenario, "capture", 1))
    shards = [read_episodes(path, schema)[0] for path in sorted(Path("data/queue_conflict/raw").glob("*.h5"))]
    assert [set(shard.table.world - FIRST_WORLD["capture"]) for shard in shards] == [{0, 1}, {2}, {3, 4}, {5}]
    assert [int(shard.expert_action.max()) > 0 for shard in shards] == [False, False, True, True]
    episodes = concatenate(shards)
    header = read_episodes(Path("data/queue_conflict/raw/shard-0000.h5"))[1]
    assert replay(episodes, header, params, scenario) == (len(episodes.table.length), 0)
    monkeypatch.setattr(replay_module, "expert_of", lambda scenario, world, block: waits(scenario, world, 1 - block))
    assert replay(episodes, header, params, scenario)[1] == len(episodes.table.length)
