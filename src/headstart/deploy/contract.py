"""What stands beside an exported policy (`policy-contract/1`): what it takes and gives, and which checkpoint it was."""

from typing import Literal

from headstart.core.record import Arm, Count, Name, Record, Sha256
from headstart.dataset.observation import ObservationSchema
from headstart.runs.checkpoint import Spaces


class Port(Record):
    """An input or the output of the file."""

    name: str
    shape: tuple[int | Literal["N"], ...]  # N rows
    dtype: Literal["float32", "uint8"]
    meaning: str


class PolicyContract(Record):
    """OUT.onnx.json, beside OUT.onnx."""

    schema_id: Literal["policy-contract/1"] = "policy-contract/1"
    scenario: Name
    arm: Arm
    seed: int
    checkpoint_sha256: Sha256  # of weights.safetensors
    onnx_sha256: Sha256
    inputs: tuple[Port, ...]
    output: Port
    observation: ObservationSchema  # names of features, actions and channels of the map, in the order of their columns
    spaces: Spaces | None  # the environment's own, where a user brought it
    compared_rows: Count  # observations on which the file was compared with the policy
    largest_difference: float  # of the output there, as a share of its largest number
