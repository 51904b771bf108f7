"""Times as text."""

from datetime import datetime, timedelta, timezone

from headstart.core.provenance import utc_text


def test_a_time_is_told_in_utc() -> None:
    noon = datetime(2025, 1, 31, 12, 0, 0, 250_000, timezone(timedelta(hours=2)))

    assert utc_text(noon) == "2025-01-31T10:00:00.250Z"
