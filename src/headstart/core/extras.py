"""Optional packages, above all torch: what needs one says so before it begins, with the extra of this package that brings it."""

from importlib.util import find_spec

from headstart.core.errors import MissingExtra


def require_extra(package: str, extra: str, who: str = "this", why: str = "") -> None:
    """MissingExtra unless `package` is installed. `who` needs it; `extra` of this package brings it."""
    if find_spec(package) is None:
        raise MissingExtra(f"{who} needs {package}{why and f', {why}'}: `pip install 'headstart[{extra}]'`")


def require_torch(who: str, why: str = "") -> None:
    """MissingExtra unless torch is installed, without which no network is trained and none acts."""
    require_extra("torch", "train", who, why)
