"""Logs of the versions 1.0, 1.1 and 1.2 become `telemetry-imported/1` (`imported.py`).

version   required                                                    optional
1.0       BASIC                                                       HEALTH, RIVALRY, BASELINE
1.1       and LATER                                                   and SOCIAL
1.2       the same                                                    and ANNEAL: all twelve or none

These programs wrote each number as a float, so whole ones become integers where a count is meant.
"""

import hashlib
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from headstart.core.errors import InputError, shown
from headstart.core.strict_json import canonical_json, parse_json
from headstart.telemetry.imported import AnyImported, ImportedRun, ImportedUpdate
from headstart.telemetry.problems import Place, Problem, fitted

VERSIONS = {"1": "1.0", "1.0": "1.0", "1.1": "1.1", "1.2": "1.2"}
BASIC = (
    *("epoch", "updates", "transitions", "loss_policy", "loss_value", "loss_entropy", "loss_total", "clip_fraction"),
    *("adv_mean", "adv_std", "grad_norm", "kl_divergence", "lr", "steps"),
)
HEALTH = ("adv_zero_std_batches", "adv_min_std", "clip_triggered_minibatches", "clip_fraction_max")
RIVALRY = tuple(f"conflict.rivalry_{name}_avg" for name in ("max_mean", "max_max", "avoid_count_mean", "avoid_count_max"))
BASELINE = tuple(f"baseline_{name}" for name in ("sample_count", "reward_mean", "reward_sum", "reward_sum_mean", "log_prob_mean"))
LATER = (
    *("epoch_duration_sec", "data_mode", "cycle_id", "batch_entropy_mean", "batch_entropy_std", "grad_norm_max"),
    *("kl_divergence_max", "reward_advantage_corr", "rollout_ticks", "log_stream_offset"),
    *("queue_conflict_events", "queue_conflict_intensity_sum"),
)
SOCIAL = (
    *("shared_meal_events", "late_help_events", "shift_takeover_events"),
    *("chat_success_events", "chat_failure_events", "chat_quality_mean"),
)
ANNEAL = tuple(
    f"anneal_{name}"
    for name in (
        *("cycle", "stage", "dataset", "bc_accuracy", "bc_threshold", "bc_passed"),
        *("loss_baseline", "queue_baseline", "intensity_baseline", "loss_flag", "queue_flag", "intensity_flag"),
    )
)
SINCE = dict.fromkeys((*BASIC, *HEALTH, *RIVALRY, *BASELINE), "1.0") | dict.fromkeys((*LATER, *SOCIAL), "1.1")
SINCE |= dict.fromkeys(ANNEAL, "1.2")

WHOLE = {
    *(
        "epoch",
        "updates",
        "transitions",
        "steps",
        "adv_zero_std_batches",
        "clip_triggered_minibatches",
        "cycle_id",
        "rollout_ticks",
    ),
    *("log_stream_offset", "queue_conflict_events", *SOCIAL[:-1], "baseline_sample_count", "anneal_cycle"),
}
TEXT = {"data_mode", "anneal_stage", "anneal_dataset"}
YES_NO = {name for name in ANNEAL if name.endswith(("_flag", "_passed"))}
RENAMED = {  # where a field stands now; an entry of a nested record has a dot
    "epoch": "iteration",
    "steps": "transitions_total",
    "lr": "learning_rate",
    "batch_entropy_mean": "entropy",
    "batch_entropy_std": "entropy_std",
    "epoch_duration_sec": "wall.update_s",
    **{name: f"rivalry.{name.removeprefix('conflict.rivalry_').removesuffix('_avg')}" for name in RIVALRY},
    **{name: name.replace("_", ".", 1) for name in (*BASELINE, *ANNEAL)},
}


class Upgraded(NamedTuple):
    """What a source became; with an `invalid` problem its records are not all there."""

    records: tuple[AnyImported, ...]
    places: tuple[Place, ...]  # of the records; the made-up first one stands where the second does
    problems: tuple[Problem, ...]


def upgrade(items: Iterable[tuple[Any, Place]], source: bytes, assumed: str | None = None) -> Upgraded:
    """The records of a source, whose bytes name the run. `assumed`: the version of records that state none."""
    digest = hashlib.sha256(source).hexdigest()
    run_id, updates, places, problems = f"v1-{digest[:12]}", list[ImportedUpdate](), list[Place](), list[Problem]()
    for value, place in items:
        fields, found = _fields(value, place, assumed)
        problems += found
        if fields is None:
            continue
        fields |= {"kind": "update", "run_id": run_id, "seq": len(updates) + 2}
        record, more = fitted(ImportedUpdate, fields, canonical_json(fields), place)
        problems += more
        if isinstance(record, ImportedUpdate):
            updates.append(record)
            places.append(place._replace(seq=record.seq))
    versions = tuple(sorted({record.upgraded_from for record in updates}))
    first = ImportedRun(run_id=run_id, seq=1, source_sha256=digest, upgraded_from=versions, updates=len(updates))
    return Upgraded((first, *updates), (*(place._replace(seq=1) for place in places[:1]), *places), tuple(problems))


def array_items(data: bytes, file: str) -> list[tuple[Any, Place]]:
    """The records of a source that is one JSON array."""
    found = parse_json(data, file, infinite=True)
    return [(value, Place(file, number)) for number, value in enumerate(found, start=1)]


def version_of(value: dict[str, Any], assumed: str | None) -> str:
    """The version of a record, as text; InputError, with the cure, for one that states none or another."""
    if "telemetry_version" not in value:
        if assumed is None:
            raise InputError("telemetry_version, or --assume-version 1.0 for a log from before there was one")
        return VERSIONS[assumed]
    stated = str(value["telemetry_version"])
    if stated not in VERSIONS:
        raise InputError("telemetry_version 1.0, 1.1 or 1.2")
    return VERSIONS[stated]


def _fields(value: Any, place: Place, assumed: str | None) -> tuple[dict[str, Any] | None, list[Problem]]:
    """The fields of an `ImportedUpdate`; None where the record cannot become one."""
    if not isinstance(value, dict):
        return None, [place.problem("invalid", "", "a JSON object", shown(value))]
    try:
        version = version_of(value, assumed)
    except InputError as error:
        return None, [place.problem("invalid", "telemetry_version", str(error), shown(value.get("telemetry_version", "none")))]
    problems = list(_key_problems(value, place, version))
    fields: dict[str, Any] = {"upgraded_from": version, "nonfinite": []}
    other = {}
    for name, given in value.items():
        if name == "telemetry_version":
            continue
        if name not in SINCE:
            other[name] = given
            problems.append(
                place.problem("warning", name, "a field that a version names; it is kept under `other`", shown(given))
            )
            continue
        new, problem = _new_value(name, given, place)
        problems += [problem] if problem else []
        if isinstance(given, float) and not math.isfinite(given):
            fields["nonfinite"].append(RENAMED.get(name, name))
        _put(fields, RENAMED.get(str(name), str(name)), new)
    problems += _one_entropy(value, fields, place)
    if other:
        fields["other"] = _finite(other)
    if isinstance(value.get("anneal_stage"), str):
        fields["phase"] = value["anneal_stage"]
    fields["nonfinite"].sort()
    return (None if any(problem.level == "invalid" for problem in problems) else fields), problems


def _key_problems(value: dict[str, Any], place: Place, version: str) -> Iterable[Problem]:
    """Fields that a version must have and lacks, or that came with a later one."""
    required = BASIC if version == "1.0" else BASIC + LATER
    may_lack = {"kl_divergence"} if "telemetry_version" not in value else set()
    for name in required:
        if name not in value and name not in may_lack:
            yield place.problem("invalid", name, f"this field, as version {version} has it", "none")
    for name in value:
        if SINCE.get(name, "1.0") > version:
            yield place.problem(
                "invalid", name, f"no field of version {SINCE[name]} in a record of {version}", shown(value[name])
            )
    here = [name for name in ANNEAL if name in value]
    if version == "1.2" and 0 < len(here) < len(ANNEAL):
        missing = ", ".join(name for name in ANNEAL if name not in value)
        yield place.problem("invalid", "anneal_*", f"all {len(ANNEAL)} fields or none", f"{len(here)}; without {missing}")


def _new_value(name: str, value: Any, place: Place) -> tuple[Any, Problem | None]:
    """A value in today's type: a count is an integer, and what is not finite is null."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None, None
    if name in TEXT:
        return value, None if isinstance(value, str) else place.problem("invalid", name, "a text", shown(value))
    if name in YES_NO:
        is_yes_no = isinstance(value, bool) or (is_number and value in (0, 1))
        return bool(value), None if is_yes_no else place.problem("invalid", name, "true or false", shown(value))
    if not is_number:
        return value, place.problem("invalid", name, "a number", shown(value))
    if name in WHOLE:
        is_whole = float(value).is_integer()
        return int(value), None if is_whole else place.problem("invalid", name, "a whole number", shown(value))
    return float(value), None


def _one_entropy(value: dict[str, Any], fields: dict[str, Any], place: Place) -> list[Problem]:
    """`loss_entropy` was the same number as `batch_entropy_mean`, which is kept; a warning where it was not."""
    old = fields.pop("loss_entropy", None)
    new = fields.setdefault("entropy", old)
    fields["nonfinite"] = sorted({"entropy" if name == "loss_entropy" else name for name in fields["nonfinite"]})
    if old is None or new is None or abs(old - new) <= 1e-6:
        return []
    return [place.problem("warning", "loss_entropy", f"batch_entropy_mean, {new}, which is kept", old)]


def _put(fields: dict[str, Any], name: str, value: Any) -> None:
    home, _, key = name.rpartition(".")
    (fields.setdefault(home, {}) if home else fields)[key] = value


def _finite(value: Any) -> Any:
    """JSON without numbers that it cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
