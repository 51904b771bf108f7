"""An episode: the dataset and the block in which it lies, and the clones and runs that learned from it."""

from headstart.core.errors import HeadstartError, UsageError
from headstart.dataset.index import Row, read_index, used_of
from headstart.dataset.manifest import DatasetManifest, require_files
from headstart.release.known import Known, Step
from headstart.release.lineage_dataset import FETCH, Here, dataset_step, episodes_limit, here_of, name_of_dataset
from headstart.release.lineage_steps import dataset_of_clone, runs_from


def episode_step(known: Known, episode_id: str) -> Step:
    """An episode of a dataset that is here: where it lies, and the clones and runs that learned from it."""
    seen = 0
    for name, here in _all_here(known).items():
        rows = read_index(known.root / here.folder / "episodes.tsv")
        seen += len(rows)
        row = next((one for one in rows if one.episode_id == episode_id), None)
        if row is not None:
            return _found_episode(known, row, rows, name, here)
    others = [entry.name for entry in known.entries if here_of(known, entry.name) is None]
    more = f"; not searched, for they are not here: {', '.join(others[-3:])}{' …' if len(others) > 3 else ''}" if others else ""
    cure = f"; {FETCH.format(others[-1])}" if others else ""
    raise UsageError(f"{episode_id}: expected one of the {seen} episodes of the datasets that are here, found none{more}{cure}")


def _all_here(known: Known) -> dict[str, Here]:
    names = [entry.name for entry in known.entries]
    names += [name_of_dataset(known, path.parent.name) for path in sorted((known.root / "data").glob("*/validated.json"))]
    found = {name: here for name in dict.fromkeys(names) if (here := here_of(known, name))}
    return dict(sorted(found.items(), key=lambda one: one[1].folder.parts[0] != "data"))


def _found_episode(known: Known, row: Row, rows: list[Row], name: str, here: Here) -> Step:
    manifest, breaks = here.manifest, list[str]()
    try:
        require_files(manifest, known.root / here.folder)
    except HeadstartError as error:
        breaks.append(str(error))
    block = next(b for b, one in enumerate(manifest.blocks) if one.first_world <= row.world <= one.last_world)
    train, heldout = used_of(rows, manifest, block, episodes_limit(known, manifest.scenario))
    role = "learned from" if row in train else "held out: judged by" if row in heldout else "used by no clone"
    facts = [
        ("place", f"world {row.world}, seed {row.seed}, agent {row.agent}, {row.length} steps"),
        ("split", row.split if row.accepted else f"rejected: {row.reasons}"),
    ]
    facts += [("block", f"{block}, {role}")]
    dataset = dataset_step(known, name, block, False)
    led = _clones_of_block(known, manifest, block, name) if row in train or row in heldout else ()
    if row not in train:
        led = tuple(step.model_copy(update={"kind": f"{step.kind}, judged by it", "led_to": ()}) for step in led)
    return Step(kind="episode", name=row.episode_id, facts=tuple(facts), breaks=tuple(breaks), made_from=(dataset,), led_to=led)


def _clones_of_block(known: Known, manifest: DatasetManifest, block: int, name: str) -> tuple[Step, ...]:
    """The clone of a block, if it was trained on this version, and the runs that started from it."""
    clones = known.clones(manifest.scenario)
    if clones is None or block >= len(clones.clones):
        return ()
    clone = clones.clones[block]
    parent, _ = dataset_of_clone(known, manifest.scenario, clone.seed, block, False)
    if parent.name.partition(",")[0] != name:
        return ()
    about = (("weights", clone.weights_sha256),)
    return (
        Step(
            kind="clone",
            name=f"{manifest.scenario}/bc/{clone.seed}",
            facts=about,
            led_to=runs_from(known, manifest.scenario, clone),
        ),
    )
