"""Targets of a scenario from what its expert shows on the evaluation worlds of the comparison, and their history (`targets/1`).

`expert_level` is what the expert shows there: every quantity that the target names less one standard error, harm plus one, rounded away from
the expert, who therefore meets it. `beyond_expert` has the same limits, except that the return (of a target without a return, its measures) is
the expert's plus 2.5 % of its magnitude, and plus two standard errors at least, rounded up.

Returns and rates have steps of 0.01, measures three significant digits. Only these two targets are written, and of them only what the scenario
names already: which quantities count is a person's choice, their values are measured.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

from headstart.config.params import Params
from headstart.config.project import MODELS
from headstart.config.scenario import Scenario, Target
from headstart.core.arrays import Array
from headstart.core.errors import InputError
from headstart.core.files import read_bytes, read_record, write_record
from headstart.core.record import Count, Name, Record, Sha256, UtcTime
from headstart.core.strict_json import MAX_BYTES, parse_json
from headstart.runs.expert import approved_expert, expert_of, require_judged
from headstart.runs.recorded import found_recording
from headstart.runs.worlds import design_of, worlds_of
from headstart.worlds.api import Played, play
from headstart.worlds.make import source_sha256

HISTORY = Path("scenarios/targets.json")
EXPERT, BEYOND = "expert_level", "beyond_expert"
RATES_AND_RETURN = ("success_rate", "harm_rate", "return_mean")
GAIN = 0.025  # of the magnitude of the expert's return or measure


class Measured(Record):
    """A mean over worlds."""

    mean: float
    standard_error: float = Field(ge=0)


class Level(Record):
    """What an expert shows. The value of a world is the mean over its agents."""

    success_rate: Measured
    harm_rate: Measured
    return_mean: Measured
    measures: dict[str, Measured]


class WrittenTargets(Record):
    """The targets that were written into the file of a scenario at one time, and what they follow from."""

    scenario: Name
    written_at: UtcTime
    git_revision: str | None  # that was checked out; None: outside of a repository
    policy_sha256: Sha256  # of the expert: of a script's sources, of the weights, or of the user's code or file
    scenario_sha256: Sha256
    environment_sha256: Sha256
    evaluation_seed: int
    evaluation_worlds: Count
    expert: Level
    targets: dict[str, Target]
    after_runs: bool  # whether runs of the same design were there already, so that the targets were not fixed before them


class TargetHistory(Record):
    """All targets that were written, oldest first; entries are added and never changed."""

    schema_id: Literal["targets/1"] = "targets/1"
    entries: tuple[WrittenTargets, ...] = ()

    def newest(self, scenario: str) -> WrittenTargets | None:
        """The last entry of a scenario; None if its targets were never written."""
        return next((entry for entry in reversed(self.entries) if entry.scenario == scenario), None)


def measure(params: Params, scenario: Scenario, when: UtcTime, revision: str | None) -> WrittenTargets:
    """Play the expert on the evaluation worlds; the targets that follow, not written yet.

    Raises InputError where a learned or own expert or a target to write is missing, and GateFailed where the expert is not approved.
    """
    _require_targets(scenario)
    if scenario.demonstrations is not None:
        level, policy = recorded_level(scenario)
        return _written(params, scenario, level, policy, when, revision)
    approved = None
    if scenario.expert.policy != "scripted":
        require_judged(scenario)
        approved = approved_expert(scenario)
    policy = approved.policy_sha256 if approved else source_sha256(scenario.world)
    fixed = params.evaluation
    world = worlds_of(scenario, "evaluation", fixed.worlds, params.capture.observation)
    experts = range(max(1, len(approved.recorded)) if approved else 1)
    played = (play(world, expert_of(scenario, world, block), fixed.seed) for block in experts)
    level = averaged([level_of(one, world.names.stats, scenario) for one in played])
    return _written(params, scenario, level, policy, when, revision)


def _written(
    params: Params, scenario: Scenario, level: Level, policy: str, when: UtcTime, revision: str | None
) -> WrittenTargets:
    fixed = params.evaluation
    return WrittenTargets(
        scenario=scenario.name,
        written_at=when,
        git_revision=revision,
        policy_sha256=policy,
        scenario_sha256=scenario.sha256,
        environment_sha256=design_of(params, scenario).environment_sha256,
        evaluation_seed=fixed.seed,
        evaluation_worlds=fixed.worlds,
        expert=level,
        targets=targets_from(level, scenario),
        after_runs=bool(runs_seen(params, scenario)),
    )


def recorded_level(scenario: Scenario) -> tuple[Level, Sha256]:
    """What recorded demonstrations show by themselves, episodes in place of worlds, and the hash of their files.

    Nobody can play the evaluation worlds. InputError for a recording that does not tell its success, harm and return, and for measures.
    """
    found = found_recording(scenario)
    score, n, assumed = found.score, found.episodes, scenario.measures
    if score is None or found.sha256 is None or assumed or n < 2:
        why = f"measures ({', '.join(assumed)})" if assumed else f"{', '.join(found.absent) or 'one episode'}"
        raise InputError(
            f"{scenario.name}: expected a recording that tells what to aim at, it lacks {why}; write the targets by hand"
        )
    level = Level(
        success_rate=rate_of(np.arange(n) < score.success),
        harm_rate=rate_of(np.arange(n) < score.harm),
        return_mean=Measured(mean=score.return_mean, standard_error=score.return_sd / math.sqrt(n - 1)),
        measures={},
    )
    return level, found.sha256


def runs_seen(params: Params, scenario: Scenario) -> list[Path]:
    """The runs on disk whose design is that of today: who chooses a target now may have seen how they end."""
    today = design_of(params, scenario).model_dump(mode="json")
    return [path for path in sorted((MODELS / scenario.name).rglob("runs.json")) if _design(path) == today]


def _design(path: Path) -> object:
    """As it stands in the file, whose format may be older than today's."""
    content = parse_json(read_bytes(path, MAX_BYTES), str(path))
    return content.get("design") if isinstance(content, dict) else None


# --- the rule -----------------------------------------------------------------------------------------------------------


def level_of(played: Played, counters: tuple[str, ...], scenario: Scenario) -> Level:
    """Means over W worlds and their standard errors; `counters` are the S names of `played.stats` [W, A, S]. InputError for one world."""
    if len(played.success) < 2:
        raise InputError(f"evaluation.worlds: expected at least 2, for a standard error over worlds, got {len(played.success)}")
    return Level(
        success_rate=rate_of(played.success),
        harm_rate=rate_of(played.harm),
        return_mean=mean_of(played.total_reward),
        measures={name: mean_of(played.stats[..., counters.index(name)].mean(axis=1)) for name in scenario.measures},
    )


def averaged(levels: Sequence[Level]) -> Level:
    """The level of the average expert. Its standard errors are those of one expert on these worlds, which a policy is held to on them."""

    def average(of: Callable[[Level], Measured]) -> Measured:
        means, errors = np.array([(of(level).mean, of(level).standard_error) for level in levels]).T
        return Measured(mean=float(means.mean()), standard_error=float(np.sqrt((errors**2).mean())))

    return Level(
        success_rate=average(lambda level: level.success_rate),
        harm_rate=average(lambda level: level.harm_rate),
        return_mean=average(lambda level: level.return_mean),
        measures={name: average(lambda level, name=name: level.measures[name]) for name in levels[0].measures},  # type: ignore[misc]
    )


def mean_of(values: Array) -> Measured:
    """values [W] → their mean and s / √W."""
    return Measured(mean=float(values.mean()), standard_error=float(values.std(ddof=1)) / math.sqrt(len(values)))


def rate_of(happened: Array) -> Measured:
    """happened [W] bool → k / W and √(p(1 − p) / W) with p = (k + 1) / (W + 2), Laplace's rule of succession.

    With p = k / W the standard error would be 0 where all worlds succeed, as if the next one could not fail.
    """
    count, worlds = int(happened.sum()), len(happened)
    p = (count + 1) / (worlds + 2)
    return Measured(mean=count / worlds, standard_error=math.sqrt(p * (1 - p) / worlds))


def with_usual_targets(scenario: Scenario) -> Scenario:
    """A scenario that names neither, with both; of their quantities only the names count, since the measured values take their place."""
    if scenario.targets.keys() & {EXPERT, BEYOND}:
        return scenario
    usual = {name: Target(name=name, success_rate=0.5, return_mean=1.0) for name in (EXPERT, BEYOND)}
    return scenario.model_copy(update={"targets": usual})


def targets_from(level: Level, scenario: Scenario) -> dict[str, Target]:
    """`expert_level` and `beyond_expert`, as far as the scenario has them, with the quantities that they name there."""
    _require_targets(scenario)
    named = scenario.targets
    return {name: _target(level, named[name], scenario.name, name == BEYOND) for name in (EXPERT, BEYOND) if name in named}


def _require_targets(scenario: Scenario) -> None:
    where, named = f"scenarios/{scenario.name}.yaml: targets", scenario.targets
    if not named.keys() & {EXPERT, BEYOND}:
        raise InputError(
            f"{where}: expected {EXPERT} or {BEYOND}, whose values this command writes, got {', '.join(named)}; `headstart targets "
            f"{scenario.name}` prints both, to be added there"
        )
    if BEYOND in named and named[BEYOND].return_mean is None and not named[BEYOND].measures:
        raise InputError(
            f"{where}.{BEYOND}: expected return_mean or measures, in which a policy can exceed the expert, got neither"
        )


def _target(level: Level, named: Target, scenario: str, beyond: bool) -> Target:
    success = _rounded(level.success_rate.mean - level.success_rate.standard_error, ROUND_FLOOR)
    if success <= 0:
        raise InputError(
            f"{scenario}: expected an expert that succeeds, got a success rate of {level.success_rate.mean:.4f} with a standard error "
            f"of {level.success_rate.standard_error:.4f}; a target needs one above 0, so improve the expert"
        )
    harm = _rounded(level.harm_rate.mean + level.harm_rate.standard_error, ROUND_CEILING)
    raises = "measures" if named.return_mean is None else "return_mean"
    measures = {name: level.measures[name] for name in named.measures}
    values = {
        "success_rate": success,
        "harm_rate": None if named.harm_rate is None else min(harm, 1.0),
        "return_mean": None if named.return_mean is None else _limit(level.return_mean, beyond, digits=None),
        "measures": {name: _limit(of, beyond and raises == "measures", digits=3) for name, of in measures.items()},
    }
    return named.model_copy(update=values)


def _limit(level: Measured, beyond: bool, digits: int | None) -> float:
    """The least value that a policy must show."""
    if beyond:
        return _rounded(level.mean + max(GAIN * abs(level.mean), 2 * level.standard_error), ROUND_CEILING, digits)
    return _rounded(level.mean - level.standard_error, ROUND_FLOOR, digits)


def _rounded(value: float, direction: str, digits: int | None = None) -> float:
    """To so many significant digits; None: to 0.01. In decimals: a binary 1.15 lies below 1.15, and would lose a step."""
    exact = Decimal(repr(value))
    exponent = -2 if digits is None else exact.adjusted() - digits + 1
    return float(exact.quantize(Decimal(1).scaleb(exponent), rounding=direction))


# --- the scenario file --------------------------------------------------------------------------------------------------


def with_targets(text: str, targets: Mapping[str, Target]) -> str:
    """The text of a scenario file with these values of `targets`; every other character stays."""
    section = dict(_items(YAML(typ="safe", pure=True).compose(text)))["targets"]
    spans: list[tuple[int, int, str]] = []
    for name, node in _items(section):
        for key, scalar in _items(node) if name in targets else ():
            if key == "measures":
                spans += [_span(of, number_text(measure, targets[name].measures[measure])) for measure, of in _items(scalar)]
            elif key in RATES_AND_RETURN and (value := getattr(targets[name], key)) is not None:
                spans.append(_span(scalar, number_text(key, value)))
    for start, end, number in reversed(spans):
        text = text[:start] + number + text[end:]
    return text


def number_text(quantity: str, value: float) -> str:
    """As it stands in the file: 0.99, 1.70; a measure without trailing zeros."""
    if quantity in RATES_AND_RETURN:
        return f"{value:.2f}"
    return str(int(value)) if value.is_integer() else repr(value)


def _items(node: MappingNode) -> Iterator[tuple[str, Any]]:
    """Key → node, in the order of the file."""
    return ((key.value, value) for key, value in node.value)


def _span(scalar: ScalarNode, number: str) -> tuple[int, int, str]:
    return scalar.start_mark.index, scalar.end_mark.index, number


# --- the history ---------------------------------------------------------------------------------------------------------


def read_history(path: Path = HISTORY) -> TargetHistory:
    """The history; a missing file is an empty one."""
    return read_record(path, TargetHistory) if path.exists() else TargetHistory()


def add_entry(entry: WrittenTargets, path: Path = HISTORY) -> bool:
    """Append an entry, atomically, unless the newest of its scenario says the same; returns whether it was appended."""
    history = read_history(path)
    newest = history.newest(entry.scenario)
    if newest is not None and same_targets(newest, entry):
        return False
    write_record(path, TargetHistory(entries=(*history.entries, entry)))
    return True


def same_targets(one: WrittenTargets, other: WrittenTargets) -> bool:
    """Whether two entries differ at most in when they were written."""
    when = {"written_at", "git_revision", "after_runs"}
    return one.model_dump(exclude=when) == other.model_dump(exclude=when)
