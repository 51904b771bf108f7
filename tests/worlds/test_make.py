"""The hash of an environment follows every file that decides its episodes, and no other."""

import shutil
import sys
from pathlib import Path

import gymnasium as gym
import pytest

from headstart.core.errors import InputError, MissingExtra
from headstart.core.own_code import _distributions
from headstart.worlds import make as make_module
from headstart.worlds.make import environment_sha256, source_sha256

ENVIRONMENT = """
import gymnasium as gym
import numpy as np
import toy_physics
from toy_walk.rules import STRIDE

class Walk(gym.Env):
    observation_space = gym.spaces.Box(-5, 5, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.full(1, STRIDE * toy_physics.FRICTION, np.float32), 0.0, False, False, {}
"""
SETUP = {"id": "toy_walk:ToyWalk-v0"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path: the package toy_walk, the module toy_physics that it imports, and a module that nothing imports."""
    (tmp_path / "toy_walk").mkdir()
    register = "import gymnasium as gym\ngym.register('ToyWalk-v0', entry_point='toy_walk.env:Walk')\n"
    for name, text in {
        "toy_walk/__init__.py": register,
        "toy_walk/env.py": ENVIRONMENT,
        "toy_walk/rules.py": "STRIDE = 0.2\n",
        "toy_physics.py": "FRICTION = 0.5\n",
        "toy_other.py": "X = 1\n",
    }.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(gym.registry, "ToyWalk-v0", raising=False)
    for name in ("toy_walk", "toy_walk.env", "toy_walk.rules", "toy_walk.names", "toy_physics"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize("file", ["toy_walk/__init__.py", "toy_walk/env.py", "toy_walk/rules.py", "toy_physics.py"])
@pytest.mark.parametrize("regular", [True, False], ids=["package", "namespace"])
def test_an_edited_line_of_an_environment_gives_another_hash(folder: Path, file: str, regular: bool) -> None:
    if not regular:  # a package without __init__.py, which registers nothing
        (folder / "toy_walk/__init__.py").rename(folder / "toy_walk/names.py")
        file = file.replace("__init__", "names")
    setup = SETUP if regular else {"id": "toy_walk.names:ToyWalk-v0"}
    before = environment_sha256("gym", setup)
    assert environment_sha256("gym", setup) == before
    (folder / file).write_text((folder / file).read_text().replace("0.", "1.") + "# edited\n")

    assert environment_sha256("gym", setup) != before


def test_a_file_that_the_environment_does_not_import_does_not_change_its_hash(folder: Path) -> None:
    before = environment_sha256("gym", SETUP)
    (folder / "toy_other.py").write_text("X = 2\n")

    assert environment_sha256("gym", SETUP) == before


def test_the_version_of_the_distribution_that_provides_an_environment_is_in_its_hash(folder: Path) -> None:
    found = []
    for version in ("1.0", "1.1"):
        about = folder / f"toy_walk-{version}.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toy-walk\nVersion: {version}\n")
        (about / "top_level.txt").write_text("toy_walk\n")
        _distributions.cache_clear()  # a process that runs sees no package that is installed meanwhile
        found.append(environment_sha256("gym", SETUP))
        shutil.rmtree(about)

    _distributions.cache_clear()
    assert len({*found, environment_sha256("gym", SETUP)}) == 3


def test_the_version_of_gymnasium_is_in_the_hash_of_its_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment_sha256("gym", {"id": "CartPole-v1"})
    monkeypatch.setattr("headstart.core.own_code.package_version", lambda name: "9.9" if name == "gymnasium" else None)

    assert environment_sha256("gym", {"id": "CartPole-v1"}) != before
    assert environment_sha256("gym", {"id": "CartPole-v1"}) != environment_sha256("gym", {"id": "Pendulum-v1"})


@pytest.mark.parametrize("world", ["town", "nav", "gym", "pettingzoo"])
def test_the_hash_follows_the_sources_of_its_own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: str) -> None:
    worlds = shutil.copytree(Path(make_module.__file__).parent, tmp_path / "worlds", ignore=shutil.ignore_patterns("__pycache__"))
    here = source_sha256(world)
    monkeypatch.setattr(make_module, "__file__", str(worlds / "make.py"))
    assert source_sha256(world) == here

    own = {"town": ["town/env.py"], "nav": ["nav/env.py"], "gym": ["gym.py", "gym_agents.py", "gym_copies.py", "gym_sources.py"]}
    for name, files in own.items():
        for file in files:
            with (worlds / file).open("a") as edited:
                edited.write("# edited\n")
            now = source_sha256(world)
            assert (now != here) is (name == ("gym" if world == "pettingzoo" else world)), file  # one adapter for both
            here = now
    drawing = worlds / "town/draw/__init__.py"
    drawing.write_text(drawing.read_text() + "# edited\n")
    assert source_sha256(world) == here


@pytest.mark.parametrize("world", ["town", "nav"])
def test_worlds_of_this_package_are_their_sources(world: str) -> None:
    assert environment_sha256(world, {}) == source_sha256(world)


def test_an_environment_that_cannot_be_made_has_no_hash() -> None:
    with pytest.raises(InputError, match="gymnasium cannot make 'CartPole-v9'"):
        environment_sha256("gym", {"id": "CartPole-v9"})
    with pytest.raises(MissingExtra, match="nowhere:Walk-v0 needs a package that is not installed"):
        environment_sha256("gym", {"id": "nowhere:Walk-v0"})
    with pytest.raises(InputError, match=r"setup\.id: Field required"):
        environment_sha256("gym", {})
