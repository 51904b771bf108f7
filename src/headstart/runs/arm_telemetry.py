"""What an arm says in its telemetry: the fields of each kind of record, from what happened."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
from pydantic_core import to_jsonable_python

import headstart
from headstart.compare.arm_runs import CurvePoint
from headstart.compare.target import meets
from headstart.config.params import Params
from headstart.config.scenario import Scenario, Target
from headstart.config.schedule import Arm
from headstart.core.arrays import Array
from headstart.core.files import sha256_file
from headstart.core.provenance import package_version
from headstart.core.statistics import interquartile_mean, t_margin, wilson_lower, wilson_upper
from headstart.core.strict_json import sha256_json
from headstart.guard.control import Control
from headstart.guard.guardrails import limits
from headstart.learn.anneal import Evaluated, PhaseBegan, Trainer, Updated
from headstart.learn.networks import ActorCritic, tensors
from headstart.runs.checkpoint import weights_sha256
from headstart.runs.progress import KeptState, state_path
from headstart.worlds.api import Played, World

RETURNS = {"total_reward": 1e-4, "return": 1.0}  # the counter of an episode's reward, and its unit


def hardest_target(scenario: Scenario) -> Target:
    """The last target of the scenario file, which lists them from easy to hard; telemetry watches this one."""
    return list(scenario.targets.values())[-1]


def started_fields(
    params: Params, scenario: Scenario, arm: str, target: Target, lineage: dict[str, Any], trainer: Trainer
) -> dict[str, Any]:
    """`run_started`: what makes the file explain itself."""
    recipe = params.arms[arm]
    return {
        "run_type": "baseline_ppo" if recipe.start == "random" else "anneal",
        "config_sha256": sha256_json([recipe.model_dump(mode="json"), params.network.model_dump(mode="json"), scenario.sha256]),
        "params": recipe.model_dump(mode="json"),
        "inputs": [{"role": role, "id": role, "sha256": sha256} for role, sha256 in lineage.items()],
        "package_version": headstart.__version__,
        "versions": {name: package_version(name) or "unknown" for name in ("numpy", "torch")} | {"python": python_version()},
        "device": str(trainer.optimizer.device or "cpu"),
        "threads": 1,
        "worlds": recipe.ppo.worlds,
        "agents": trainer.evaluation.num_agents,
        "target": {"metric": "success_rate", "value": target.success_rate, "sustain_evals": target.consecutive},
        "guardrails": to_jsonable_python([asdict(rule) for rule in limits(recipe, recipe.phases[0]).values()])
        if recipe.start == "bc"
        else (),
        "telemetry_settings": {"every": 1},
    }


def phase_fields(
    event: PhaseBegan, arm: Arm, control: Control, start: KeptState, reference: Mapping[str, float]
) -> dict[str, Any]:
    """`phase_started`; `start` is the state with which the phase begins."""
    phase = event.phase
    return {
        "env_steps": event.env_steps,
        "phase": phase.name,
        "phase_index": event.index,
        "phase_kind": phase.kind,
        "cycle": arm.cycles[event.index],
        "attempt": control.attempt,
        "planned": {"epochs": phase.epochs, "env_steps": phase.env_steps},
        "rollback_target": {"checkpoint_id": start.id, "state_sha256": start.sha256},
        "baselines": dict(reference),
    }


def schedule_fields(event: Updated, trainer: Trainer, control: Control, reference: Mapping[str, float]) -> dict[str, Any]:
    """What of `update` belongs to the schedule: where it stands, and which guardrails are open."""
    m, weights, flags = event.metrics, event.weights, set(control.open)
    return {
        "data_mode": "mixed" if "loss_bc" in m else "rollout",
        "anneal_cycle": trainer.arm.cycles[trainer.at.phase],
        "anneal_stage": trainer.phase.name,
        "anneal_loss_baseline": reference.get("loss_total"),
        "anneal_queue_baseline": reference.get("queue_conflict_rate"),
        "anneal_intensity_baseline": reference.get("queue_intensity_rate"),
        "anneal_loss_flag": "loss_drift" in flags,
        "anneal_queue_flag": "queue_events" in flags,
        "anneal_intensity_flag": "queue_intensity" in flags,
        "anneal_return_flag": "return_drop" in flags,
        "anneal_kl_flag": bool(flags & {"policy_kl", "policy_kl_burst", "reference_kl"}),
        "expert_share": weights.expert_share,
        "bc_weight": weights.bc_weight,
        "kl_weight": weights.kl_weight,
        "expert_steps": int(m.get("expert_steps", 0.0)),
        "loss_bc": m.get("loss_bc"),
        "loss_kl": m.get("loss_kl"),
        "kl_to_reference": m.get("kl_to_reference"),
    }


def update_fields(event: Updated, world: World, passes: int, transitions_total: int, seconds: float) -> dict[str, Any]:
    """`update`: one PPO iteration."""
    m, rollout, weights = event.metrics, event.rollout, event.weights
    steps = rollout.reward.size
    counter = next(name for name in RETURNS if name in world.names.stats)
    returns = rollout.stats[..., world.names.stats.index(counter)].ravel() * RETURNS[counter]
    return {
        "env_steps": event.env_steps,
        "epoch": event.epoch,
        "passes": passes,
        "updates": int(m["updates"]),
        "transitions": int(m["transitions"]),
        "transitions_total": transitions_total,
        "loss_policy": m.get("loss_policy", 0.0),
        "loss_value": m["loss_value"],
        "loss_total": m["loss_total"],
        "batch_entropy_mean": m["entropy"],
        "batch_entropy_std": m["entropy_std"],
        "clip_fraction": m.get("clip_fraction", 0.0),
        "clip_fraction_max": m.get("clip_fraction_max", 0.0),
        "clip_triggered_minibatches": int(m["clip_triggered_minibatches"]),
        "adv_mean": m["adv_mean"],
        "adv_std": m["adv_std"],
        "adv_min_std": m["adv_min_std"],
        "adv_zero_std_batches": int(m["adv_zero_std_batches"]),
        "grad_norm": m.get("grad_norm", m["grad_norm_value"]),
        "grad_norm_max": m.get("grad_norm_max", m["grad_norm_value"]),
        "kl_divergence": m.get("kl_divergence", 0.0),
        "kl_divergence_max": m.get("kl_divergence_max", 0.0),
        "kl_estimator": "k3",
        "lr": weights.learning_rate,
        "cycle_id": event.epoch,
        "rollout_ticks": rollout.action.shape[0],
        "reward_advantage_corr": _or_none(m["reward_advantage_corr"]),
        "explained_variance": _or_none(m["explained_variance"]),
        "reward_mean": float(rollout.reward.mean()),
        "return_mean": float(returns.mean()) if len(returns) else None,
        "return_std": float(returns.std()) if len(returns) else None,
        "episode_length_mean": _episode_length(rollout.stats, world) if len(returns) else None,
        "episodes_finished": int((rollout.terminated | rollout.truncated).sum()),
        "terminations": int(rollout.terminated.sum()),
        "truncations": int(rollout.truncated.sum()),
        "reward_clipped_fraction": 0.0,
        "epoch_duration_sec": seconds,
        "env_steps_per_s": steps / seconds,
    } | (_town_fields(event, world) if world.names.world == "town" else {})


def _episode_length(stats: Array, world: World) -> float:
    """Mean length of the episodes that ended; every one is as long as the horizon in a world that does not count steps."""
    counters = world.names.stats
    return float(stats[..., counters.index("steps")].mean()) if "steps" in counters else float(world.horizon)


def _town_fields(event: Updated, world: World) -> dict[str, Any]:
    """Events among the rows behind the update, and what the agents felt."""
    rollout = event.rollout
    counted = dict(zip(world.names.stats, rollout.counted.tolist(), strict=True))
    features = rollout.obs["features"]

    def feature(name: str) -> Any:
        return features[..., world.names.features.index(name)]

    per_1000 = 1000 / rollout.reward.size
    conflicts, intensity = counted["presses"] + counted["ghost_steps"], counted["intensity"] / 100
    shifts = counted["on_time"] + counted["late"] + counted["absent"]
    rivalry, avoided = feature("rivalry_max"), feature("rivalry_avoid_count")
    return {
        "conflict": {
            "rivalry_max_mean_avg": float(rivalry.mean()),
            "rivalry_max_max_avg": float(rivalry.max()),
            "rivalry_avoid_count_mean_avg": float(avoided.mean()),
            "rivalry_avoid_count_max_avg": float(avoided.max()),
        },
        "queue_conflict_events": conflicts,
        "queue_conflict_intensity_sum": intensity,
        "queue_conflict_rate": conflicts * per_1000,
        "queue_intensity_rate": intensity * per_1000,
        "shower_complete_events": counted["showers"],
        "sleep_complete_events": counted["sleeps"],
        "chat_success_events": counted["chats"],
        "need_mean": {need: float(feature(f"need_{need}").mean()) for need in ("hunger", "hygiene", "energy")},
        "on_time_ratio": counted["on_time"] / shifts if shifts else None,
    }


def evaluation_fields(
    event: Evaluated,
    network: ActorCritic,
    world: World,
    seed: int,
    curve: list[CurvePoint],
    target: Target,
) -> list[dict[str, Any]]:
    """`evaluation`, once for each way of choosing actions; `curve` ends with this evaluation."""
    policy = weights_sha256(tensors(network))
    fields = []
    for mode, played in event.played.items():
        met = [meets(point.score(mode), target) for point in curve]
        streak = len(met) if all(met) else met[::-1].index(False)
        margin = t_margin(played.total_reward, 0.95) if len(played.total_reward) > 1 else 0.0
        mean = float(played.total_reward.mean())
        fields.append(
            {
                "env_steps": event.env_steps,
                "policy_sha256": policy,
                "policy_mode": mode,
                "seed_set_id": f"evaluation-{seed}",
                "episodes": len(played.success),
                "return_mean": mean,
                "return_std": float(played.total_reward.std()),
                "return_ci_low": mean - margin,
                "return_ci_high": mean + margin,
                "return_iqm": float(interquartile_mean(played.total_reward)),
                "success": _proportion(int(played.success.sum()), len(played.success)),
                "per_scenario": {},
                "target_met": met[-1],
                "consecutive_met": streak,
            }
            | (conflict_rates(played, world) if world.names.world == "town" else {})
        )
    return fields


def checkpoint_fields(directory: Path, state_sha256: str, seq: int) -> dict[str, Any]:
    """`checkpoint`: the files of a policy that was just saved."""
    files = [
        {"name": f"{directory.name}/{path.name}", "sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(directory.iterdir())
    ]
    return {"checkpoint_id": directory.name, "state_sha256": state_sha256, "files": files, "safe": True, "telemetry_seq": seq}


def conflict_rates(played: Played, world: World) -> dict[str, float]:
    """Conflicts and their intensity per 1,000 env steps."""
    counted = dict(zip(world.names.stats, played.stats.sum(axis=(0, 1)).tolist(), strict=True))
    per_1000 = 1000 / (world.num_envs * world.horizon)
    return {
        "queue_conflict_rate": (counted["presses"] + counted["ghost_steps"]) * per_1000,
        "queue_intensity_rate": counted["intensity"] / 100 * per_1000,
    }


def state_fields(kept: KeptState, run_dir: Path, seq: int) -> dict[str, Any]:
    """`checkpoint`: a whole state that the run can come back to."""
    path = state_path(run_dir, kept.id)
    file = {"name": path.relative_to(run_dir).as_posix(), "sha256": sha256_file(path), "bytes": kept.bytes}
    return {"checkpoint_id": kept.id, "state_sha256": kept.sha256, "files": [file], "safe": False, "telemetry_seq": seq}


def _proportion(k: int, n: int) -> dict[str, float]:
    return {"k": k, "n": n, "low": wilson_lower(k, n), "high": wilson_upper(k, n)}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
