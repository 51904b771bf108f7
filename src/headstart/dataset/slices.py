"""Slices: the episodes of a curated dataset that pass a filter, a dataset of its own in data/<scenario>.<name>; its manifest names the parent.

A slice keeps blocks, sides of the split, ids and bytes of every row. Its index lists all episodes of the parent; those left out have the reason
`filtered`. It has no stamp: no stage reads it, and `headstart export` lets it pass where its parent did.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import eq, ge, gt, le, lt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from headstart.config.project import DATA, LOCKS
from headstart.config.scenario import Scenario
from headstart.config.stage_command import stage_command
from headstart.core.arrays import Array
from headstart.core.contents import sealed_directory, stored_file
from headstart.core.errors import GateFailed, HeadstartError, InputError, UsageError, nearest
from headstart.core.files import write_record
from headstart.core.lock import held, remove_unfinished
from headstart.dataset.catalogue import fetched
from headstart.dataset.curation import read_index, write_index
from headstart.dataset.drafts import new_folder, require_free
from headstart.dataset.episodes import EpisodeTable, select
from headstart.dataset.episodes_file import read_episodes, write_episodes
from headstart.dataset.facts import Decided, facts_of
from headstart.dataset.inspection_open import blocks_of, is_stamped, open_dataset
from headstart.dataset.manifest import (
    HELDOUT,
    TRAIN,
    DatasetManifest,
    Filter,
    Parent,
    manifest_of,
    read_manifest,
    require_files,
)

FILTERED = "filtered"  # the reason in the index
COMPARED = re.compile(r"(\w+)(?:\s*(>=|<=|==|>|<)\s*(\d{1,9}))?")
SIGNS: Mapping[str, Callable[[Array, int], Array]] = {">=": ge, "<=": le, "==": eq, ">": gt, "<": lt}


def write_slice(
    root: Path, parent: str, wanted: Filter, name: str | None, scenario: Scenario, families: Sequence[str]
) -> DatasetManifest:
    """Write data/<scenario>.<name> (None: the first free number) from the accepted episodes of a dataset; `families` by their number.

    UsageError for a filter that the dataset cannot answer, InputError for one that leaves nothing, IntegrityError where bytes of the parent
    differ.
    """
    folder, manifest = curated_folder(root, parent)
    require_files(manifest, folder)
    place = new_folder(root, manifest.scenario, name)
    table, reasons, _ = read_index(folder / "episodes.tsv")
    kept = set[bytes]()
    with TemporaryDirectory() as temporary, held(root / LOCKS / f"draft-{place.name}", f"headstart curate {parent}"):
        require_free(place)
        remove_unfinished([place])
        new = Path(temporary)
        for side in (side.format(b) for b in range(len(manifest.blocks)) for side in (TRAIN, HELDOUT)):
            episodes, header = read_episodes(folder / side)
            mine = matching(episodes.table, wanted, families, header.absent)
            (new / side).parent.mkdir(exist_ok=True)
            write_episodes(new / side, select(episodes, mine), header)
            kept |= set(episodes.table.episode_id[mine].tolist())
        if not kept:
            raise InputError(
                f"{manifest.dataset}@{manifest.version}: expected episodes that are {wanted}, found none; widen the filter"
            )
        why = [old or ([] if one in kept else [FILTERED]) for one, old in zip(table.episode_id.tolist(), reasons, strict=True)]
        decided = Decided(why, blocks_of(table, manifest), manifest.splits.seed, manifest.splits.heldout_share)
        write_index(new / "episodes.tsv", table, decided.heldout(table.world), why)
        if (folder / "metrics.tsv").is_file():
            shutil.copyfile(folder / "metrics.tsv", new / "metrics.tsv")  # coverage: of the parent
        files = {path.relative_to(new).as_posix(): stored_file(path) for path in sorted(new.rglob("*")) if path.is_file()}
        inherited = {key: getattr(manifest, key) for key in ("scenario_sha256", "expert", "policy_sha256", "seed")}
        lineage = Parent(dataset=f"{manifest.dataset}@{manifest.version}", filter=wanted)
        facts = facts_of(place.name, table, decided, header, scenario, len(manifest.blocks), files)
        made = manifest_of(facts.model_copy(update={**inherited, "parent": lineage}))
        write_record(new / "manifest.json", made)
        with sealed_directory(place / "curated") as final:
            shutil.copytree(new, final, dirs_exist_ok=True)
    return made


def matching(table: EpisodeTable, wanted: Filter, families: Sequence[str] = (), absent: Sequence[str] = ()) -> Array:
    """[E] bool. UsageError for what the recording does not tell."""
    keep = np.ones(len(table.length), bool)
    if wanted.agent:
        keep &= np.isin(table.agent, wanted.agent)
    for outcome in wanted.outcome:
        column = "harm" if "harm" in outcome else "success"
        _require(column not in absent, f"--outcome {outcome}", f"the recording does not tell {column}")
        keep &= getattr(table, column) == (outcome in ("harm", "success"))
    if wanted.min_return is not None:
        _require("rewards" not in absent, "--min-return", "the recording has no rewards")
        keep &= table.total_reward >= wanted.min_return
    for text in wanted.behaviour:
        keep &= _compared(table, text)
    if wanted.family:
        _require("family" in table.behaviour and bool(families), "--family", "the recording has no families of situations")
        unknown = [one for one in wanted.family if one not in families]
        _require(not unknown, f"--family {', '.join(unknown)}", f"there are {', '.join(families)}")
        keep &= np.isin(table.behaviour["family"], [families.index(one) for one in wanted.family])
    return keep


def _compared(table: EpisodeTable, text: str) -> Array:
    """[E] bool: "showers" means at least one; else "showers >= 2"."""
    found = COMPARED.fullmatch(text.strip())
    _require(found is not None, f"--behaviour {text!r}", "expected a counter, as showers, or a comparison, as 'showers >= 2'")
    assert found is not None
    name, sign, number = found.groups()
    known = sorted(table.behaviour)
    _require(
        name in known, f"--behaviour {name}", f"no such counter{nearest(name, known)}; there are {', '.join(known) or 'none'}"
    )
    return np.asarray(SIGNS[sign or ">="](table.behaviour[name], int(number or 1)))


def _require(holds: bool, option: str, why: str) -> None:
    if not holds:
        raise UsageError(f"{option}: {why}")


# --- what is there ------------------------------------------------------------------------------------------------------


def curated_folder(root: Path, name: str) -> tuple[Path, DatasetManifest]:
    """Where a dataset, "<dataset>" or "<dataset>@<version>", lies curated. Raises as `inspection_open.open_dataset`."""
    dataset, _, version = name.partition("@")
    for folder in (root / DATA / dataset / "curated", root / fetched(name)[1]):
        if "/" not in name and (folder / "manifest.json").is_file():
            manifest = read_manifest(folder)
            if version in ("", manifest.version):
                return folder, manifest
    state = open_dataset(root, name).state
    raise InputError(
        f"{name}: expected a dataset that is curated and not in quarantine, it is {state}; `{stage_command('curate', dataset)}` curates it"
    )


def slice_at(root: Path, name: str) -> tuple[Path, DatasetManifest] | None:
    """Folder and manifest of a slice, "<scenario>.<name>" or with its version; None for another name."""
    dataset, _, version = name.partition("@")
    folder = root / DATA / dataset / "curated"
    if "." not in dataset or "/" in name or not (folder / "manifest.json").is_file():
        return None
    manifest = read_manifest(folder)
    return (folder, manifest) if manifest.parent and version in ("", manifest.version) else None


def all_slices(root: Path) -> list[DatasetManifest]:
    """Those that are here and can be read, by name."""
    found = list[DatasetManifest]()
    for path in sorted((root / DATA).glob("*.*/curated/manifest.json")):
        with suppress(HeadstartError):
            found += [manifest for manifest in [read_manifest(path.parent)] if manifest.parent]
    return found


def require_validated_parent(root: Path, manifest: DatasetManifest) -> None:
    """GateFailed unless the dataset from which a slice was cut, or the one from which that was, has its stamp."""
    parent = manifest.parent
    assert parent is not None
    try:
        folder, above = curated_folder(root, parent.dataset)
    except HeadstartError as error:
        raise InputError(
            f"{manifest.dataset}: expected a slice of a dataset that is here and validated, {parent.dataset} is not: {error}"
        ) from None
    if above.parent is not None:
        require_validated_parent(root, above)
    elif not is_stamped(folder, above):
        raise GateFailed(
            f"{manifest.dataset}: expected a slice of a validated dataset, {parent.dataset} is not; "
            f"`{stage_command('validate', above.dataset)}` judges it"
        )
