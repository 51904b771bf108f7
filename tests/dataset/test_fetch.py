"""The bytes of every version come back from a cache or a remote, and none that is not the recorded one."""

import shutil
from contextlib import chdir
from pathlib import Path

import pytest
from tests.catalogued import Catalogued, flip, object_of, with_versions
from tests.released import copy_of

from headstart.core.dvc_lock import content_md5
from headstart.core.errors import InputError, IntegrityError, UsageError
from headstart.dataset.catalogue import Entry, Stored, read_entries
from headstart.dataset.catalogue_check import catalogue_problems, unlisted_before
from headstart.dataset.fetch import fetch
from headstart.dataset.origin import origin
from headstart.dataset.whereabouts import whereabouts

pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")  # in DVC, where it checks out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions, of which the last is checked out, and two remotes with all of them."""
    root = tmp_path_factory.mktemp("catalogued") / "walk"
    project, _ = with_versions(root, ("sun", "rain", "snow"))
    for name in ("store", "mirror"):
        project.remote(name, default=name == "store")
        project.push(name)
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Catalogued:
    """The same, in a place of its own, as are its remotes."""
    project = Catalogued(copy_of(made, tmp_path / "walk").root)
    for name in ("store", "mirror"):
        shutil.copytree(made.parent / f"walk-{name}", tmp_path / f"walk-{name}")
    config = project.root / ".dvc/config"
    config.write_text(config.read_text().replace(str(made.parent), str(tmp_path)))
    project.commit()
    return project


@pytest.fixture
def clone(project: Catalogued, tmp_path: Path) -> Catalogued:
    """A fresh clone, without any data."""
    return project.clone(tmp_path / "clone")


def entries(project: Catalogued) -> dict[str, Entry]:
    return dict(zip(("sun", "rain", "snow"), read_entries(project.root), strict=True))


def hashes(entry: Entry) -> Stored:
    return entry.stored[-1]


def require_here(entry: Entry, folder: Path) -> None:
    assert content_md5(folder / "validated.json") == hashes(entry).manifest_md5
    assert content_md5(folder / "curated") == hashes(entry).files_md5


@pytest.mark.parametrize("version", ["sun", "rain", "snow"])
def test_a_fresh_clone_gets_every_version_from_the_remote(clone: Catalogued, version: str) -> None:
    entry = entries(clone)[version]

    found = fetch(clone.root, entry)

    place = Path("data/walk") if version == "snow" else Path(f"datasets/{entry.name}")
    require_here(entry, clone.root / place)
    assert found.objects == {"store": 6}  # manifest, list, and four files
    assert (clone.root / found.folder).samefile(clone.root / place)
    assert clone.git("status", "--porcelain") == ""
    assert fetch(clone.root, entry).objects == {}  # it is here already
    assert list((clone.root / ".headstart").glob("fetch-*")) == []


def test_the_version_of_the_lock_is_as_dvc_checks_it_out(clone: Catalogued) -> None:
    fetch(clone.root, entries(clone)["snow"])

    assert "data/walk" not in clone.dvc("status")


def test_what_the_cache_has_comes_from_there_without_a_remote(project: Catalogued) -> None:
    shutil.rmtree(project.root.parent / "walk-store")

    assert fetch(project.root, entries(project)["sun"]).objects == {"cache": 6}


def test_a_version_goes_where_the_user_wants_it_and_never_over_something(clone: Catalogued, tmp_path: Path) -> None:
    entry = entries(clone)["snow"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")

    with pytest.raises(IntegrityError, match=r"mine/validated\.json: expected the manifest of walk@.*found none; move it away"):
        fetch(clone.root, entry, to=tmp_path / "mine")
    fetch(clone.root, entry, to=tmp_path / "there/it")

    require_here(entry, tmp_path / "there/it")
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"
    assert not (clone.root / "data/walk").exists()


def test_a_version_that_is_checked_out_is_copied_elsewhere_without_any_store(project: Catalogued, tmp_path: Path) -> None:
    shutil.rmtree(project.root / ".dvc/cache")
    entry = entries(project)["snow"]

    assert fetch(project.root, entry, to=tmp_path / "copy").objects == {"the workspace": 5}

    require_here(entry, tmp_path / "copy")


def test_an_edited_file_in_the_place_is_not_overwritten(project: Catalogued) -> None:
    file = project.root / "data/walk/curated/episodes.tsv"
    file.chmod(0o644)
    file.unlink()
    file.write_text("my edit")

    with pytest.raises(
        IntegrityError, match=r"data/walk/curated: expected nothing, or MD5 [0-9a-f]+\.dir, as dvc\.lock records it"
    ):
        fetch(project.root, entries(project)["snow"])
    assert file.read_text() == "my edit"


@pytest.mark.parametrize("which", [0, 1, 2, 5])
def test_a_corrupt_object_of_the_cache_is_named_and_made_good_from_the_remote(project: Catalogued, which: int) -> None:
    entry = entries(project)["sun"]
    bad = project.cached(objects_of(project, entry)[which])
    flip(bad)

    found = fetch(project.root, entry)

    assert found.objects == {"cache": 5, "store": 1}
    (fault,) = found.faults
    assert fault.startswith(f"the cache: {bad} is corrupt: expected MD5 ")
    require_here(entry, project.root / found.folder)
    assert content_md5(bad) == (bad.parent.name + bad.name).removesuffix(".dir")


@pytest.mark.parametrize("which", [0, 1, 2, 5])
def test_a_corrupt_object_of_the_remote_is_named_and_taken_from_the_next(
    project: Catalogued, clone: Catalogued, which: int
) -> None:
    entry = entries(project)["rain"]
    bad = object_of(project.root.parent / "walk-store", objects_of(project, entry)[which])
    flip(bad)

    found = fetch(clone.root, entry)

    assert found.objects == {"store": 5, "mirror": 1}
    assert f"{bad} is corrupt" in found.faults[0]
    require_here(entry, clone.root / found.folder)


def test_where_every_store_is_corrupt_nothing_is_put_in_place(project: Catalogued, clone: Catalogued) -> None:
    entry = entries(project)["rain"]
    for store in ("store", "mirror"):
        flip(object_of(project.root.parent / f"walk-{store}", objects_of(project, entry)[3]))

    with pytest.raises(IntegrityError, match=r"remote store .* is corrupt.*remote mirror .* is corrupt"):
        fetch(clone.root, entry)
    assert not (clone.root / "datasets").exists()


def test_only_the_remote_that_is_named_is_asked(project: Catalogued, clone: Catalogued) -> None:
    entry = entries(project)["rain"]
    flip(object_of(project.root.parent / "walk-store", objects_of(project, entry)[3]))

    with pytest.raises(IntegrityError, match=r"remote store .* is corrupt"):
        fetch(clone.root, entry, remote="store")
    assert fetch(clone.root, entry, remote="mirror").objects == {"cache": 3, "mirror": 3}
    with pytest.raises(UsageError, match=r"expected one of the remotes, mirror, store, got 'miror' \(did you mean 'mirror'\?\)"):
        fetch(clone.root, entries(project)["sun"], remote="miror")


def test_without_a_remote_one_line_says_what_to_type(clone: Catalogued) -> None:
    for name in ("store", "mirror"):
        clone.dvc("remote", "remove", name)

    with pytest.raises(
        InputError, match=r"no object [0-9a-f]+ in the cache; there is no remote: `headstart remote use` adds one"
    ) as error:
        fetch(clone.root, entries(clone)["sun"])
    assert "\n" not in str(error.value)


def test_remotes_that_are_away_are_named(project: Catalogued, clone: Catalogued) -> None:
    for name in ("store", "mirror"):
        shutil.rmtree(project.root.parent / f"walk-{name}")

    with pytest.raises(
        InputError, match=r"in the cache or remote store .*walk-store\) or remote mirror .*; `dvc push` where it is"
    ):
        fetch(clone.root, entries(clone)["sun"])


def test_a_remote_cannot_write_outside_of_the_folder(project: Catalogued, clone: Catalogued) -> None:
    """Its list of files has the hash that an edited catalogue asks for."""
    import hashlib
    import json

    entry = entries(project)["sun"]
    listing = json.dumps([{"md5": str(hashes(entry).manifest_md5), "relpath": "../../escaped"}]).encode()
    md5 = hashlib.md5(listing).hexdigest() + ".dir"
    path = object_of(project.root.parent / "walk-store", md5)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(listing)

    forged = entry.model_copy(update={"stored": (hashes(entry).model_copy(update={"files_md5": md5}),)})
    with pytest.raises(InputError, match="relpath"):
        fetch(clone.root, forged)
    assert not (clone.root / "escaped").exists()
    assert not (clone.root / "datasets").exists()


def test_a_version_without_hashes_says_that_nobody_recorded_them(clone: Catalogued) -> None:
    entry = entries(clone)["sun"]
    unknown = hashes(entry).model_copy(update={"manifest_md5": None, "files_md5": None})

    with pytest.raises(InputError, match="its hashes in DVC were never recorded"):
        fetch(clone.root, entry.model_copy(update={"stored": (unknown,)}))


def objects_of(project: Catalogued, entry: Entry) -> list[str]:
    """Manifest, list and files of a version, as the cache has them."""
    import json

    one = hashes(entry)
    listed = json.loads(project.cached(str(one.files_md5)).read_bytes())
    return [str(one.manifest_md5), str(one.files_md5), *(file["md5"] for file in listed)]


# --- where it is, and where it came from ----------------------------------------------------------------------------------


def test_every_place_of_a_version_is_told(project: Catalogued, clone: Catalogued) -> None:
    at = {name: [place.short for place in of] for name, of in whereabouts(project.root, read_entries(project.root)).items()}
    sun, _, snow = read_entries(project.root)
    assert at[snow.name] == ["data/walk as recorded", "cache", "remote store", "remote mirror"]
    assert at[sun.name] == ["cache", "remote store", "remote mirror"]

    (cached, store, mirror) = whereabouts(clone.root, [sun])[sun.name]
    assert cached.text == "cache: nothing of it"
    assert (store.whole, mirror.whole) == (True, True)
    assert store.text.endswith("walk-store): 6 of 6 objects")


def test_a_flipped_byte_on_disk_or_in_the_cache_is_a_problem(project: Catalogued) -> None:
    sun, _, snow = read_entries(project.root)
    flip(project.cached(objects_of(project, sun)[4]))
    file = project.root / "data/walk/curated/block-0/train.h5"
    data = file.read_bytes()
    file.unlink()  # it may be a link into the cache
    file.write_bytes(data.replace(b"snow", b"soot"))

    found = whereabouts(project.root, [sun, snow])

    assert "is corrupt" in found[sun.name][0].problems[0]
    assert "train.h5: expected" in found[snow.name][0].problems[0]
    assert found[snow.name][1].whole


def test_an_object_that_is_missing_on_a_remote_is_counted(project: Catalogued) -> None:
    sun = read_entries(project.root)[0]
    object_of(project.root.parent / "walk-store", objects_of(project, sun)[4]).unlink()

    (_, store, mirror) = whereabouts(project.root, [sun])[sun.name]

    assert (store.whole, mirror.whole) == (False, True)
    assert store.text.endswith("5 of 6 objects")


def test_git_tells_the_commits_and_the_models_of_a_version(project: Catalogued) -> None:
    sun, rain, snow = read_entries(project.root)
    commits = project.git("log", "--reverse", "--format=%H", "--", "dvc.lock").split()
    assert len(commits) == 3

    for one, entry in enumerate((sun, rain, snow)):
        found = origin(project.root, entry)
        assert found.commits == (commits[one],)
        (model,) = found.models
        assert (model.path, model.stage, model.commit) == ("models/walk/bc", "bc_train_walk", commits[one])
    assert len({origin(project.root, entry).models[0].md5 for entry in (sun, rain, snow)}) == 3


def test_a_version_of_another_branch_is_found_there(project: Catalogued) -> None:
    project.git("checkout", "--quiet", "-b", "trial")
    with chdir(project.root):
        hail = project.make("hail", "2026-01-09T00:00:00.000Z")
    commit = project.git("rev-parse", "HEAD").strip()
    project.git("checkout", "--quiet", "main")

    assert origin(project.root, hail).commits == (commit,)


# --- lock and catalogue ---------------------------------------------------------------------------------------------------


def test_a_whole_project_has_no_problem(project: Catalogued, clone: Catalogued) -> None:
    for one in (project, clone):
        assert catalogue_problems(one.root) == []
        assert unlisted_before(one.root, read_entries(one.root)) == []


def test_a_version_of_the_lock_that_the_catalogue_lacks_is_named_also_of_the_past(project: Catalogued) -> None:
    path = project.root / "data/catalogue/walk.json"
    sun, _, snow = read_entries(project.root)
    path.unlink()

    (lost,) = [problem for problem in catalogue_problems(project.root) if "validated.json" in problem]
    past = unlisted_before(project.root, ())

    assert str(hashes(snow).manifest_md5) in lost
    assert "`dvc repro catalogue@walk` adds it" in lost
    assert len(past) == 3
    commits = project.git("log", "--reverse", "--format=%H", "--", "dvc.lock").split()
    assert any(commits[0][:12] in one and str(hashes(sun).manifest_md5) in one for one in past)
    assert len([one for one in catalogue_problems(project.root) if "expected the entry that HEAD holds, found none" in one]) == 3


def test_dvc_sees_a_catalogue_that_is_missing_or_was_edited(project: Catalogued) -> None:
    path = project.root / "data/catalogue/walk.json"
    assert "catalogue" not in project.dvc("status")
    data = path.read_bytes()

    path.unlink()
    assert "data/catalogue/walk.json" in project.dvc("status")
    path.write_bytes(data.replace(b'"steps": 30', b'"steps": 31', 1))
    assert "data/catalogue/walk.json" in project.dvc("status")
    path.write_bytes(data)
    assert "catalogue" not in project.dvc("status")


def test_an_edited_fact_of_a_version_that_is_here_is_found(project: Catalogued) -> None:
    path = project.root / "data/catalogue/walk.json"
    snow = read_entries(project.root)[-1]
    path.write_text(path.read_text().replace(hashes(snow).manifest_sha256, "0" * 64))

    assert any("validated.json with hash 0000" in problem for problem in catalogue_problems(project.root))


def test_a_mark_of_no_version_is_found(project: Catalogued) -> None:
    (project.root / "data/catalogue/marks.json").write_text(
        '{"schema_id": "catalogue-marks/1", "marks": {"walk@000000000000": {}}}'
    )

    (problem,) = catalogue_problems(project.root)
    assert problem == "data/catalogue/marks.json: walk@000000000000: expected a version of the catalogue"
