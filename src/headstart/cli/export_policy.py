"""`headstart export-policy`: a checkpoint for programs without headstart."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.output import Json, output
from headstart.cli.project import typed_path
from headstart.core.errors import UsageError
from headstart.core.extras import require_extra

Onnx = Annotated[
    Path | None, typer.Option(parser=typed_path, metavar="FILE", help="The ONNX file to write; FILE.json says what it takes.")
]
SB3 = Annotated[Path | None, typer.Option(parser=typed_path, metavar="FILE", help="The zip file of Stable-Baselines3 to write.")]


def export_policy(
    checkpoint: Annotated[
        Path,
        typer.Argument(parser=typed_path, metavar="CHECKPOINT", help="The folder of a checkpoint, or of an arm: its best seed."),
    ],
    onnx: Onnx = None,
    sb3: SB3 = None,
    masks: Annotated[
        bool, typer.Option("--masks", help="Your environment tells masks: the file takes them. That of a town always does.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a policy as an ONNX file or as a model of Stable-Baselines3, once it computes the same on 10,000 observations."""
    if onnx is None and sb3 is None:
        raise UsageError("expected --onnx FILE or --sb3 FILE")
    require_extra("torch", "sb3", "export-policy", "to compute the policy")
    from headstart.deploy.policy import load

    policy = load(checkpoint)
    if onnx is not None:
        from headstart.deploy.onnx_policy import contract_path, export_onnx, require_onnx

        require_onnx(policy, onnx, masks)
    if sb3 is not None:  # both are checked before either is written
        from headstart.deploy.samples import OBSERVATIONS
        from headstart.deploy.sb3_policy import export_sb3, normaliser_path, require_sb3

        require_sb3(policy, sb3, masks)
    with output(as_json) as out:
        if onnx is not None:
            contract = export_onnx(policy, onnx, masks)
            out.found(onnx={"path": onnx, "contract": contract})
            apart = f"at most {contract.largest_difference:.1e} apart on {contract.compared_rows:,} observations"
            out.say(f"{onnx}: computes what the policy does: {apart}", rest="  ")
            taken = ", ".join(f"{port.name} {['N', *port.shape[1:]]}".replace("'", "") for port in contract.inputs)
            out.say(f"{contract_path(onnx)}: takes {taken}, gives {contract.output.name}", rest="  ")
        if sb3 is not None:
            beside = export_sb3(policy, sb3, masks)
            out.found(sb3={"path": sb3, "normaliser": normaliser_path(sb3) if beside else None, "observations": OBSERVATIONS})
            out.say(f"{sb3}: acts as the policy does on {OBSERVATIONS:,} observations")
            if beside:
                out.say(f"{normaliser_path(sb3)}: the VecNormalize whose normalize_obs its observations need", rest="  ")
