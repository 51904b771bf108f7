"""The numbers of a record by name, for rules, drift, summaries and curves.

`loss_total`, `rivalry.max_mean`, `nonfinite`   of `update`; lists count their entries
`evaluation.success_rate`                      of `evaluation` with sampled actions; `deterministic.…` with the likeliest ones
`bc.accuracy_heldout`                          of `bc_epoch`
`reading.bc_accuracy`                          of `reading`: what the guardrails were shown
"""

from collections.abc import Iterable, Iterator
from typing import Any

from headstart.core.errors import UsageError, nearest, shown
from headstart.telemetry.imported import Anneal, Baseline, ImportedUpdate, Rivalry
from headstart.telemetry.kinds import BcEpoch, Envelope, Evaluation, PhaseStarted, ReadingLine, Social, Update
from headstart.telemetry.logs import AnyRecord

PREFIX = {"sampled": "evaluation", "deterministic": "deterministic"}  # of an evaluation, by its policy_mode
NOT_NUMBERS = {
    *Envelope.model_fields,
    "schema_id",
    "kind",
    "phase",
    "seq",
    "env_steps",
    "upgraded_from",
    "kl_estimator",
    "data_mode",
    "other",
}
WITHIN = {
    "rivalry": tuple(Rivalry.model_fields),
    "need_mean": ("hunger", "hygiene", "energy"),
    "social": tuple(Social.model_fields),
    "baseline": tuple(Baseline.model_fields),
    "anneal": tuple(name for name in Anneal.model_fields if name not in ("stage", "dataset")),
    "wall": ("update_s", "env_steps_per_s", "elapsed_s", "rss_mib"),
}
RATES = ("success", "harm")
SCORES = (
    "return_mean",
    "return_std",
    "return_iqm",
    "return_ci_low",
    "return_ci_high",
    "queue_conflict_rate",
    "queue_intensity_rate",
)
OF_SOCIAL = tuple(f"social.{name}" for name in Social.model_fields)
OF_BC = ("loss", "loss_heldout", "accuracy", "accuracy_heldout", "macro_f1", "majority_baseline", "value_mse", "learning_rate")
# the base of a change, where a log has one: field → entry of the baselines of `phase_started`, and of an imported record's `anneal`
BASES = {f"evaluation.{name}": name for name in ("success_rate", "harm_rate", "queue_conflict_rate", "queue_intensity_rate")}
IMPORTED_BASES = {
    "loss_total": "loss_baseline",
    "queue_conflict_events": "queue_baseline",
    "queue_conflict_intensity_sum": "intensity_baseline",
}


def _of_update() -> Iterator[str]:
    for name in dict.fromkeys((*Update.model_fields, *ImportedUpdate.model_fields)):
        if name in WITHIN:
            yield from (f"{name}.{one}" for one in WITHIN[name])
        elif name not in NOT_NUMBERS:
            yield name


UPDATE_FIELDS = tuple(_of_update())
KNOWN = (
    *UPDATE_FIELDS,
    *(f"{prefix}.{name}" for prefix in PREFIX.values() for name in (*SCORES, *(f"{rate}_rate" for rate in RATES), *OF_SOCIAL)),
    *(f"bc.{name}" for name in OF_BC),
)


def require_field(name: str, where: str) -> None:
    """UsageError, which begins with `where`, for a field that no record has."""
    if name not in KNOWN and not name.startswith("reading."):
        hint = nearest(name, KNOWN) or "; those of `update`, or evaluation.…, deterministic.…, bc.…, reading.…"
        raise UsageError(f"{where}: expected a field of telemetry, got {shown(name)}{hint}")


def numbers(record: AnyRecord) -> dict[str, float | None]:
    """Field → value of a record; null where it does not apply. Empty for a kind that has no numbers."""
    match record:
        case Update() | ImportedUpdate():
            return dict(_flat(record))
        case Evaluation():
            rates = {
                f"{name}_rate": of.k / of.n if of.n else None for name, of in (("success", record.success), ("harm", record.harm))
            }
            found = {name: getattr(record, name) for name in SCORES} | rates
            if record.social is not None:
                found |= {f"social.{name}": _number(value) for name, value in record.social}
            return {f"{PREFIX[record.policy_mode]}.{name}": value for name, value in found.items()}
        case BcEpoch():
            return {f"bc.{name}": getattr(record, name) for name in OF_BC}
        case ReadingLine():
            return {f"reading.{name}": _number(value) for name, value in record.values.items()}
    return {}


def bases(record: AnyRecord) -> dict[str, float]:
    """Field → the value that a change of it is measured from, where the record states one."""
    found: dict[str, float | None] = {}
    if isinstance(record, PhaseStarted):
        named = {entry: name for name, entry in BASES.items()}
        found = {named.get(entry, entry): value for entry, value in record.baselines.items()}
    elif isinstance(record, ImportedUpdate) and record.anneal is not None:
        found = {name: getattr(record.anneal, entry) for name, entry in IMPORTED_BASES.items()}
    return {name: float(value) for name, value in found.items() if value is not None}


def updates_of(records: Iterable[AnyRecord]) -> list[Update | ImportedUpdate]:
    return [record for record in records if isinstance(record, Update | ImportedUpdate)]


def _flat(record: Update | ImportedUpdate) -> Iterator[tuple[str, float | None]]:
    for name, value in record:
        if name in WITHIN:
            inner: Any = value if isinstance(value, dict) or value is None else dict(value)
            yield from ((f"{name}.{one}", _number(inner.get(one) if inner else None)) for one in WITHIN[name])
        elif name not in NOT_NUMBERS:
            yield name, float(len(value)) if isinstance(value, tuple) else _number(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
