"""The steps of a lineage that lead to data: a version of a dataset or a block of it, a slice, its episodes, and the expert."""

from pathlib import Path
from typing import NamedTuple

from headstart.config.history import HISTORY, Judged, read_history
from headstart.config.project import MODELS
from headstart.config.stage_command import stage_command
from headstart.core.contents import require_whole
from headstart.core.errors import HeadstartError
from headstart.core.files import read_record
from headstart.dataset.catalogue import Entry, checked_out, fetched, find_entry
from headstart.dataset.catalogue_check import files_problems, places
from headstart.dataset.index import read_index, used_of
from headstart.dataset.manifest import DatasetManifest
from headstart.dataset.origin import origin
from headstart.dataset.slices import all_slices, curated_folder, slice_at
from headstart.release.known import Known, Step, not_here, stage_facts
from headstart.runs.expert_record import ExpertPolicy

FETCH = "`headstart catalogue fetch {}` brings it"


class Here(NamedTuple):
    """A version whose files are on disk."""

    manifest: DatasetManifest
    folder: Path


def dataset_step(known: Known, name: str, block: int | None, episodes: bool) -> Step:
    """A version of a dataset, or one block of it: what is known of it, and with `episodes` the ids of those that were learned from."""
    entry = next((one for one in known.entries if one.name == name), None)
    here = here_of(known, name)
    if entry is None and here is None:
        find_entry(known.entries, name)
    facts, breaks, absent = _entry_facts(known, entry), list[str](), list[str]()
    if entry is None:
        breaks.append(f"{name}: expected an entry of the catalogue, found none; `{_lister(name.partition('@')[0])}` adds it")
    for path, folder in places(known.root, entry) if entry else ():
        breaks += files_problems(known.root, entry, path, folder) if entry else ()
    scenario = entry.scenario if entry else name.partition("@")[0]
    policy = entry.policy_sha256 if entry else here.manifest.policy_sha256 if here else ""
    if here is None:
        absent.append(f"its files are not here; {FETCH.format(name)}")
    elif not breaks:
        facts += _episode_facts(known, here, block, episodes)
    where = f", block {block}" if block is not None else ""
    later = _led_to(known, entry, here) if block is None else ()
    parents = (expert_step(known, scenario, policy),)
    return Step(
        kind="dataset",
        name=f"{name}{where}",
        facts=tuple(facts),
        breaks=tuple(breaks),
        absent=tuple(absent),
        made_from=parents,
        led_to=later,
    )


def _lister(dataset: str) -> str:
    """The command that adds a dataset to the catalogue; of a draft `validate` does so."""
    return stage_command("validate" if "." in dataset else "catalogue", dataset)


def slice_step(known: Known, folder: Path, manifest: DatasetManifest, episodes: bool) -> Step:
    """A slice, which comes from another dataset, or from another slice; `folder` holds its manifest."""
    breaks, parent = list[str](), manifest.parent
    assert parent is not None
    try:
        require_whole(folder)
    except HeadstartError as error:
        breaks.append(str(error))
    held = manifest.accepted
    facts = [("holds", f"{held.episodes} episodes, {held.steps} steps"), ("filter", str(parent.filter))]
    facts += [] if breaks else _episode_facts(known, Here(manifest, folder.relative_to(known.root)), None, episodes)
    above = _parent_step(known, parent.dataset)
    name = f"{manifest.dataset}@{manifest.version}"
    return Step(
        kind="slice", name=name, facts=tuple(facts), breaks=tuple(breaks), made_from=(above,), led_to=_slices_of(known, name)
    )


def _parent_step(known: Known, name: str) -> Step:
    if found := slice_at(known.root, name):
        return slice_step(known, *found, episodes=False)
    if any(entry.name == name for entry in known.entries) or here_of(known, name):
        return dataset_step(known, name, None, False)
    try:
        curated_folder(known.root, name)
        text = f"it is not validated; `{stage_command('validate', name.partition('@')[0])}` judges it"
    except HeadstartError:
        text = "it is neither here nor in the catalogue"
    return Step(kind="dataset", name=name, absent=(text,))


def _slices_of(known: Known, name: str) -> tuple[Step, ...]:
    slices = (one for one in all_slices(known.root) if one.parent and one.parent.dataset == name)
    return tuple(Step(kind="slice", name=f"{one.dataset}@{one.version}") for one in slices)


def _entry_facts(known: Known, entry: Entry | None) -> list[tuple[str, str]]:
    if entry is None:
        return []
    commits = origin(known.root, entry).commits
    found = [("manifest", entry.manifest_sha256), ("holds", f"{entry.episodes} episodes, {entry.steps} steps")]
    found += [
        (section, ", ".join(f"{k}={v}" for k, v in values.items()))
        for section, values in entry.parameters.items()
        if isinstance(values, dict)
    ]
    return [*found, ("commit", commits[0][:12] if commits else "no dvc.lock in git holds it")]


def _episode_facts(known: Known, here: Here, block: int | None, episodes: bool) -> list[tuple[str, str]]:
    """How many episodes were learned from and judged on, as `bc_train.episodes` says of a block."""
    rows = read_index(known.root / here.folder / "episodes.tsv")
    blocks = range(len(here.manifest.blocks)) if block is None else [block]
    used = [used_of(rows, here.manifest, number, episodes_limit(known, here.manifest.scenario)) for number in blocks]
    train, heldout = ([row for sides in used for row in sides[side]] for side in (0, 1))
    found = [("episodes", f"{len(train)} to learn from, {len(heldout)} held out to judge by")]
    if episodes:
        found += [("learned", " ".join(row.episode_id for row in train)), ("judged", " ".join(row.episode_id for row in heldout))]
    return found


def episodes_limit(known: Known, scenario: str) -> int | None:
    """`bc_train.episodes` of the run of bc_train that dvc.lock records."""
    found = known.stage_of(MODELS / scenario / "bc")
    settings = {} if found is None else found[0].params
    section = settings.get("settings.bc_train", settings.get("bc_train"))
    limit = section.get("episodes") if isinstance(section, dict) else settings.get("settings.bc_train.episodes")
    return limit if isinstance(limit, int) else None


def _led_to(known: Known, entry: Entry | None, here: Here | None) -> tuple[Step, ...]:
    """What was made from a version: of the one that is checked out by dvc.lock, of another by the commits that hold it; and verdicts."""
    found, name = list[Step](), entry.name if entry else ""
    if here is not None and here.folder == checked_out(here.manifest.dataset)[1]:
        path = checked_out(here.manifest.dataset)[0].as_posix()
        found += [Step(kind="output", name=out, facts=(("stage", stage),)) for stage, out in known.downstream(path)]
    elif entry is not None:
        found += [
            Step(
                kind="output",
                name=model.path,
                facts=(("stage", model.stage), ("commit", model.commit[:12])),
                absent=(_checkout(model.commit, model.path),),
            )
            for model in origin(known.root, entry).models
        ]
    records = [line.record for line in read_history(known.root / HISTORY) if isinstance(line.record, Judged)]
    ids = dict.fromkeys(record.candidate.id for record in records if record.dataset == name)
    return (*found, *(Step(kind="candidate of a verdict", name=one) for one in ids), *_slices_of(known, name))


def _checkout(commit: str, path: str) -> str:
    return f"`git checkout {commit[:12]} && dvc checkout {path}` brings it"


def name_of_dataset(known: Known, dataset: str) -> str:
    """The version that is checked out, or else that of dvc.lock, or else the newest of the catalogue."""
    path = known.root / checked_out(dataset)[0]
    if path.exists():
        manifest = read_record(path, DatasetManifest)
        return f"{manifest.dataset}@{manifest.version}"
    md5s = {stage.outs.get(checked_out(dataset)[0].as_posix()) for stage in known.stages} - {None}
    locked = [entry.name for entry in known.entries if md5s & {one.manifest_md5 for one in entry.stored}]
    return locked[0] if locked else find_entry(known.entries, dataset).name


def here_of(known: Known, name: str) -> Here | None:
    for path, folder in (checked_out(name.partition("@")[0]), fetched(name)):
        if (known.root / path).exists():
            try:
                manifest = read_record(known.root / path, DatasetManifest)
            except HeadstartError:
                continue
            if f"{manifest.dataset}@{manifest.version}" == name:
                return Here(manifest, folder)
    return None


def expert_step(known: Known, scenario: str, policy_sha256: str | None) -> Step:
    """Who demonstrated; with a hash, it must be that."""
    path = MODELS / scenario / "expert" / "expert.json"
    if not (known.root / path).exists():
        return not_here(known, f"expert of {scenario}", [path.parent])
    expert = read_record(known.root / path, ExpertPolicy)
    facts = [("policy", f"{expert.kind}, {expert.policy_sha256}"), ("state", expert.state)]
    breaks = [*stage_facts(known, path.parent, facts)]
    if policy_sha256 not in (None, expert.policy_sha256):
        facts = [("policy", str(policy_sha256))]
        absent = (f"another expert is here now, {expert.policy_sha256[:12]}; the commit of the dataset has this one",)
        return Step(kind="expert", name=scenario, facts=tuple(facts), absent=absent)
    return Step(kind="expert", name=scenario, facts=tuple(facts), breaks=tuple(breaks))
