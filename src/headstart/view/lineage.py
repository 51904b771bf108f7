"""Where every figure of a report comes from: files with their hashes, runs of stages, commit, machine, and the commands that repeat it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from headstart.compare.comparison import Comparison
from headstart.config.project import COMPARISONS, REPORTS
from headstart.config.stage_command import stage_command
from headstart.core.files import read_record, sha256_file
from headstart.core.run_record import RUN, RunRecord
from headstart.dataset.manifest import DatasetManifest
from headstart.view.blocks import Block, Command, More, Note, Section, Table, Text, counted, section

DIGITS = 12  # of a hash, and of a git revision
LOCK = "constraints.txt"  # the versions that a project pins


class Lineage(NamedTuple):
    """The records of all stages that left one, the oldest first."""

    runs: Sequence[RunRecord]

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
    blocks: list[Block] = [More("Show the files that the figures come from", [_files(root, found, dataset)])]
    if not lineage.runs:
        return section("lineage", "Lineage", *blocks, Text("No stage left the record of its run."))
    revisions = {(run.circumstances.git_revision, run.circumstances.git_dirty) for run in lineage.runs}
    blocks += [_stages(lineage.runs, len(revisions) == 1)]
    if len(revisions) > 1:
        blocks += [Text("The stages ran at different git revisions, or some with changes that were not committed.")]
    pinned, pin = (f" All versions: `{LOCK}`.", f"-c {LOCK} ") if (root / LOCK).exists() else ("", "")
    blocks += [Text(_machine(lineage.runs) + pinned), Text(_again(lineage.runs))]
    revision = lineage.runs[-1].circumstances.git_revision
    commands = [f"git checkout {revision[:DIGITS]}"] if revision else []
    commands += ["./install.sh train,view" if (root / "install.sh").exists() else f"pip install {pin}'headstart[train,view]'"]
    repro = stage_command("evaluate", scenario)
    commands += [repro.replace("dvc repro ", "dvc repro --force ").replace("dvc exp run ", "dvc exp run --force ")]
    blocks += [
        *map(Command, commands),
        Note(f"Inputs, settings and versions of a run: `{RUN}` in the reports of its stage."),
    ]
    return section("lineage", "Lineage", *blocks)


def _again(runs: Sequence[RunRecord]) -> str:
    """How long it takes, and what `--force` is for."""
    took = sum(run.circumstances.seconds for run in runs)
    return (
        f"What makes all of it again; here the stages took {took:,.0f} s in all. Without `--force` a stage whose inputs, settings and code are "
        "as they were is up to date, and is not run:"
    )


def _stages(runs: Sequence[RunRecord], same: bool) -> Block:
    """A row for each run; revision and status stand above where all have the same."""
    done = all(run.status == "completed" for run in runs)
    rows = [_run(run, not done, not same) for run in runs]
    names = ["stage", *([] if done else ["status"]), *([] if same else ["git revision"]), "seconds", "seeds", "code"]
    table = Table(" | ".join(names), rows)
    said = f"{counted(len(runs), 'run')} of stages{', all completed' if done else ''}"
    said += f", all at git revision {_revision(runs[0])}" if same else ""
    return More(f"Show {said}", [table]) if done and same else table


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


def _run(run: RunRecord, status: bool, revision: bool) -> Sequence[str]:
    stage = run.stage if run.arm is None else f"{run.stage} {run.arm}"
    how = run.status if not run.diagnostics else f"{run.status}: {run.diagnostics[0]}"
    return (
        stage,
        *([how] if status else []),
        *([_revision(run)] if revision else []),
        f"{run.circumstances.seconds:,.1f}",
        seeds_text(run.seeds),
        run.code_sha256[:8],
    )


def _revision(run: RunRecord) -> str:
    return (run.circumstances.git_revision or "unknown")[:DIGITS] + (" + changes" if run.circumstances.git_dirty else "")


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
    return (
        f"Machine: {machine}; {', '.join(f'{name} {version}' for name, version in versions)}. Its processor and operating system are not in "
        "the records. Where and when: at the end of this report."
    )
