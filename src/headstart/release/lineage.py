"""From a number back to what it came from, and on to what came of it: `headstart lineage`.

A thing is found by its path, its name in the catalogue or as a slice, the id of a release or an episode, or a run as SCENARIO/ARM/seed-N.
"""

import re
from pathlib import Path

from headstart.compare.comparison import Comparison
from headstart.config.history import HISTORY, Judged, Release, read_history
from headstart.config.project import COMPARISONS, DATA, MODELS
from headstart.core.dvc_lock import LOCK, content_md5, scan_lock
from headstart.core.errors import HeadstartError, UsageError, nearest
from headstart.core.files import read_record, sha256_file
from headstart.core.git import committed, has_commit, refs
from headstart.dataset.catalogue import find_entry
from headstart.dataset.slices import slice_at
from headstart.release.known import Known, Step, stage_facts
from headstart.release.lineage_dataset import dataset_step, expert_step, name_of_dataset, slice_step
from headstart.release.lineage_episode import episode_step
from headstart.release.lineage_steps import clone_step, run_step
from headstart.release.standing import fold
from headstart.runs.checkpoint import CARD, Card, load_checkpoint
from headstart.runs.experiment import RECORDS, ExperimentRecord

EPISODE = re.compile(r"[0-9a-f]{16}")
NUMBER = re.compile(r"(seed-)?[0-9]{1,9}")  # of a seed, in the name of a run


def lineage(root: Path, thing: str, episodes: bool = False) -> Step:
    """The steps up and down from a thing; with `episodes`, the ids of those that it learned from. UsageError for what is none."""
    step = _found(Known(root), thing, episodes)
    return step.model_copy(update={"made_from": tuple(_upwards(parent) for parent in step.made_from)})


def _upwards(step: Step) -> Step:
    """Without what it led to besides."""
    return step.model_copy(update={"made_from": tuple(_upwards(parent) for parent in step.made_from), "led_to": ()})


def _found(known: Known, thing: str, episodes: bool) -> Step:
    root = known.root
    releases = {
        one.id: (one, name) for name, standing in fold(read_history(root / HISTORY)).items() for one in standing.releases.values()
    }
    path = Path(thing)
    if thing in releases:
        return _release(known, *releases[thing], episodes)
    if EPISODE.fullmatch(thing):
        return episode_step(known, thing)
    if found := slice_at(root, thing):
        return slice_step(known, *found, episodes)
    if thing.partition("@")[0] in {entry.dataset for entry in known.entries}:
        return dataset_step(
            known, find_entry(known.entries, thing).name if "@" in thing else name_of_dataset(known, thing), None, episodes
        )
    inside = thing.isprintable() and path.parts and not path.is_absolute() and ".." not in path.parts
    if inside and ((root / path).exists() or known.stage_of(path)):
        return _path(known, path, episodes)
    match path.parts:
        case (scenario, "bc", seed) if NUMBER.fullmatch(seed):
            return _clone(known, scenario, _number(seed), episodes)
        case (scenario, arm, seed) if NUMBER.fullmatch(seed):
            return _run(known, scenario, arm, _number(seed), episodes)
    names = [
        *releases,
        *(one for entry in known.entries for one in (entry.dataset, entry.name)),
        *(out for stage in known.stages for out in stage.outs),
    ]
    raise UsageError(
        f"{thing}: expected a path of the project, <dataset>[@<version>], the id of a release or an episode, or SCENARIO/ARM/seed-N"
        f"{nearest(thing, names)}"
    )


def _path(known: Known, path: Path, episodes: bool) -> Step:
    """A file or folder that a stage made, or a record of evidence."""
    path = Path(*[part for part in path.parts if part != "."])
    if path.is_relative_to(RECORDS) and path.suffix == ".json":
        return _evidence(known, path)
    match path.parts:
        case (top, scenario, "bc", seed, *_) if top == str(MODELS) and seed.startswith("seed-"):
            return _clone(known, scenario, _number(seed), episodes)
        case (top, scenario, "baseline" | "anneal", arm, seed, *_) if top == str(MODELS) and seed.startswith("seed-"):
            return _run(known, scenario, arm, _number(seed), episodes)
        case (top, scenario, "baseline" | "anneal", arm, *_) if top == str(MODELS) and _arm_is_here(known, scenario, arm):
            return _arm(known, scenario, arm, episodes)
        case (top, scenario, "expert", *_) if top == str(MODELS):
            return expert_step(known, scenario, None)
        case ("data", dataset, "curated", *_) if found := slice_at(known.root, dataset):
            return slice_step(known, *found, episodes)
        case ("data", dataset, "curated" | "validated.json", *_):
            return dataset_step(known, name_of_dataset(known, dataset), None, episodes)
        case ("datasets", name, *_):
            return dataset_step(known, name, None, episodes)
    card = known.root / path / CARD
    return _checkpoint(known, path) if card.exists() else _output(known, path, episodes)


def _run(known: Known, scenario: str, arm: str, seed: int, episodes: bool) -> Step:
    """A run by its records; where these are not here, what dvc.lock says of its arm."""
    folders = [MODELS / scenario / kind / arm for kind in ("anneal", "baseline")]
    locked = [folder for folder in folders if known.stage_of(folder)]
    if _arm_is_here(known, scenario, arm) or not locked:
        return run_step(known, scenario, arm, seed, episodes)
    return _output(known, locked[0], episodes)


def _clone(known: Known, scenario: str, seed: int, episodes: bool) -> Step:
    folder = MODELS / scenario / "bc"
    if known.clones(scenario) is None and known.stage_of(folder):
        return _output(known, folder, episodes)
    return clone_step(known, scenario, seed, episodes)


def _arm_is_here(known: Known, scenario: str, arm: str) -> bool:
    return any(runs.arm == arm for runs in known.arms(scenario).values())


def _arm(known: Known, scenario: str, arm: str, episodes: bool) -> Step:
    """All runs of an arm that is here."""
    folder, runs = next((folder, runs) for folder, runs in known.arms(scenario).items() if runs.arm == arm)
    facts: list[tuple[str, str]] = [("seeds", ", ".join(str(run.seed) for run in runs.runs))]
    breaks = stage_facts(known, folder, facts)
    parents = tuple(run_step(known, scenario, arm, run.seed, episodes) for run in runs.runs)
    led = tuple(Step(kind="output", name=out, facts=(("stage", stage),)) for stage, out in known.downstream(folder.as_posix()))
    return Step(kind="arm", name=f"{scenario}/{arm}", facts=tuple(facts), breaks=tuple(breaks), made_from=parents, led_to=led)


def _input(known: Known, path: Path, led: list[tuple[str, str]]) -> Step:
    """A file that a person writes, and what dvc.lock says was made from it."""
    now = content_md5(known.root / path)
    stale = sorted({stage.name for stage in known.stages if stage.deps.get(str(path), now) != now})
    facts = [("hash", f"MD5 {now}")] + (
        [("changed", f"since {', '.join(stale)} read it; `dvc repro` runs them again")] if stale else []
    )
    later = tuple(Step(kind="output", name=out, facts=(("stage", stage),)) for stage, out in led)
    return Step(kind="input", name=str(path), facts=tuple(facts), led_to=later)


def _number(folder: str) -> int:
    digits = folder.removeprefix("seed-")
    if not digits.isdigit():
        raise UsageError(f"{folder}: expected seed-<number>")
    return int(digits)


def _output(known: Known, path: Path, episodes: bool) -> Step:
    """An output of a stage, made from its inputs, stage by stage; a comparison from the runs that it names."""
    found = known.stage_of(path)
    led = [] if found else known.downstream(str(path))
    if led:
        return _input(known, path, led)
    if found is None:
        raise UsageError(f"{path}: expected an output of a stage, or what one reads; dvc.lock has neither")
    checked = known.checked(path)
    if isinstance(checked, str):
        return Step(kind="output", name=str(path), breaks=(checked,))
    stage, out = found
    absent = () if (known.root / path).exists() else (f"{path} is not here; `dvc checkout {out}` or `dvc pull {out}` brings it",)
    read = [Path(dep) for dep in stage.deps]
    inputs = [Path(made) for one in known.stages for made in one.outs if any(_touch(Path(made), dep) for dep in read)]
    parents = [_path(known, one, episodes) for one in inputs if one.parts[0] in (str(MODELS), str(DATA)) and _tells(one)]
    parents = [step for step in parents if step.kind == "arm"] or parents  # clones and experts stand below the runs
    comparison = known.root / path if path.parent.parent == COMPARISONS and path.suffix == ".json" else None
    breaks = _evidence_breaks(known, comparison) if comparison and comparison.exists() else ()
    return Step(
        kind="report" if path.parts[0] == "reports" else "output",
        name=str(path),
        facts=checked,
        breaks=(*known.inputs_differ(stage), *breaks),
        absent=absent,
        made_from=tuple(parents),
    )


def _touch(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _tells(path: Path) -> bool:
    """Whether an output is a step of its own: settings.json repeats what the files of a person say, and a manifest stands for its files."""
    return path.name not in ("settings.json", "validated.json", "environment.json")


def _evidence_breaks(known: Known, comparison: Path) -> tuple[str, ...]:
    """Files that a comparison read with other bytes than they have now."""
    try:
        evidence = read_record(comparison, Comparison).verdict.evidence
    except HeadstartError:
        return ()  # run.json and shift.json lie beside the comparisons
    there = [(one, known.root / one.path) for one in evidence]
    return tuple(
        f"{one.path}: expected hash {one.sha256}, as {comparison.relative_to(known.root)} names it, found {sha256_file(path)}"
        for one, path in there
        if path.exists() and sha256_file(path) != one.sha256
    )


def _checkpoint(known: Known, path: Path) -> Step:
    """A checkpoint that lies elsewhere: the run of its card, if that has the same weights."""
    try:
        _, card = load_checkpoint(known.root / path)
    except HeadstartError as error:
        return Step(kind="checkpoint", name=str(path), breaks=(str(error),))
    facts = (("weights", card.weights_sha256), ("says", f"{card.scenario}/{card.arm}/{card.seed}, {card.env_steps} env steps"))
    return _with_origin(known, card, Step(kind="checkpoint", name=str(path), facts=facts))


def _with_origin(known: Known, card: Card, step: Step) -> Step:
    for runs in known.arms(card.scenario).values():
        if any(run.checkpoint_sha256 == card.weights_sha256 for run in runs.runs):
            return step.model_copy(update={"made_from": (run_step(known, card.scenario, runs.arm, card.seed, False),)})
    clones = known.clones(card.scenario)
    if clones and any(clone.weights_sha256 == card.weights_sha256 for clone in clones.clones):
        return step.model_copy(update={"made_from": (clone_step(known, card.scenario, card.seed, False),)})
    made = ", ".join(f"{what} {sha256}" for what, sha256 in card.lineage.items()) or "nothing"
    text = f"its run is not here, {MODELS}/{card.scenario} has other weights; its card says that it was made from {made}"
    return step.model_copy(update={"absent": (text,)})


def _release(known: Known, release: Release, scenario: str, episodes: bool) -> Step:
    """A release, from the verdict that counted, the run and the dataset."""
    verdicts = [
        (line, line.record)
        for line in read_history(known.root / HISTORY)
        if isinstance(line.record, Judged) and line.record.candidate.id == release.id
    ]
    facts = [
        ("weights", release.weights_sha256),
        ("commit", f"{release.git_revision[:12]}, whose dvc.lock has {release.checkpoint}"),
    ]
    facts += [
        ("verdict", f"{record.outcome}, line {line.seq + 1} of {HISTORY}: {record.comparison.path}, {record.dataset}")
        for line, record in verdicts
    ]
    card = known.root / release.checkpoint / CARD
    if card.exists() and read_record(card, Card).weights_sha256 == release.weights_sha256:
        parents: tuple[Step, ...] = (run_step(known, scenario, release.arm, release.seed, episodes),)
        return Step(kind="release", name=release.id, facts=tuple(facts), made_from=parents)
    absent = (f"its run is not here; `git checkout {release.git_revision[:12]} && dvc checkout {release.checkpoint}` brings it",)
    datasets = dict.fromkeys(record.dataset for _, record in verdicts)
    parents = tuple(dataset_step(known, name, None, episodes) for name in datasets)
    return Step(kind="release", name=release.id, facts=tuple(facts), absent=absent, made_from=parents)


def _evidence(known: Known, path: Path) -> Step:
    """A record of the full comparison, and what DVC's experiment of it holds, where that is here."""
    record = read_record(known.root / path, ExperimentRecord)
    headline = record.comparisons[record.headline]
    facts = (
        ("scenario", f"scenarios/{record.scenario}.yaml"),
        ("seeds", ", ".join(map(str, record.seeds))),
        ("headline", f"{headline.verdict.outcome}: {headline.candidate.arm}, target {record.headline}"),
        ("expert", f"{record.expert.kind}, {record.expert.policy_sha256}"),
        ("commit", record.commit[:12]),
        ("command", record.command),
        ("settings", f"SHA-256 {record.settings_sha256}"),
        ("code", f"SHA-256 {record.code_sha256}"),
    )
    about = Step(kind="evidence", name=str(path), facts=facts)
    if not has_commit(known.root, record.commit):
        return about.model_copy(
            update={"breaks": (f"{path}: expected its commit {record.commit} in git, found none; `git fetch`",)}
        )
    lock = experiment_lock(known.root, record)
    again = f"`headstart evidence {record.name}` runs it again where code or settings changed"
    if lock is None:
        return about.model_copy(update={"absent": (f"DVC's experiment of it is not here; {again}",)})
    manifest, hashes = f"data/{record.scenario}/validated.json", {entry.name: entry.stored for entry in known.entries}
    md5 = next((stage.outs[manifest] for stage in scan_lock(lock) if manifest in stage.outs), None)
    names = [name for name, stored in hashes.items() if md5 and md5 in {one.manifest_md5 for one in stored}]
    if not names:
        return about.model_copy(update={"absent": (f"its dataset, MD5 {md5}, is not in the catalogue of this branch",)})
    return about.model_copy(update={"made_from": (dataset_step(known, names[0], None, False),)})


def experiment_lock(root: Path, record: ExperimentRecord) -> bytes | None:
    """dvc.lock of the experiment that the record was made from; None where it is not here."""
    wanted = f"/evidence-{record.name}-{record.commit[:7]}"
    try:
        found = [ref for ref in refs(root, "refs/exps") if ref.endswith(wanted)]
        return committed(root, LOCK, found[0]) if found else None
    except HeadstartError:
        return None
