"""`python -m benchmarks.predict [CHECKPOINT]`: microseconds of `headstart.Policy.predict` on one observation, beside the bare network and SB3.

The bare network is called with the rows that predict makes. SB3's is the same policy as `headstart export-policy --sb3` writes it. Each figure
is the least of ten rounds of 2,000 calls, and the rounds take turns. On two cores, for policies/queue_conflict/pretrained:
network 17 µs, predict 36 µs, 19 µs over the network; SB3's predict 263 µs.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import headstart
from headstart.deploy.samples import is_masked, observations
from headstart.deploy.sb3_policy import export_sb3, normaliser_path
from headstart.runs.own_models import load_normaliser, load_sb3

SHIPPED = Path(__file__).parents[1] / "policies/queue_conflict/pretrained"
ROUNDS, CALLS, MOST_US = 10, 2000, 100.0


def main(folder: Path = SHIPPED) -> int:
    """Print the times; 1 if predict takes more than MOST_US longer than the network."""
    torch.set_num_threads(1)
    policy = headstart.load(folder)
    obs, masks = observations(policy, 1, is_masked(policy, False))
    one = _first(obs)
    told = {} if masks is None else {"action_masks": masks[0]}
    rows, _ = policy.rows.rows(one, *told.values() or [None])
    tensors = {name: torch.from_numpy(column) for name, column in rows.items()}
    kinds: dict[str, Callable[[], Any]] = {
        "network": lambda: policy.network.policy(tensors).mode(),
        "predict": lambda: policy.predict(one, **told),
    }
    with tempfile.TemporaryDirectory() as made:
        out = Path(made) / "policy.zip"
        beside = export_sb3(policy, out)
        seen = one["features"] if policy.card.spaces is None else one
        model = load_sb3(out, "MaskablePPO" if told else "PPO", str(out))
        normalise = (
            load_normaliser(normaliser_path(out), model.observation_space, str(out)).normalize_obs if beside else lambda x: x
        )
    kinds["SB3's predict"] = lambda: model.predict(normalise(seen), deterministic=True, **told)
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(ROUNDS):
        for name, call in kinds.items():
            began = time.perf_counter()
            for _ in range(CALLS):
                call()
            best[name] = min(best[name], (time.perf_counter() - began) / CALLS * 1e6)
    for name, microseconds in best.items():
        print(f"{name}: {microseconds:.1f} µs")
    over = best["predict"] - best["network"]
    print(f"predict over the network: {over:.1f} µs (at most {MOST_US:g})")
    return int(over > MOST_US)


def _first(batch: Any) -> Any:
    """The first observation of a batch."""
    if isinstance(batch, dict):
        return {name: _first(part) for name, part in batch.items()}
    return tuple(map(_first, batch)) if isinstance(batch, tuple) else batch[0]


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
