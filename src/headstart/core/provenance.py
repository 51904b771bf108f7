"""Times in UTC, and versions of packages."""

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version


def utc_text(time: datetime) -> str:
    """A time as RFC 3339 in UTC, with milliseconds: 2025-01-31T12:00:00.000Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def package_version(name: str) -> str | None:
    """The installed version of a distribution, without importing it; None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
