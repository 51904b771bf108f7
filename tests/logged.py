"""The logs in samples/telemetry, made record by record: small, with numbers that a person can check. `make goldens` writes them."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headstart.core.strict_json import canonical_json
from headstart.telemetry.kinds import KINDS, Social
from headstart.telemetry.logs import read_log
from headstart.telemetry.summary import summarised
from headstart.view.telemetry import tables, text_of

ROOT = Path(__file__).parents[1]
SAMPLES = Path("samples/telemetry")
CODES = {  # log → exit code of `validate`, and with --strict
    "v1_0.ndjson": (0, 0),
    "v1_0.upgraded.ndjson": (0, 0),
    "v1_1.ndjson": (0, 0),
    "v1_1.upgraded.ndjson": (0, 0),
    "v1_2.ndjson": (0, 0),
    "v1_2.upgraded.ndjson": (0, 0),
    "v1_2_array.json": (0, 0),
    "town_anneal.ndjson": (0, 0),
    "nav_scratch_censored.ndjson": (0, 0),
    "nav_pretrained.ndjson": (0, 0),
    "nonfinite.ndjson": (0, 0),
    "torn_tail.ndjson": (0, 4),
    "seq_gap.ndjson": (4, 4),
    "hostile_strings.ndjson": (0, 0),
}
NOT_SUMMED = {"seq_gap.ndjson"}  # a log that is not whole is not summed up
HOSTILE = "</script><img src=x onerror=alert(1)> \u202egnp.exe \x1b[31m=cmd|'/c calc'!A1"


def social(**counts: float) -> dict[str, float | None]:
    """What passed between agents; nothing that is not given."""
    return {name: None if name.endswith("_mean") else 0 for name in Social.model_fields} | counts


def sha(text: str) -> str:
    return (text.encode().hex() + "0" * 64)[:64]


class Written:
    """The lines of one log; `env_steps` and `phase` stay as they were."""

    def __init__(self, world: str, scenario: str, arm: str, stage: str, seed: int = 7) -> None:
        run_id = f"{arm}-{scenario}-{seed}".replace("_", "-")
        self.envelope = {"run_id": run_id, "arm": arm, "world": world, "scenario": scenario, "seed": seed, "stage": stage}
        self.lines: list[bytes] = []
        self.place: dict[str, Any] = {"phase": None, "env_steps": 0}

    def write(self, kind: str, **fields: Any) -> None:
        seq = len(self.lines) + 1
        clock: dict[str, Any] = {"update_s": 0.5, "env_steps_per_s": 2048.0} if kind == "update" else {}
        wall = {"time_utc": f"2026-01-02T03:04:{seq % 60:02d}.000Z", "elapsed_s": float(seq), "rss_mib": 512.0}
        wall |= {"update_s": None, "env_steps_per_s": None} | clock
        self.place |= {name: fields[name] for name in self.place if name in fields}
        if kind == "run_ended":
            fields["records_written"] = seq
        own = {"seq": seq, "nonfinite": fields.pop("nonfinite", []), "wall": wall}
        line = KINDS[kind].model_validate(self.envelope | self.place | fields | own)
        self.lines.append(canonical_json(line.model_dump(mode="json")) + b"\n")
        if kind == "phase_ended":
            self.place["phase"] = None

    def start(self, phases: list[tuple[str, str]], **more: Any) -> None:
        self.write(
            "run_started",
            config_sha256=sha("config"),
            params={"phases": [{"name": name, "kind": kind} for name, kind in phases]},
            inputs={},
            git_revision="0" * 40,
            git_dirty=False,
            versions={"headstart": "1.0.0", "python": "3.11.0"},
            device="cpu",
            threads=1,
            agents=4,
            target={"metric": "success_rate", "value": 0.9},
            guardrails=[],
            **more,
        )

    def update(self, iteration: int, **changes: Any) -> None:
        fields = {
            "iteration": iteration,
            "updates": 4,
            "transitions": 4096,
            "loss_policy": -0.01,
            "loss_value": 0.04,
            "loss_total": 0.01,
            "entropy": 1.0,
            "entropy_std": 0.01,
            "adv_mean": 0.0,
            "adv_std": 0.5,
            "adv_min_std": 0.4,
            "adv_zero_std_batches": 0,
            "grad_norm": 0.25,
            "grad_norm_max": 0.5,
            "grad_norm_value": 0.75,
            "learning_rate": 0.001,
            "clip_fraction": 0.125,
            "clip_fraction_max": 0.25,
            "clip_triggered_minibatches": 4,
            "kl_divergence": 0.01,
            "kl_divergence_max": 0.02,
            "bc_weight": 0.0,
            "kl_weight": 0.0,
            "expert_share": 0.0,
            "expert_steps": 0,
            "open_guardrails": [],
            "reward_mean": 0.125,
            "reward_advantage_corr": 0.5,
            "explained_variance": 0.75,
            "return_mean": 1.0,
            "return_std": 0.25,
            "episode_length_mean": 128.0,
            "terminations": 0,
            "truncations": 8,
        }
        fields |= {"env_steps": self.place["env_steps"] + 1024} | changes
        self.write("update", **fields)
        reading = {name: fields[name] for name in ("kl_divergence", "grad_norm", "entropy", "loss_total")}
        self.write("reading", check="update", values=reading | {"nonfinite": float(bool(changes.get("nonfinite")))})

    def evaluate(self, success: int, harm: int, returned: float, met: bool = False, row: int = 0, **more: Any) -> None:
        margin, n = 0.0625, 64
        rate = {"success": success, "harm": harm}
        bounds = {name: {"k": k, "n": n, "low": max(k - 8, 0) / n, "high": min(k + 8, n) / n} for name, k in rate.items()}
        self.write(
            "evaluation",
            policy_sha256=sha(f"policy {self.place['env_steps']}"),
            policy_mode="sampled",
            evaluation_seed=520,
            return_mean=returned,
            return_std=0.25,
            return_ci_low=returned - margin,
            return_ci_high=returned + margin,
            return_iqm=returned,
            target_met=met,
            consecutive_met=row,
            **bounds,
            **more,
        )

    def keep(self, name: str) -> None:
        self.write("checkpoint", checkpoint_id=name, state_sha256=sha(name))

    def phase(self, index: int, name: str, kind: str, **baselines: float) -> None:
        at = f"{name if name.isidentifier() else 'phase'}-start-{self.place['env_steps']}"
        self.keep(at)
        self.write("phase_started", phase=name, phase_index=index, phase_kind=kind, rollback_target=at, baselines=baselines)

    def end_phase(self, used: int, outcome: str = "completed", open_guardrails: tuple[str, ...] = ()) -> None:
        self.write("phase_ended", outcome=outcome, env_steps_used=used, open_guardrails=open_guardrails)

    @property
    def data(self) -> bytes:
        return b"".join(self.lines)


def town_anneal() -> bytes:
    """Clone, critic, PPO: a burst of KL takes the run back to the start of its phase, and the second attempt completes it."""
    log = Written("town", "queue_conflict", "classic", "anneal")
    learned = {"id": "queue_conflict@0123456789ab", "episodes": 64, "steps_mean": 128.0, "return_mean": 1.5}
    log.start(
        [("clone", "bc"), ("warm_up", "critic"), ("tune", "ppo")], dataset=learned | {"success_rate": 0.75, "harm_rate": 0.25}
    )
    log.evaluate(
        48,
        4,
        1.25,
        queue_conflict_rate=2.0,
        queue_intensity_rate=3.0,
        social=social(chats=8, chat_failures=16, chat_quality_mean=0.5),
    )
    log.phase(0, "clone", "bc", success_rate=0.75, harm_rate=0.0625)
    for epoch, accuracy in enumerate((0.85, 0.9375), start=1):
        log.write(
            "bc_epoch",
            bc_epoch=epoch,
            loss=0.5 / epoch,
            loss_heldout=0.625 / epoch,
            accuracy=accuracy,
            accuracy_heldout=accuracy,
            macro_f1=0.875,
            majority_baseline=0.5,
            per_behaviour={"eat": {"n": 32, "recall": 1.0}, "shower": {"n": 16, "recall": 0.75}},
            learning_rate=0.001,
            samples=512,
            early_stopped=False,
        )
    log.write("reading", check="evaluation", values={"bc_accuracy": 0.9375})
    log.end_phase(0)
    log.phase(1, "warm_up", "critic", success_rate=0.75, harm_rate=0.0625)
    frozen = (
        "loss_policy",
        "clip_fraction",
        "clip_fraction_max",
        "grad_norm",
        "grad_norm_max",
        "kl_divergence",
        "kl_divergence_max",
    )
    log.update(1, **dict.fromkeys(frozen), clip_triggered_minibatches=0, loss_total=0.04)
    log.end_phase(1024)
    base = {"success_rate": 0.75, "harm_rate": 0.0625, "entropy": 1.0, "queue_conflict_rate": 2.0, "queue_intensity_rate": 3.0}
    log.phase(2, "tune", "ppo", **base)
    start = f"tune-start-{log.place['env_steps']}"
    town: dict[str, Any] = {"queue_conflict_rate": 2.0, "queue_intensity_rate": 3.0, "showers": 3, "sleeps": 1, "chats": 2}
    town["social"] = social(chats=2, chat_failures=1, chat_quality_mean=0.5, shared_meals=1)
    log.update(2, bc_weight=0.5, return_mean=1.25, **town)
    log.update(
        3, bc_weight=0.25, kl_divergence=0.5, kl_divergence_max=2.0, grad_norm=4.0, grad_norm_max=8.0, return_mean=0.5, **town
    )
    log.write(
        "guardrail",
        guardrail="policy_kl",
        severity="breach",
        metric="kl_divergence",
        value=0.5,
        threshold=0.05,
        direction="above",
        window=1,
        hits=1,
        decision="rollback",
        reason="kl_divergence 0.5 (limit > 0.05)",
    )
    log.write(
        "rollback",
        from_state_sha256=sha("bad"),
        to_checkpoint_id=start,
        to_state_sha256=sha(start),
        restored_state_sha256=sha(start),
        env_steps_discarded=2048,
        attempt=1,
        next="retry",
        skipped_checkpoints=[],
    )
    town["social"] = social(chats=2, chat_quality_mean=0.25, yields=3, late=2, lateness_mean=7.5, late_help=1)
    log.update(4, bc_weight=0.5, learning_rate=0.0005, return_mean=1.375, **town)
    log.update(5, bc_weight=0.25, learning_rate=0.00025, return_mean=1.5, **town)
    log.evaluate(
        62,
        1,
        1.5,
        met=True,
        row=1,
        queue_conflict_rate=1.5,
        queue_intensity_rate=2.5,
        social=social(chats=16, chat_quality_mean=0.5, shared_meals=2, outages=1),
    )
    log.write("reading", check="evaluation", values={"success_rate": 0.96875, "harm_rate": 0.015625})
    log.keep(f"at-{log.place['env_steps']}")
    log.end_phase(4096)
    log.keep("policy")
    log.write("run_ended", status="completed", verdict="PASS", steps_to_target=5120, censored=False)
    return log.data


def nav(arm: str, successes: tuple[int, ...], met_from: int | None, **changes: Any) -> Written:
    """A run of one phase with an evaluation after every update; the target is met from evaluation `met_from` on."""
    log = Written("nav", "nav_mixed", arm, "baseline" if arm == "scratch" else "anneal")
    log.start([("learn", "ppo")])
    log.evaluate(successes[0], 16, -1.0)
    log.phase(0, "learn", "ppo", success_rate=successes[0] / 64, harm_rate=0.25)
    for number, success in enumerate(successes[1:], start=1):
        more = changes.get(f"update_{number}", {})
        log.update(number, return_mean=success / 32 - 1, entropy=1.0 - number / 16, **more)
        met = met_from is not None and number >= met_from
        log.evaluate(success, 16 - 2 * number, success / 32 - 1, met=met, row=number - (met_from or 0) + 1 if met else 0)
    log.end_phase(1024 * (len(successes) - 1))
    log.keep("policy")
    reached = None if met_from is None else 1024 * met_from
    log.write("run_ended", status="completed", verdict="PASS", steps_to_target=reached, censored=reached is None)
    return log


def nonfinite() -> bytes:
    """The second update is not finite; its record says which numbers."""
    lost = {"loss_total": None, "grad_norm": None, "nonfinite": ["grad_norm", "loss_total"]}
    return nav("scratch", (8, 12, 16, 20), None, update_2=lost).data


def hostile_strings() -> bytes:
    """Markup, escape codes and reversed text wherever a text may stand."""
    log = Written("nav", HOSTILE, "scratch", HOSTILE)
    log.envelope["run_id"] = "hostile"
    log.start([(HOSTILE, "ppo")])
    log.phase(0, HOSTILE, "ppo", **{HOSTILE: 1.0})
    log.update(1, open_guardrails=[HOSTILE])
    log.write(
        "guardrail",
        guardrail=HOSTILE,
        severity="warn",
        metric=HOSTILE,
        threshold=1.0,
        direction="above",
        window=1,
        hits=1,
        decision="continue",
        reason=HOSTILE,
    )
    log.end_phase(1024, "held", (HOSTILE,))
    log.write("run_ended", status="completed", verdict="HOLD", reasons=[HOSTILE], censored=True)
    return log.data


# --- versions 1.0 to 1.2 ------------------------------------------------------------------------------------------------


def version_1(epoch: int, version: str | None) -> dict[str, Any]:
    """A record, with each number as a float."""
    found: dict[str, Any] = {
        "epoch": float(epoch),
        "updates": 2.0,
        "transitions": 128.0,
        "steps": 128.0 * epoch,
        "loss_policy": -0.01 * epoch,
        "loss_value": 0.5 / epoch,
        "loss_entropy": 1.5,
        "loss_total": 0.25 / epoch,
        "clip_fraction": 0.125,
        "adv_mean": 0.0,
        "adv_std": 1.0,
        "grad_norm": 2.0,
        "kl_divergence": -0.005,
        "lr": 0.0003,
    } | ({} if version is None else {"telemetry_version": float(version)})
    if version in ("1.1", "1.2"):
        found |= {
            "epoch_duration_sec": 0.5,
            "data_mode": "rollout",
            "cycle_id": float(epoch),
            "batch_entropy_mean": 1.5,
            "batch_entropy_std": 0.0625,
            "grad_norm_max": 3.0,
            "kl_divergence_max": 0.02,
            "reward_advantage_corr": 0.25,
            "rollout_ticks": 40.0,
            "log_stream_offset": float(epoch),
            "queue_conflict_events": 32.0,
            "queue_conflict_intensity_sum": 52.75,
            "shared_meal_events": 3.0,
            "chat_quality_mean": 0.75,
        }
    if version == "1.2":
        found |= {
            "anneal_cycle": 0.0,
            "anneal_stage": "ppo",
            "anneal_dataset": "queue_conflict@3",
            "anneal_bc_accuracy": 0.96875,
            "anneal_bc_threshold": 0.9,
            "anneal_bc_passed": True,
            "anneal_loss_baseline": 0.25,
            "anneal_queue_baseline": 32.0,
            "anneal_intensity_baseline": 52.75,
            "anneal_loss_flag": epoch == 3,
            "anneal_queue_flag": False,
            "anneal_intensity_flag": False,
        }
    return found


def lines_of(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def with_health(record: dict[str, Any]) -> dict[str, Any]:
    """The keys that came later without a new version, and those with a dot."""
    rivalry = {f"conflict.rivalry_{name}_avg": 0.25 for name in ("max_mean", "max_max", "avoid_count_mean", "avoid_count_max")}
    health = {"adv_zero_std_batches": 0.0, "adv_min_std": 0.5, "clip_triggered_minibatches": 2.0, "clip_fraction_max": 0.25}
    return record | rivalry | health


def bc_stage(record: dict[str, Any]) -> dict[str, Any]:
    """An epoch of cloning, before there is anything to compare with."""
    nothing = dict.fromkeys(name for name in record if name.startswith("anneal_") and name.endswith(("_flag", "_baseline")))
    return record | nothing | {"anneal_stage": "bc", "data_mode": "replay", "rollout_ticks": 0.0}


def version_1_2() -> list[dict[str, Any]]:
    return [bc_stage(version_1(1, "1.2")), version_1(2, "1.2"), version_1(3, "1.2")]


MADE: dict[str, Callable[[], bytes]] = {
    "v1_0.ndjson": lambda: lines_of([version_1(epoch, "1.0") for epoch in (1, 2)]),
    "v1_1.ndjson": lambda: lines_of([version_1(1, "1.1"), with_health(version_1(2, "1.1"))]),
    "v1_2.ndjson": lambda: lines_of(version_1_2()),
    "v1_2_array.json": lambda: json.dumps(version_1_2(), indent=1).encode() + b"\n",
    "town_anneal.ndjson": town_anneal,
    "nav_scratch_censored.ndjson": lambda: nav("scratch", (4, 8, 16, 24), None).data,
    "nav_pretrained.ndjson": lambda: nav("pretrained", (48, 56, 60, 62), 2).data,
    "nonfinite.ndjson": nonfinite,
    "torn_tail.ndjson": lambda: nav("scratch", (4, 8, 16), None).data[:-100],
    "seq_gap.ndjson": lambda: b"".join(line for number, line in enumerate(nav("scratch", (4, 8), None).lines) if number != 3),
    "hostile_strings.ndjson": hostile_strings,
    "baseline.json": lambda: (
        b'{\n  "entropy": 1.0,\n  "kl_divergence": 0.01,\n  "loss_total": 0.01,\n  "return_mean": 0.875,\n  "showers": 3\n}\n'
    ),
}


def upgraded(root: Path) -> dict[str, bytes]:
    """Name → bytes of what the logs of version 1.x become."""
    logs = {name: read_log(root / SAMPLES / f"{name}.ndjson") for name in ("v1_0", "v1_1", "v1_2")}
    return {
        f"{name}.upgraded.ndjson": b"".join(canonical_json(one.model_dump(mode="json")) + b"\n" for one in log.records)
        for name, log in logs.items()
    }


def summaries(root: Path) -> dict[str, bytes]:
    """Name → text of the summaries of all logs that are whole."""
    logs = {name: read_log(root / SAMPLES / name)._replace(name=name) for name in CODES if name not in NOT_SUMMED}
    return {
        f"{name}.summary.txt": text_of(name, tables(summarised(log), wall=False)).encode() + b"\n" for name, log in logs.items()
    }


def samples() -> dict[str, bytes]:
    """Name → bytes of every sample as it is made today."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / SAMPLES).mkdir(parents=True)
        made: dict[str, bytes] = {}
        for some in (lambda: {name: make() for name, make in MADE.items()}, lambda: upgraded(root), lambda: summaries(root)):
            for name, data in some().items():
                (root / SAMPLES / name).write_bytes(data)
                made[name] = data
    return made
