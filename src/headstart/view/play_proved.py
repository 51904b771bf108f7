"""A recorded episode with all that can be said of it: the proof by replay, its statistics, and its anomalies among those of its file."""

from dataclasses import replace

from headstart.config.params import Params
from headstart.config.stage_command import stage_command
from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError
from headstart.dataset.anomalies import anomalies, usual
from headstart.dataset.anomaly_rules import Anomaly, Usual
from headstart.runs.worlds import worlds_of
from headstart.view.play_dataset import Found, Opened
from headstart.view.play_statistics import agree, statistics
from headstart.view.proof import Proof
from headstart.view.replay import rebuilt
from headstart.view.track import Track
from headstart.worlds.town.state import SOCIAL

SAID = ("length", "return", "success", "harm")  # others only where they are not 0


def proved(found: Found, params: Params, mode: str | None) -> tuple[Track, str]:
    """The episode, and what is wrong with its record in one sentence; empty: nothing."""
    track, proof = rebuilt(found, params, mode)
    marks = anomalies(found.episodes, found.e, usual_of(found, params))
    if proof.differs and not proof.rounded:
        marks = (
            Anomaly("replay", proof.same, proof.same, f"{proof.column}: recorded {proof.recorded}, replayed {proof.replayed}"),
            *marks,
        )
    told = list(statistics(found, proof))
    wrong = [f"{name}: recorded {said}, found {again}" for name, said, again in told if not agree(said, again)]
    says = f"statistics differ: {'; '.join(wrong)}" if wrong else f"statistics agree: {_listed(found, told)}"
    counters = proof.outcome.get("counters", {})
    if more := [
        f"{name} {counters[name]}" for name in SOCIAL if counters.get(name) and name not in found.episodes.table.behaviour
    ]:
        says += f"; counted in the replay, and not recorded: {', '.join(more)}"
    count = len(found.episodes.table.length)
    checked = f"compared with the {count:,} episodes of {found.file.name}"
    track = replace(track, marks=marks, says=(proof.text, says, *track.says), checked=checked)
    return track, _problem(found, proof, wrong)


def usual_of(found: Found, params: Params) -> Usual:
    """What is usual in the file of an episode."""
    scenario = found.dataset.scenario
    return usual(found.episodes, found.header.observation, scenario, bounds_of(found.dataset, params), found.header.absent)


def bounds_of(dataset: Opened, params: Params) -> Array | None:
    """[2, F] of the world's features; None where they are not needed, or the environment is not here."""
    if not dataset.scenario.is_foreign:
        return None
    try:
        world = worlds_of(dataset.scenario, "capture", 1, params.capture.observation)
    except HeadstartError:
        return None
    bounds = world.feature_bounds
    world.close()
    return bounds


def _listed(found: Found, told: list[tuple[str, object, object]]) -> str:
    own = [(name, value) for name, value, _ in told if " in " not in name]
    words = [f"{name} {_word(value)}" for name, value in own if value or name in SAID]
    zero = len(own) - len(words)
    more = [f"{zero} other counters 0"] if zero else []
    return ", ".join(words + more) + (", as in episodes.tsv" if found.row is not None else "")


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _problem(found: Found, proof: Proof, wrong: list[str]) -> str:
    problems = [proof.text] if proof.differs and not proof.rounded else []
    problems += [f"statistics differ: {'; '.join(wrong)}"] if wrong else []
    if not problems:
        return ""
    cure = ""
    if found.dataset.own:
        again = stage_command("capture", found.dataset.scenario.name)
        cure = f"; `dvc status` tells whether files or code changed; `dvc checkout {found.file.parent}` restores files, `{again}` records again"
    return f"{found.file}: {found.title} ({found.name}): {'; '.join(problems)}{cure}"
