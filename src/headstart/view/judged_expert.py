"""The episodes on which an expert was judged, for a report: the spread of its returns, and what goes wrong with it."""

from headstart.runs.expert_record import Episodes, ExpertPolicy, Failure
from headstart.view.blocks import Block, Figure, Items, Table
from headstart.view.charts import can_draw
from headstart.view.charts_training import returns


def judged_blocks(expert: ExpertPolicy) -> list[Block]:
    """Nothing where its episodes were not kept."""
    if not expert.judged:
        return []
    rows = [
        (
            name or expert.kind,
            f"{score.episodes:,}",
            *(f"{value:.3f}" for value in (*spread(shown), score.return_mean, score.return_sd)),
        )
        for name, score, shown in expert.judged
    ]
    low, high = min(shown.return_p5 for *_, shown in expert.judged), max(shown.return_p95 for *_, shown in expert.judged)
    each = "each policy's own test" if len(rows) > 1 else f"the {rows[0][1]} episodes of its own test"
    median = f"; the median is {expert.judged[0][2].return_median:.3f}" if len(rows) == 1 else ""
    finding = f"Nine in ten returns of {each} lie within {low:.3f} and {high:.3f}{median}."
    table = Table("expert | episodes | 5th percentile | median | 95th percentile | mean | sd", rows)
    spec = returns({row[0]: spread(shown) for row, (*_, shown) in zip(rows, expert.judged, strict=True)}) if can_draw() else None
    wrong = [
        f"{f'{name}: ' if name else ''}{failure.says(score.episodes)}; `{watch(failure, expert)}` shows the first."
        for name, score, shown in expert.judged
        for failure in shown.failures
        if is_played(name, expert)
    ]
    figure = Figure(
        "expert-returns", spec, "The return of the expert's episodes: 5th percentile, median and 95th", finding, table
    )
    return [figure, *([Items(wrong)] if wrong else [])]


def is_played(name: str, expert: ExpertPolicy) -> bool:
    """Whether `headstart play` shows this policy of `expert.judged`."""
    return not name or [name] == [f"seed {seed}" for seed in expert.recorded]


def spread(shown: Episodes) -> tuple[float, float, float]:
    """The 5th percentile, the median and the 95th percentile of the returns."""
    return shown.return_p5, shown.return_median, shown.return_p95


def watch(failure: Failure, expert: ExpertPolicy) -> str:
    """The command that plays the first of the episodes."""
    return f"headstart play {expert.scenario} --world {failure.world} --seed {expert.seed} --html FILE"
