"""TensorBoard's event files: the numbers of a log as scalars over env steps, while a run writes it or from one that is finished.

rollout/…, train/…, schedule/…, town/…, time/…     of `update`
evaluation/sampled/…, evaluation/deterministic/…   of `evaluation`
bc/…                                               of `bc_epoch`, over epochs
guard/breaches, guard/rollbacks                    so far

Values have the times at which the log's records were written, so that a converted log shows the run's own clock.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from headstart.core.errors import MissingExtra, UsageError
from headstart.core.files import fresh_directory
from headstart.telemetry.kinds import BcEpoch, Evaluation, GuardrailLine, Line, RollbackLine, Social, Update

GROUPS = {
    "rollout": (
        *(
            "return_mean",
            "return_std",
            "reward_mean",
            "episode_length_mean",
            "reward_advantage_corr",
            "terminations",
            "truncations",
        ),
    ),
    "schedule": ("learning_rate", "bc_weight", "kl_weight", "expert_share", "expert_steps"),
    "town": (
        "queue_conflict_rate",
        "queue_intensity_rate",
        "showers",
        "sleeps",
        "chats",
        "on_time_ratio",
        "social",
        "rivalry",
        "need_mean",
    ),
}
GROUP = {name: group for group, names in GROUPS.items() for name in names}  # any other field of `update`: train
CONVERTED = ".converted"  # ends the name of a file that was not written while its run trained
OF_EVALUATION = ("return_mean", "return_iqm", "return_ci_low", "return_ci_high", "queue_conflict_rate", "queue_intensity_rate")
NOT_OF_UPDATE = {*Line.model_fields, "kind", "iteration", "open_guardrails"}


def scalars(line: Line) -> dict[str, float]:
    """Tag → value of a record; nothing that is null."""
    if isinstance(line, Update):
        named = ((f"{GROUP.get(name, 'train')}/{name}", value) for name, value in line if name not in NOT_OF_UPDATE)
        found = dict(named) | {"time/env_steps_per_s": line.wall.env_steps_per_s}
    elif isinstance(line, Evaluation):
        found = {name: getattr(line, name) for name in OF_EVALUATION}
        found |= {f"{name}_rate": of.k / of.n for name, of in (("success", line.success), ("harm", line.harm)) if of.n}
        found = {f"evaluation/{line.policy_mode}/{name}": value for name, value in found.items()}
    elif isinstance(line, BcEpoch):
        found = {f"bc/{name}": value for name, value in line if name not in {*Line.model_fields, "kind", "bc_epoch"}}
        found["bc/per_behaviour"] = {name: one.recall for name, one in line.per_behaviour.items()}
    else:
        return {}
    return {tag: float(value) for tag, value in _flat(found) if value is not None}


@contextmanager
def event_files(folder: Path, after: int | None = None, suffix: str = "") -> Iterator[Callable[[Line], None]]:
    """What takes the records of a run, in order, and writes event files to `folder`.

    Of a run that goes on, TensorBoard forgets what it had written beyond `after` env steps. Raises MissingExtra without tensorboardX.
    """
    number = f".{len(list(folder.glob('events.*')))}"  # files of one second would have one name
    writer = require_tensorboard()(str(folder), purge_step=None if after is None else after + 1, filename_suffix=suffix or number)
    so_far = {"breaches": 0, "rollbacks": 0}

    def take(line: Line) -> None:
        time = datetime.fromisoformat(line.wall.time_utc).timestamp()
        values = scalars(line)
        so_far["breaches"] += isinstance(line, GuardrailLine) and line.severity == "breach"
        if isinstance(line, RollbackLine):
            so_far["rollbacks"] += 1
        if isinstance(line, Update):
            values |= {f"guard/{name}": float(count) for name, count in so_far.items()}
        step = line.bc_epoch if isinstance(line, BcEpoch) else line.env_steps
        for tag, value in values.items():
            writer.add_scalar(tag, value, step, walltime=time)

    try:
        yield take
    finally:
        writer.close()


def convert(lines: Sequence[Line], folder: Path) -> int:
    """Write the event files of a finished log to a folder, in place of an earlier conversion; returns how many values they hold.

    Raises UsageError where the folder has other files, as those of a run that wrote them while it trained: values would stand there twice.
    """
    require_tensorboard()
    others = [path.name for path in sorted(folder.glob("*")) if not path.match(f"events.*{CONVERTED}")]
    if others:
        raise UsageError(
            f"{folder}: expected nothing, or a conversion of before, which is replaced; found {others[0]}, which a training run or another "
            "program wrote; it stays as it is, and another --logdir takes the conversion"
        )
    with fresh_directory(folder) as fresh, event_files(fresh, suffix=CONVERTED) as take:
        for line in lines:
            take(line)
    return sum(len(scalars(line)) for line in lines)


def require_tensorboard() -> Any:
    """The class that writes event files; MissingExtra where tensorboardX is not installed."""
    try:
        from tensorboardX import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingExtra(f"event files need {error.name}: `pip install 'headstart[tensorboard]'`") from error
    return SummaryWriter


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for tag, value in values.items():
        if isinstance(value, dict | Social):
            yield from ((f"{tag}/{name}", one) for name, one in dict(value).items())
        else:
            yield tag, value
