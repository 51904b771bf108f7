"""`headstart check`: is a scenario sound, and how long will it take, before anything is trained."""

from itertools import chain

from headstart.cli.names import Scenario
from headstart.cli.output import Json, output


def check(scenario: Scenario, as_json: Json = False) -> None:
    """Play a scenario for half a minute, and say what is wrong with it: exit 3 for its environment, 6 for a gate that cannot be met."""
    from headstart.config.params import for_scenario, load_params, require_arms_that_dvc_trains
    from headstart.config.scenario import load_scenario
    from headstart.config.stage_command import pipeline_command
    from headstart.core.errors import GateFailed, InputError, MissingExtra
    from headstart.core.progress_lines import duration_text
    from headstart.runs.check import Found, examine, of_gate
    from headstart.runs.plan import Estimate, estimates, no_pass

    described = load_scenario(scenario)
    settings = load_params()
    params = for_scenario(settings, described)
    require_arms_that_dvc_trains(settings, params, described)
    found: list[Found] = []
    planned: list[Estimate] = []
    unknown: str | None = None  # why no time was measured
    sound: bool | None = None  # not known yet
    with output(as_json) as out:
        out.say(f"check {scenario}: {described.world}, horizon {described.horizon}")
        try:
            for one in chain(examine(params, described), map(of_gate, no_pass(params, described))):
                found.append(one)
                out.say(one.says, f"  {'WRONG' if one.cure else '':<6}{one.name:<10}")
                if one.cure:
                    out.say(f"cure: {one.cure}", " " * 18)
            wrong = [one for one in found if one.cure]
            sound = not wrong
            if wrong:
                error = GateFailed if all(one.gate for one in wrong) else InputError
                raise error(f"{scenario}: {len(wrong)} of these must be mended before anything is trained")
            try:
                for of in estimates(params, described):
                    planned.append(of)
                    steps = f"{of.runs} × {of.env_steps:,} env steps at {of.rate:,.0f} a second"
                    out.say(f"{of.name}: {steps}: {duration_text(of.seconds)}", f"  {'':<6}{'time':<10}")
            except MissingExtra as error:
                unknown = str(error)
                out.say(f"not measured: {unknown}", f"  {'':<6}{'time':<10}")
            out.say(f"sound; the other stages add to the time of training and evaluations; next: `{pipeline_command(scenario)}`")
        finally:
            checks = [one._asdict() | {"wrong": bool(one.cure)} for one in found]
            out.found(
                scenario=scenario, sound=sound, checks=checks, estimates=[of._asdict() for of in planned], not_estimated=unknown
            )
