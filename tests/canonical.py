"""What two equal runs share of their telemetry."""

import hashlib
from collections.abc import Iterable

from headstart.core.strict_json import canonical_json
from headstart.telemetry.kinds import AnyLine


def canonical_sha256(records: Iterable[AnyLine]) -> str:
    """SHA-256 over the records without `wall`: equal for two runs that did the same."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(canonical_json(record.model_dump(mode="json", exclude={"wall"})) + b"\n")
    return digest.hexdigest()
