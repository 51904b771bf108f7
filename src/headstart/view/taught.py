"""What taught the candidate, as sections of a report: the expert and its dataset, the clones, and what each cost."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.config.project import DATA, MODELS, REPORTS
from headstart.config.stage_command import stage_command
from headstart.core.errors import InputError
from headstart.core.files import read_record
from headstart.core.run_record import RUN, RunRecord
from headstart.core.verdict import Verdict, decide, missed
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.clone_report import CloneReport, CloneReports
from headstart.runs.expert_record import ExpertPolicy
from headstart.view.blocks import Block, Items, More, Part, Section, Table, Text, counted
from headstart.view.clones import clone_blocks
from headstart.view.judged_expert import judged_blocks

EXPERTS = {
    "scripted": "a script that comes with the world",
    "ppo": "a policy that PPO trained from random weights",
    "callable": "the user's own Python function",
    "onnx": "the user's own policy, an ONNX file",
    "sb3": "the user's own policy, a model of Stable-Baselines3",
    "demonstrations": "whoever acted in a recording that the user brought",
}


SIGNS = {">=": "≥", "<=": "≤", "==": "="}


class Taught(NamedTuple):
    """The records of what the candidate learned from."""

    expert: ExpertPolicy
    expert_gate: Verdict
    dataset: DatasetManifest
    dataset_gates: Verdict
    clones: dict[int, CloneReport]  # by seed
    clone_gates: dict[int, Verdict]
    slip: float | None  # share of executed actions that the recording replaced; None: the record of the recording is not there


def read_taught(root: Path, scenario: str) -> Taught:
    """InputError names the file that is missing, and the stage that makes it."""
    reports, made = root / REPORTS / scenario, stage_command("bc_train", scenario)
    clones = read_record(reports / "bc_train/metrics.json", CloneReports, made_by=made).clones
    return Taught(
        expert=read_record(root / MODELS / scenario / "expert/expert.json", ExpertPolicy, made_by="dvc pull"),
        expert_gate=_verdict(root, scenario, "expert"),
        dataset=read_record(
            root / DATA / scenario / "validated.json", DatasetManifest, made_by=stage_command("validate", scenario)
        ),
        dataset_gates=_verdict(root, scenario, "validate"),
        clones=clones,
        clone_gates={seed: read_record(reports / f"bc_train/seed-{seed}.json", Verdict, made_by=made) for seed in clones},
        slip=_slip(reports / "capture" / RUN),
    )


def _verdict(root: Path, scenario: str, stage: str) -> Verdict:
    return read_record(root / REPORTS / scenario / stage / "verdict.json", Verdict, made_by=stage_command(stage, scenario))


def _slip(path: Path) -> float | None:
    if not path.exists():
        return None
    found = read_record(path, RunRecord).parameters.get("capture")
    slip = found.get("slip") if isinstance(found, dict) else None
    return float(slip) if isinstance(slip, int | float) else None


def require_one_expert(taught: Taught, scenario: str) -> None:
    """InputError unless the dataset was recorded from the expert that was judged."""
    expected, got = taught.expert.policy_sha256, taught.dataset.policy_sha256
    if expected != got:
        again = stage_command("validate", scenario)
        raise InputError(
            f"data/{scenario}/validated.json: expected a dataset of the expert in models/{scenario}/expert, policy_sha256 {expected[:12]}, "
            f"got {got[:12]}; `{again}` makes it anew"
        )


# --- sections -----------------------------------------------------------------------------------------------------------


def who_text(taught: Taught) -> str:
    """In one sentence: who demonstrated, how well, and with how many slips."""
    expert = taught.expert
    score = expert.score
    shown = (
        "; the recording does not tell its success, harm and return"
        if score is None
        else f": success {score.success_rate:.3f}, harm {score.harm_rate:.3f}, return {score.return_mean:.3f} in {score.episodes:,} worlds "
        f"of its own test"
    )
    return f"The expert is {EXPERTS[expert.kind]}{shown}. {_slips(taught)}"


def _slips(taught: Taught) -> str:
    if taught.expert.kind == "demonstrations":
        return "Nothing was added to the recorded actions."
    if taught.slip is None:
        return "How many slips the recording adds is not known: `dvc pull` brings the record of the recording."
    return (
        f"In the recording {taught.slip:.1%} of its actions were replaced by random ones (slips), with the expert's own action as the label."
        if taught.slip
        else "The recording adds no slips to its actions."
    )


def dataset_text(taught: Taught) -> str:
    """Name and hash, size, and split."""
    dataset = taught.dataset
    train, heldout = dataset.splits.train, dataset.splits.heldout
    return (
        f"Dataset `{dataset.dataset}@{dataset.version}`: {dataset.accepted.episodes:,} agent episodes "
        f"({dataset.accepted.steps:,} env steps) accepted, "
        f"{dataset.rejected.episodes:,} rejected, in {len(dataset.blocks)} blocks, one for each clone; {train.worlds:,} worlds to train on and "
        f"{heldout.worlds:,} held out, none on both sides."
    )


def data_section(taught: Taught, costs: Sequence[int]) -> Section:
    """`costs`: env steps that the demonstrations of each run of the candidate cost."""
    return Section(
        "data",
        "Expert, dataset and clones",
        [
            Part(
                f"Expert: {taught.expert_gate.outcome}",
                [
                    Text("Who demonstrated, and the dataset: under the verdict above."),
                    Text(_cost(taught, costs)),
                    *judged_blocks(taught.expert),
                    _gate_table(taught.expert_gate),
                ],
            ),
            Part(f"Dataset: {taught.dataset_gates.outcome}", _dataset(taught)),
            Part(f"Clones: {clones_outcome(taught)}", clone_blocks(taught.clones, taught.clone_gates)),
        ],
    )


def _cost(taught: Taught, costs: Sequence[int]) -> str:
    if not costs:
        return "What the demonstrations cost is not measured: the candidate starts from random weights."
    low, high = min(costs), max(costs)
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    trained = max((taught.expert.training_steps(block) for block in range(len(taught.dataset.blocks))), default=0)
    included = (
        f", the {trained:,} env steps that trained the expert among them"
        if trained
        else ", and the expert itself took no training"
    )
    return f"The demonstrations of one run cost {each} env steps, rejected agent episodes among them{included}; the all-in ratio charges them."


def _gate_table(gate: Verdict) -> Table:
    rows = [
        (
            check.name,
            check.text,
            _value(check.measured),
            f"{SIGNS.get(check.direction, check.direction)} {_value(check.threshold)}",
            "ok" if check.passed else "MISSED",
        )
        for check in gate.checks
        if check.applies
    ]
    return Table("gate | what was measured | measured | limit | result", rows)


def _value(value: object) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _dataset(taught: Taught) -> list[Block]:
    dataset, gates = taught.dataset, taught.dataset_gates
    quality = dataset.quality
    named = {"success": quality.success_rate, "harm": quality.harm_rate, "mean return": quality.return_mean}
    shown = ", ".join(f"{name} {'not recorded' if value is None else f'{value:.3f}'}" for name, value in named.items())
    facts = [
        ("hash", dataset.version),
        *((f"rejected: {reason}", counted(n, "agent episode")) for reason, n in dataset.rejection_reasons.items()),
        ("of the worlds of the accepted agent episodes, slips included", f"{shown}{_without_slips(taught)}"),
        (
            "split",
            f"{dataset.splits.rule}; seed {dataset.splits.seed}, {dataset.splits.heldout_share:.0%} of the worlds held out",
        ),
        ("to train on", f"{dataset.splits.train.episodes:,} agent episodes in {dataset.splits.train.worlds:,} worlds"),
        ("held out", f"{dataset.splits.heldout.episodes:,} agent episodes in {dataset.splits.heldout.worlds:,} worlds"),
    ]
    passed = sum(check.applies and check.passed for check in gates.checks)
    said = [f"{passed} of {sum(check.applies for check in gates.checks)} gates passed.", *(missed(one) for one in gates.reasons)]
    said += [f"Left out: {check.name}, {check.text}." for check in gates.checks if not check.applies]
    every = More(f"Show the {sum(check.applies for check in gates.checks)} gates", [_gate_table(gates)])
    return [Table("dataset | value", facts), Items(said), every]


def _without_slips(taught: Taught) -> str:
    """The expert's own test, in which nothing replaces its actions."""
    score = taught.expert.score
    if score is None or not taught.slip:
        return ""
    return (
        f"; the expert without slips: {score.success_rate:.3f}, {score.harm_rate:.3f}, {score.return_mean:.3f} ({score.episodes:,} worlds of "
        "its own test)"
    )


def clones_outcome(taught: Taught) -> str:
    return decide(check for gate in taught.clone_gates.values() for check in gate.checks).value
