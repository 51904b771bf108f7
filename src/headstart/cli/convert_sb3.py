"""`headstart convert-sb3`: the policy of a Stable-Baselines3 model as an ONNX file, which runs no code of others when it is loaded."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.output import Json, output
from headstart.cli.project import typed_file, typed_path
from headstart.core.errors import HeadstartError, InputError, IntegrityError, MissingExtra


def convert_sb3(
    model: Annotated[Path, typer.Argument(parser=typed_path, metavar="FILE", help="The zip file of a model.")],
    algorithm: Annotated[str, typer.Option(help="PPO, A2C, DQN, SAC, TD3, DDPG, or one of sb3-contrib.")],
    out: Annotated[Path, typer.Option(parser=typed_file, metavar="FILE", help="The ONNX file to write, in experts/.")],
    normaliser: Annotated[
        Path | None, typer.Option(parser=typed_path, metavar="FILE", help="What VecNormalize.save wrote, if it learned with one.")
    ] = None,
    trusted: Annotated[bool, typer.Option("--trusted", help="You know who made the file, so its pickled code may run.")] = False,
    as_json: Json = False,
) -> None:
    """Convert the policy of a Stable-Baselines3 model to ONNX, check it, and print the scenario's lines."""
    from headstart.config.project import EXPERTS
    from headstart.config.scenario import PICKLED

    for kind, path in (("a model", model), ("a VecNormalize", normaliser)):
        if path is not None and not path.is_file():
            raise InputError(f"{path}: expected the file of {kind}, found none")
    if not trusted:
        raise InputError(f"{model}: {PICKLED.replace('`trusted: true`', '--trusted')}")
    command = [sys.executable, "-m", "headstart.runs.convert_sb3", str(model), algorithm, str(out)]
    command += [str(normaliser)] if normaliser is not None else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        kinds: dict[int, type[HeadstartError]] = {kind.exit_code: kind for kind in (InputError, IntegrityError, MissingExtra)}
        said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1].removeprefix("error: ")
        raise kinds.get(done.returncode, InputError)(said)
    steps, place = int(done.stdout.split()[-1]), out if out.is_relative_to(EXPERTS) else EXPERTS / out.name
    with output(as_json) as told:
        told.found(path=out, expert={"policy": "onnx", "path": place, "training_steps": steps})
        told.say(f"{out}: written; it computes what {model} does")
        if not out.is_relative_to(EXPERTS):
            told.say(f"move it into {EXPERTS}/, which DVC watches")
        told.verbatim(
            f"expert:\n  policy: onnx\n  path: {place}\n"
            f"  training_steps: {steps}  # env steps that trained it: the all-in ratio charges them\n"
            "  success_rate: 0.9  # the gate: choose its limits\n  harm_rate: 0.1"
        )
