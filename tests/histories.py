"""Lines of a history, as a project that was judged and released has them."""

from typing import Any

from headstart.config.history import Event, Judged, Line, Release, next_line
from headstart.core.files import sha256_json
from headstart.core.verdict import Evidence


def release(arm: str = "pretrained", seed: int = 0, revision: str = "0" * 40) -> Release:
    return Release(
        arm=arm,
        seed=seed,
        checkpoint=f"models/walk/{arm}/seed-{seed}",
        weights_sha256=sha256_json([arm, seed]),
        card_sha256=sha256_json(["card", arm, seed]),
        git_revision=revision,
    )


def verdict(n: int, outcome: str = "PASS", **changes: Any) -> Judged:
    """The n-th run: by default nothing of it was seen before."""
    fields: dict[str, Any] = {
        "scenario": "walk",
        "outcome": outcome,
        "comparison": Evidence(path="a.json", sha256="e" * 64),
        "target_sha256": "1" * 64,
        "design_sha256": "2" * 64,
        "baselines_sha256": "7" * 64,
        "schedule_sha256": "3" * 64,
        "dataset": "walk@1",
        "dataset_sha256": "4" * 64,
        "seeds": (n,),
        "checkpoints": (sha256_json(["checkpoint", n]),),
        "anneal_cycles": 2,
        "candidate": release(seed=n),
        "baseline": release("scratch"),
        "required_passes": 2,
        "loosened": (),
    }
    return Judged(**(fields | changes))


def lines_of(*records: Event) -> tuple[Line, ...]:
    lines: tuple[Line, ...] = ()
    for record in records:
        lines = (*lines, next_line(lines, record, "Ada", "because"))
    return lines
