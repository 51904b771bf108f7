"""What the runs went through, and where every figure comes from: the schedule with its guardrails and rollbacks, and the lineage."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.compare.arm_runs import ArmRuns
from headstart.compare.comparison import Comparison
from headstart.config.project import COMPARISONS, REPORTS
from headstart.config.schedule import Phase, Ramp
from headstart.config.stage_command import stage_command
from headstart.core.files import read_record, sha256_file
from headstart.core.run_record import RUN, RunRecord
from headstart.dataset.manifest import DatasetManifest
from headstart.runs.states import TELEMETRY
from headstart.telemetry.kinds import AnyLine, GuardrailLine, RollbackLine, Update
from headstart.telemetry.reader import read_telemetry
from headstart.view.blocks import Block, Command, Figure, Note, Section, Table, Text, counted, section
from headstart.view.charts import can_draw
from headstart.view.charts_training import WEIGHTS, weights

DIGITS = 12  # of a hash, and of a git revision
LOCK = "constraints.txt"  # the versions that a project pins
RAMPS = ("learning_rate", "entropy_coef", *WEIGHTS)
EVENTS_SHOWN = 40
LOGS_MISSING = "Not known here: guardrails, rollbacks and weights as they were, since the logs of the runs are missing; `dvc pull` brings them."

Logs = Mapping[int, Sequence[AnyLine]]  # seed → its log


def read_logs(root: Path, scenario: str, stage: str, arm: ArmRuns) -> Logs:
    """Of every run of an arm; empty where one is missing."""
    folder = root / REPORTS / scenario / stage / arm.arm / TELEMETRY
    paths = {run.seed: folder / f"seed-{run.seed}" for run in arm.runs}
    return {seed: read_telemetry(path) for seed, path in paths.items()} if all(path.is_dir() for path in paths.values()) else {}


# --- schedule -----------------------------------------------------------------------------------------------------------


def schedule_section(arm: ArmRuns, logs: Logs) -> Section:
    start = "a clone" if arm.recipe.start == "bc" else "random weights"
    blocks: list[Block] = [
        Text(f"{arm.arm} starts from {start} and may use {arm.recipe.budget:,} env steps a seed."),
        _phases(arm),
    ]
    if not logs:
        return section("schedule", "Schedule", *blocks, Text(LOGS_MISSING))
    events = [row for seed, log in logs.items() for line in log if (row := _event(seed, line))]
    back = sum(isinstance(line, RollbackLine) for log in logs.values() for line in log)
    fired = len(events) - back
    seed = _eventful(logs)
    spec = weights(logs[seed])
    finding = (
        f"{counted(len(logs), 'run')}, {counted(fired, 'finding')} of guardrails, {counted(back, 'rollback')}. Shown are the weights that each "
        f"update of seed {seed} really used, {'in which most of it happened' if events else 'since nothing happened in any'}."
        f"{_never_used(arm, logs)} Triangles: warnings; crosses: breaches; arrows along the bottom: rollbacks."
    )
    if spec is not None:
        figure = Figure(
            "weights",
            spec if can_draw() else None,
            f"Weights of the schedule over the env steps of seed {seed}",
            finding,
            _weights(logs[seed]),
        )
        blocks.append(figure)
    else:
        blocks.append(Text(f"Every weight of the schedule is 0. {finding.split('. ')[0]}."))
    if events:
        blocks.append(Table("seed | env steps | phase | what | value | limit | decision", events[:EVENTS_SHOWN]))
    if len(events) > EVENTS_SHOWN:
        blocks.append(Note(f"{EVENTS_SHOWN} of {len(events)} events are shown; the logs have all."))
    return section("schedule", "Schedule", *blocks)


def _phases(arm: ArmRuns) -> Table:
    rows = [
        (phase.name, phase.kind, _length(phase), *(_ramp(getattr(phase, name)) for name in RAMPS)) for phase in arm.recipe.phases
    ]
    return Table(f"phase | kind | length | {' | '.join(RAMPS)}", rows)


def _length(phase: Phase) -> str:
    return f"{phase.length:,} {'epochs' if phase.kind == 'bc' else 'env steps'}"


def _ramp(ramp: Ramp) -> str:
    if ramp.from_ == ramp.to:
        return f"{ramp.to:g}"
    return f"{ramp.from_:g} to {ramp.to:g}" + (
        ""
        if ramp.shape == "linear" and ramp.over == 1
        else f", {ramp.shape} at {ramp.over:g}"
        if ramp.shape == "step"
        else f", {ramp.shape} over {ramp.over:g}"
    )


def _event(seed: int, line: AnyLine) -> Sequence[str] | None:
    """A row; a finding without a value says that its guardrail does not apply, and is left out."""
    if isinstance(line, GuardrailLine) and line.value is not None:
        what = f"{line.severity}: {line.guardrail}"
        return (
            str(seed),
            f"{line.env_steps:,}",
            line.phase or "–",
            what,
            f"{line.value:.4g}",
            f"{line.direction} {line.threshold:.4g}",
            line.decision,
        )
    if isinstance(line, RollbackLine):
        what = f"rollback to {line.to_checkpoint_id}"
        return str(seed), f"{line.env_steps:,}", line.phase or "–", what, f"{line.env_steps_discarded:,} steps", "–", line.next
    return None


def _eventful(logs: Logs) -> int:
    """The seed with the most rollbacks and findings; the lowest of several."""
    return max(sorted(logs), key=lambda seed: sum(_event(seed, line) is not None for line in logs[seed]))


def _never_used(arm: ArmRuns, logs: Logs) -> str:
    """A step of a weight that comes after the last update of its phase began, so that no update used what it leads to."""
    said = []
    for phase in arm.recipe.phases:
        updates = [line for log in logs.values() for line in log if isinstance(line, Update) and line.phase == phase.name]
        for name in WEIGHTS:
            ramp = getattr(phase, name)
            if ramp.shape != "step" or ramp.from_ == ramp.to or not updates:
                continue
            if all(getattr(line, name) == ramp.from_ for line in updates):
                said.append(
                    f" No update used the {ramp.to:g} to which {name} of {phase.name} steps at {ramp.over:g} of the phase: the last of the "
                    f"{len(updates) // len(logs)} updates of a run began before, so all of them used {ramp.from_:g}."
                )
    return "".join(said)


def _weights(log: Sequence[AnyLine]) -> Table:
    """Where a weight changes."""
    rows: list[tuple[str, ...]] = []
    for line in log:
        if line.kind == "update":
            values = tuple(f"{getattr(line, name):.4g}" for name in WEIGHTS)
            if not rows or rows[-1][1:] != values:
                rows.append((f"{line.env_steps:,}", *values))
    return Table(f"env steps, from | {' | '.join(WEIGHTS)}", rows)


# --- lineage ------------------------------------------------------------------------------------------------------------


class Lineage(NamedTuple):
    """The records of all stages that left one, the oldest first."""

    runs: Sequence[RunRecord]

    @property
    def seconds(self) -> dict[str, float]:
        """Arm → seconds of the stage that trained it."""
        return {run.arm: run.circumstances.seconds for run in self.runs if run.arm is not None}

    @property
    def when(self) -> str:
        """Machine and time, for the end of a report."""
        if not self.runs:
            return "No stage left the record of its run."
        first, last = (run.circumstances for run in (self.runs[0], self.runs[-1]))
        hosts = ", ".join(
            sorted({f"{run.circumstances.host} ({run.circumstances.cpus or 'unknown'} cores)" for run in self.runs})
        )
        began, ended = (what.started_at[:16].replace("T", " ") for what in (first, last))
        return f"The stages began {began} to {ended} UTC, on {hosts}."


def read_lineage(root: Path, scenario: str) -> Lineage:
    paths = [path for path in (root / REPORTS / scenario).rglob(RUN) if path.parent.name != "report"]
    paths += (root / COMPARISONS / scenario).glob(RUN)
    runs = [read_record(path, RunRecord) for path in paths]
    return Lineage(sorted(runs, key=lambda run: (run.circumstances.started_at, run.run_id)))


def lineage_section(root: Path, found: Comparison, dataset: DatasetManifest, lineage: Lineage) -> Section:
    """From each section to its files and hashes, from each stage to its code, and the command that makes all of it again."""
    scenario = found.scenario
    blocks: list[Block] = [_files(root, found, dataset)]
    if not lineage.runs:
        return section("lineage", "Lineage", *blocks, Text("No stage left the record of its run."))
    blocks += [
        Table("stage | status | git revision | seconds | seeds | settings and inputs | code", [_run(run) for run in lineage.runs])
    ]
    revisions = {(run.circumstances.git_revision, run.circumstances.git_dirty) for run in lineage.runs}
    if len(revisions) > 1:
        blocks += [Text("The stages ran at different git revisions, or some with changes that were not committed.")]
    pinned = f" All versions: `{LOCK}`." if (root / LOCK).exists() else ""
    blocks += [Text(_machine(lineage.runs) + pinned), Text("What makes all of it again:")]
    revision = lineage.runs[-1].circumstances.git_revision
    commands = ([f"git checkout {revision[:DIGITS]}"] if revision else []) + [stage_command("evaluate", scenario)]
    blocks += [
        Command(" && ".join(commands)),
        Note(f"Inputs, settings and versions of a run: `{RUN}` in the reports of its stage."),
    ]
    return section("lineage", "Lineage", *blocks)


def _files(root: Path, found: Comparison, dataset: DatasetManifest) -> Table:
    scenario, home = found.scenario, COMPARISONS / found.scenario
    judged = home / f"{found.target.name}.json"
    rows = [("verdict, glance, safety, ratio", judged.as_posix(), _short(root / judged), stage_command("evaluate", scenario))]
    for evidence in found.verdict.evidence:
        rows.append(
            (
                "curves, steps, exam" if evidence.path.endswith("runs.json") else "clones",
                evidence.path,
                evidence.sha256[:DIGITS],
                _maker(evidence.path, scenario),
            )
        )
    for what, path, stage in (
        ("shift", home / "shift.json", "evaluate"),
        ("clones", REPORTS / scenario / "bc_train/metrics.json", "bc_train"),
        ("expert", Path("models") / scenario / "expert/expert.json", "expert"),
    ):
        if (root / path).exists():
            rows.append((what, path.as_posix(), _short(root / path), stage_command(stage, scenario)))
    manifest = Path("data") / scenario / "validated.json"
    rows.append(
        (
            f"dataset {dataset.dataset}@{dataset.version}",
            manifest.as_posix(),
            _short(root / manifest),
            stage_command("validate", scenario),
        )
    )
    return Table("figures of | file | SHA-256 begins | made by", [(*row[:3], f"`{row[3]}`") for row in rows], below=True)


def _short(path: Path) -> str:
    return sha256_file(path)[:DIGITS]


def _maker(path: str, scenario: str) -> str:
    parts = Path(path).parts
    stage = {"bc": "bc_train"}.get(parts[2], parts[2])
    return stage_command(stage, scenario, parts[3] if stage in ("baseline", "anneal") else None)


def _run(run: RunRecord) -> Sequence[str]:
    what = run.circumstances
    revision = (what.git_revision or "unknown")[:DIGITS] + (" + changes" if what.git_dirty else "")
    stage = run.stage if run.arm is None else f"{run.stage} {run.arm}"
    status = run.status if not run.diagnostics else f"{run.status}: {run.diagnostics[0]}"
    return (
        stage,
        status,
        revision,
        f"{what.seconds:,.1f}",
        seeds_text(run.seeds),
        f"{len(run.parameters)} and {len(run.inputs)}",
        run.code_sha256[:8],
    )


def seeds_text(seeds: Sequence[int]) -> str:
    """40–49, or each by itself."""
    if not seeds:
        return "–"
    whole = list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}–{seeds[-1]}" if list(seeds) == whole and len(seeds) > 2 else ", ".join(map(str, seeds))


def _machine(runs: Sequence[RunRecord]) -> str:
    versions = sorted({(name, version) for run in runs for name, version in run.circumstances.versions.items() if version})
    cores = sorted({run.circumstances.cpus for run in runs if run.circumstances.cpus})
    machine = f"{' or '.join(map(str, cores))} cores" if cores else "an unknown number of cores"
    return f"Machine: {machine}; {', '.join(f'{name} {version}' for name, version in versions)}. Where and when: at the end of this report."
