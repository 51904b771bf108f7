"""A policy in onnxruntime: `headstart export-policy CHECKPOINT --onnx policy.onnx`, then `python onnx_policy.py policy.onnx`."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

if len(sys.argv) < 2:
    sys.exit(__doc__)
path = Path(sys.argv[1])
contract = json.loads(path.with_name(f"{path.name}.json").read_text())
if hashlib.sha256(path.read_bytes()).hexdigest() != contract["onnx_sha256"]:
    sys.exit(f"{path}: not the file that the contract beside it describes")
session = onnxruntime.InferenceSession(str(path))
rows = {  # zeros of the shapes that the contract asks for; everything is allowed
    port["name"]: np.full([2, *port["shape"][1:]], port["name"] == "mask", port["dtype"]) for port in contract["inputs"]
}
(output,) = session.run([contract["output"]["name"]], rows)
names = contract["observation"]["actions"]
print(contract["scenario"], "answers zeros with", [names[best] for best in output.argmax(axis=1)] if names else output.tolist())
