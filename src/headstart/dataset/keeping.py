"""A draft that was validated becomes a dataset of the catalogue; its files are put into DVC's cache too, from where `dvc push` takes them."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import JsonValue

from headstart.config.params import Params
from headstart.core.dvc_lock import content_md5
from headstart.core.errors import InputError
from headstart.core.files import read_record, sha256_file
from headstart.core.provenance import utc_text
from headstart.dataset.catalogue import Entry, Stored, add_entry, change_mark, checked_out, entry_of
from headstart.dataset.drafts import Draft
from headstart.dataset.manifest import DatasetManifest, require_files


def keep_draft(root: Path, name: str, draft: Draft, params: Params, licence: str | None) -> Entry:
    """Its entry, with the tags that were asked for when it was recorded."""
    path, folder = (root / part for part in checked_out(name))
    manifest = read_record(path, DatasetManifest)
    require_files(manifest, folder)
    stored = Stored(manifest_sha256=sha256_file(path), manifest_md5=content_md5(path), files_md5=content_md5(folder))
    parameters: dict[str, JsonValue] = {"capture": draft.capture, "curate": params.curate.model_dump(mode="json")}
    entry = entry_of(manifest, stored, utc_text(datetime.now(UTC)), parameters, licence)
    _into_cache(root, [path, folder])
    add_entry(root, entry)
    if draft.tags:
        change_mark(
            root, entry.name, lambda mark: mark.model_copy(update={"tags": tuple(dict.fromkeys((*mark.tags, *draft.tags)))})
        )
    return entry


def _into_cache(root: Path, paths: list[Path]) -> None:
    """Copies of files and folders as DVC keeps them; none in a project without DVC. InputError where DVC cannot write."""
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.transfer import transfer
    from dvc_objects.fs.local import localfs

    try:
        with Repo(str(root.resolve())) as repo:
            for path in paths:
                staged, _, found = build(repo.cache.local, str(path.resolve()), localfs, "md5")
                transfer(staged, repo.cache.local, {found.hash_info}, shallow=False)
    except NotDvcRepoError:
        return
    except DvcException as error:
        raise InputError(f"DVC: {' '.join(str(error).split())}") from error
