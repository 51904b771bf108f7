"""What an arm says in its telemetry: the fields of each kind of record, from what happened."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from platform import python_version
from typing import Any

import torch
from pydantic_core import to_jsonable_python

import headstart
from headstart.compare.arm_runs import CurvePoint
from headstart.compare.target import meets
from headstart.config.project import DATA
from headstart.config.scenario import Scenario, Target
from headstart.core.arrays import Array
from headstart.core.files import read_record
from headstart.core.git import git_state
from headstart.core.provenance import package_version
from headstart.core.statistics import interquartile_mean, t_margin, wilson_lower, wilson_upper
from headstart.core.strict_json import sha256_json
from headstart.dataset.manifest import DatasetManifest
from headstart.guard.guardrails import Reading, limits
from headstart.learn.anneal import Evaluated, Trainer, Updated
from headstart.learn.networks import tensors
from headstart.learn.rollout import Rollout
from headstart.runs.checkpoint import weights_sha256
from headstart.runs.progress import SeedJob
from headstart.telemetry.kinds import LearnedFrom, Social
from headstart.worlds.api import Played, World

RETURNS = {"total_reward": 1e-4, "return": 1.0}  # the counter of an episode's reward, and its unit
# metrics of `learn.ppo` that stand in `update` as they are: of every update, of one in which the policy learns, and whole numbers
ALWAYS = ("loss_value", "loss_total", "entropy", "entropy_std", "adv_mean", "adv_std", "adv_min_std", "grad_norm_value")
OF_POLICY = (
    *("loss_policy", "loss_bc", "loss_kl", "kl_to_reference", "kl_divergence", "kl_divergence_max"),
    *("clip_fraction", "clip_fraction_max", "grad_norm", "grad_norm_max"),
)
COUNTS = ("updates", "transitions", "adv_zero_std_batches", "clip_triggered_minibatches", "expert_steps")
ALWAYS_OF_MINIBATCH = ("loss_value", "grad_norm_value", "adv_std")  # of one optimiser step, and of one in which the policy learns
OF_MINIBATCH = ("loss_policy", "entropy", "kl_divergence", "clip_fraction", "loss_bc", "loss_kl", "grad_norm")
SCHEDULED = ("learning_rate", "bc_weight", "kl_weight", "expert_share")  # what a schedule changes from update to update


def hardest_target(scenario: Scenario) -> Target:
    """The last target of the scenario file, which lists them from easy to hard; telemetry watches this one."""
    return list(scenario.targets.values())[-1]


def started_fields(job: SeedJob, lineage: dict[str, str], trainer: Trainer, target: Target | None = None) -> dict[str, Any]:
    """`run_started`: what makes the file explain itself. The git revision is that of the checkout around the working directory.

    `target`: None: the scenario's hardest.
    """
    recipe = job.params.arms[job.arm]
    settings = [recipe.model_dump(mode="json"), job.params.network.model_dump(mode="json"), job.scenario.sha256]
    revision, dirty = git_state(Path())
    packages = {name: package_version(name) or "unknown" for name in ("numpy", "torch")}
    rules = limits(recipe, recipe.phases[0]).values() if recipe.start == "bc" else ()
    return {
        "config_sha256": sha256_json(settings),
        "params": recipe.model_dump(mode="json"),
        "inputs": lineage,
        "dataset": learned_from(job) if recipe.start == "bc" or recipe.needs_demonstrations else None,
        "git_revision": revision,
        "git_dirty": dirty,
        "versions": packages | {"headstart": headstart.__version__, "python": python_version()},
        "device": str(trainer.optimizer.device or "cpu"),
        "threads": torch.get_num_threads(),
        "agents": trainer.evaluation.num_agents,
        "target": (target or hardest_target(job.scenario)).model_dump(mode="json"),
        "guardrails": to_jsonable_python([asdict(rule) for rule in rules]),
    }


def learned_from(job: SeedJob) -> LearnedFrom | None:
    """What is known of the dataset that taught the run's clone; None where it is not at hand, so that nothing is learned from it here."""
    path = DATA / job.scenario.name / "validated.json"
    if not path.exists():
        return None
    found = read_record(path, DatasetManifest)
    quality = found.quality.model_dump()
    return LearnedFrom(id=f"{found.dataset}@{found.version}", episodes=found.accepted.episodes, **quality)


def update_fields(event: Updated, world: World, open_guardrails: Sequence[str], seconds: float) -> dict[str, Any]:
    """`update`: one PPO iteration, which took `seconds`."""
    m = event.metrics
    return (
        {name: m[name] for name in ALWAYS}
        | {name: m.get(name) for name in OF_POLICY}
        | {name: int(m[name]) for name in COUNTS}
        | {name: getattr(event.weights, name) for name in SCHEDULED}
        | {
            "env_steps": event.env_steps,
            "iteration": event.epoch,
            "open_guardrails": sorted(open_guardrails),
            "reward_advantage_corr": _or_none(m["reward_advantage_corr"]),
            "explained_variance": _or_none(m["explained_variance"]),
            "update_s": seconds,
            "env_steps_per_s": event.steps / seconds if event.steps else None,
        }
        | _data_fields(event, world)
    )


def _data_fields(event: Updated, world: World) -> dict[str, Any]:
    """What the rows behind an update were: of the rollout or, where there is none, of the recorded episodes; and how recorded ones were used."""
    rollout, records, m = event.rollout, event.records, event.metrics
    data = rollout or records
    assert data is not None  # an update has one of them
    said = {
        "data_mode": None if records is None else "mixed" if rollout else "replay",
        "replay_objective": records and records.objective,
        "recorded_steps": records and int(m.get("recorded_steps", 0)),
        "kl_step": m.get("kl_step"),
        "reward_mean": float(data.reward.mean()),
        "terminations": int(data.terminated.sum()),
        "truncations": int(data.truncated.sum()),
    }
    return said if rollout is None else said | _rollout_fields(rollout, world)


def _rollout_fields(rollout: Rollout, world: World) -> dict[str, Any]:
    """The episodes that ended in a rollout."""
    counter = next(name for name in RETURNS if name in world.names.stats)
    returns = rollout.stats[..., world.names.stats.index(counter)].ravel() * RETURNS[counter]
    ended = len(returns) > 0
    return {
        "return_mean": float(returns.mean()) if ended else None,
        "return_std": float(returns.std()) if ended else None,
        "episode_length_mean": _episode_length(rollout.stats, world) if ended else None,
    } | (_town_fields(rollout, world) if world.names.world == "town" else {})


def minibatch_fields(event: Updated, passes: int) -> Iterator[dict[str, Any]]:
    """`minibatch`, once for each optimiser step of an update that passes so often over its rollout; none of an update that was skipped."""
    log = event.minibatches
    shown = [name for name in OF_MINIBATCH if name in event.metrics]
    passes = 1 if event.rollout is None else passes
    for number in range(len(log.get("rows", ()))):
        pass_index, minibatch = divmod(number, len(log["rows"]) // passes)
        names = (*ALWAYS_OF_MINIBATCH, *shown) if log["actor_learns"][number] else ALWAYS_OF_MINIBATCH
        yield {
            "env_steps": event.env_steps,
            "iteration": event.epoch,
            "pass_index": pass_index,
            "minibatch": minibatch,
            "transitions": int(log["rows"][number]),
        } | {name: float(log[name][number]) for name in names}


def _episode_length(stats: Array, world: World) -> float:
    """Mean length of the episodes that ended; every one is as long as the horizon in a world that does not count steps."""
    counters = world.names.stats
    return float(stats[..., counters.index("steps")].mean()) if "steps" in counters else float(world.horizon)


def _town_fields(rollout: Rollout, world: World) -> dict[str, Any]:
    """Events among the rows behind the update, and what the agents felt."""
    counted = dict(zip(world.names.stats, rollout.counted.tolist(), strict=True))
    features = rollout.obs["features"]

    def feature(name: str) -> Any:
        return features[..., world.names.features.index(name)]

    shifts = counted["on_time"] + counted["late"] + counted["absent"]
    rivalry, avoided = feature("rivalry_max"), feature("rivalry_avoid_count")
    return _conflict_rates(counted, rollout.reward.size) | {
        "rivalry": {
            "max_mean": float(rivalry.mean()),
            "max_max": float(rivalry.max()),
            "avoid_count_mean": float(avoided.mean()),
            "avoid_count_max": float(avoided.max()),
        },
        "need_mean": {need: float(feature(f"need_{need}").mean()) for need in ("hunger", "hygiene", "energy")},
        "showers": counted["showers"],
        "sleeps": counted["sleeps"],
        "chats": counted["chats"],
        "on_time_ratio": counted["on_time"] / shifts if shifts else None,
        "social": social(counted, world.num_agents),
    }


def evaluation_fields(event: Evaluated, trainer: Trainer, curve: Sequence[CurvePoint], target: Target) -> list[dict[str, Any]]:
    """`evaluation`, once for each way of choosing actions; `curve` ends with this evaluation."""
    world, policy = trainer.evaluation, weights_sha256(tensors(trainer.network))
    fields = []
    for mode, played in event.played.items():
        met = [meets(point.score(mode), target) for point in curve]
        returns = played.total_reward
        margin = t_margin(returns, 0.95) if len(returns) > 1 else 0.0
        mean = float(returns.mean())
        fields.append(
            {
                "env_steps": event.env_steps,
                "policy_sha256": policy,
                "policy_mode": mode,
                "evaluation_seed": trainer.design.seed,
                "return_mean": mean,
                "return_std": float(returns.std()),
                "return_ci_low": mean - margin,
                "return_ci_high": mean + margin,
                "return_iqm": float(interquartile_mean(returns)),
                "success": _proportion(played.success),
                "harm": _proportion(played.harm),
                "target_met": met[-1],
                "consecutive_met": len(met) if all(met) else met[::-1].index(False),
            }
            | (_town_evaluation(played, world) if world.names.world == "town" else {})
        )
    return fields


def _town_evaluation(played: Played, world: World) -> dict[str, Any]:
    return conflict_rates(played, world) | {"social": social(_counted(played, world), world.num_agents)}


def conflict_rates(played: Played, world: World) -> dict[str, float]:
    """Conflicts of the played episodes of the town and their intensity, each per 1,000 env steps."""
    return _conflict_rates(_counted(played, world), world.num_envs * world.horizon)


def _counted(played: Played, world: World) -> dict[str, int]:
    return dict(zip(world.names.stats, played.stats.sum(axis=(0, 1), dtype="i8").tolist(), strict=True))


def social(counted: Mapping[str, int], agents: int) -> Social:
    """`social`, of counters that are summed over worlds and their `agents`, each of whom counts the cuts of its town."""
    chats, late = counted["chats"], counted["late"]
    same = ("chats", "chat_failures", "shared_meals", "yields", "late", "absent", "late_help", "shift_takeovers")
    return Social(
        **{name: counted[name] for name in same},
        chat_quality_mean=counted["chat_quality"] / chats / 10_000 if chats else None,
        lateness_mean=counted["late_ticks"] / late if late else None,
        blackouts=counted["blackouts"] // agents,
        outages=counted["outages"] // agents,
    )


def reading_fields(reading: Reading) -> dict[str, Any]:
    """`reading`: the values that guardrails are shown, the names of those that are not finite in place of them."""
    values = {n: str(float(v)) if v is not None and not math.isfinite(v) else v for n, v in reading.values.items()}
    return {"env_steps": reading.env_steps, "check": reading.kind, "values": values}


def _conflict_rates(counted: Mapping[str, float], env_steps: int) -> dict[str, float]:
    per_1000 = 1000 / env_steps
    return {
        "queue_conflict_rate": (counted["presses"] + counted["ghost_steps"]) * per_1000,
        "queue_intensity_rate": counted["intensity"] / 100 * per_1000,
    }


def _proportion(happened: Array) -> dict[str, float]:
    k, n = int(happened.sum()), len(happened)
    return {"k": k, "n": n, "low": wilson_lower(k, n), "high": wilson_upper(k, n)}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
