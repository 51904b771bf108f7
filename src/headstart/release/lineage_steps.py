"""The steps of a lineage that are policies: a run, and the clone that it started from."""

from headstart.compare.arm_runs import CLONES, CloneRun
from headstart.config.history import HISTORY, Judged, read_history
from headstart.config.project import MODELS
from headstart.core.errors import UsageError
from headstart.core.files import read_record, sha256_file
from headstart.dataset.catalogue import checked_out
from headstart.release.known import Known, Step, not_here, stage_facts, weights_breaks
from headstart.release.lineage_dataset import dataset_step, name_of_dataset
from headstart.runs.checkpoint import CARD, Card


def run_step(known: Known, scenario: str, arm: str, seed: int, episodes: bool) -> Step:
    """One seed of an arm, made from its clone or from random weights."""
    name = f"{scenario}/{arm}/{seed}"
    folder = next((folder for folder, runs in known.arms(scenario).items() if runs.arm == arm), None)
    if folder is None:
        return not_here(known, name, [MODELS / scenario / kind / arm for kind in ("anneal", "baseline")])
    runs = known.arms(scenario)[folder].runs
    run = next((one for one in runs if one.seed == seed), None)
    if run is None:
        raise UsageError(f"{name}: expected one of the seeds {', '.join(str(one.seed) for one in runs)}")
    facts = [
        ("weights", run.checkpoint_sha256),
        ("trained", f"{run.env_steps} of {run.budget} env steps, {run.status}, {run.outcome}"),
    ]
    breaks = [*weights_breaks(known, folder / f"seed-{seed}", run.checkpoint_sha256, f"{folder}/runs.json")]
    breaks += stage_facts(known, folder, facts)
    parents: tuple[Step, ...] = ()
    if run.clone_sha256:
        clones = known.clones(scenario)
        origin_of = [one for one in clones.clones if one.weights_sha256 == run.clone_sha256] if clones else []
        if origin_of:
            parents = (clone_step(known, scenario, origin_of[0].seed, episodes),)
        elif clones:
            breaks.append(
                f"{folder}/runs.json: expected a clone with weights {run.clone_sha256} in {MODELS}/{scenario}/bc, found none"
            )
        else:
            parents = (not_here(known, f"{scenario}/bc", [MODELS / scenario / "bc"]),)
    else:
        facts.append(("start", "random weights: it learned from no episode"))
    led = [out for out in known.downstream(folder.as_posix()) if not out[1].startswith(f"{MODELS}/")]
    released = [line.record for line in read_history(known.root / HISTORY) if isinstance(line.record, Judged)]
    ids = dict.fromkeys(r.candidate.id for r in released if r.candidate.weights_sha256 == run.checkpoint_sha256)
    later = (*(Step(kind="report", name=out) for _, out in led), *(Step(kind="candidate of a verdict", name=one) for one in ids))
    return Step(kind="run", name=name, facts=tuple(facts), breaks=tuple(breaks), made_from=parents, led_to=later)


def clone_step(known: Known, scenario: str, seed: int, episodes: bool) -> Step:
    """The clone of a seed, made from its block of the dataset; it led to the runs that started from it."""
    name, folder = f"{scenario}/bc/{seed}", MODELS / scenario / "bc"
    clones = known.clones(scenario)
    if clones is None:
        return not_here(known, name, [folder])
    block, clone = next(((b, one) for b, one in enumerate(clones.clones) if one.seed == seed), (0, None))
    if clone is None:
        raise UsageError(f"{name}: expected a clone of one of the seeds {', '.join(str(one.seed) for one in clones.clones)}")
    facts = [("weights", clone.weights_sha256), ("verdict", f"{clone.outcome}, held-out accuracy {clone.heldout_accuracy:.3f}")]
    breaks = [*weights_breaks(known, folder / f"seed-{seed}", clone.weights_sha256, f"{folder}/{CLONES}")]
    breaks += stage_facts(known, folder, facts)
    parent, problems = dataset_of_clone(known, scenario, seed, block, episodes)
    return Step(
        kind="clone",
        name=name,
        facts=tuple(facts),
        breaks=(*breaks, *problems),
        made_from=(parent,),
        led_to=runs_from(known, scenario, clone),
    )


def dataset_of_clone(known: Known, scenario: str, seed: int, block: int, episodes: bool) -> tuple[Step, list[str]]:
    """The block of the dataset that the clone's card names by its hash."""
    card_path = known.root / MODELS / scenario / "bc" / f"seed-{seed}" / CARD
    wanted = read_record(card_path, Card).lineage.get("dataset") if card_path.exists() else None
    named = [entry.name for entry in known.entries if wanted in {one.manifest_sha256 for one in entry.stored}]
    manifest = known.root / checked_out(scenario)[0]
    if named or (manifest.exists() and sha256_file(manifest) == wanted):
        return dataset_step(known, named[0] if named else name_of_dataset(known, scenario), block, episodes), []
    return Step(kind="dataset", name=scenario), [
        f"{card_path}: expected its dataset, hash {wanted}, in the catalogue, found none"
    ]


def runs_from(known: Known, scenario: str, clone: CloneRun) -> tuple[Step, ...]:
    return tuple(
        Step(kind="run", name=f"{scenario}/{runs.arm}/{run.seed}", facts=(("weights", run.checkpoint_sha256),))
        for runs in known.arms(scenario).values()
        for run in runs.runs
        if run.clone_sha256 == clone.weights_sha256
    )
