"""A model of Stable-Baselines3 as an ONNX file, in a process of its own: loading it runs the code that is pickled in it.

`python -m headstart.runs.convert_sb3 MODEL ALGORITHM OUT [NORMALISER]` prints the env steps that trained the model.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from headstart.core.arrays import Array
from headstart.core.errors import HeadstartError, InputError, IntegrityError
from headstart.core.extras import require_extra
from headstart.core.files import fresh_file
from headstart.runs.onnx_file import TOLERANCE, compute_onnx, drawn, write_onnx
from headstart.runs.own_models import load_normaliser, load_sb3

OBSERVATIONS = 256  # of the round trip


class Actor(torch.nn.Module):
    """obs [N, F] f32 → logits [N, K], or the mean [N, D] in the environment's own units."""

    def __init__(self, model: Any, where: str, normaliser: Any = None) -> None:
        """`normaliser`: the VecNormalize that the model learned with, if any.

        InputError for a policy without an actor or values of actions, and for observations that are no Box of numbers.
        """
        super().__init__()
        self.policy, space = model.policy.eval(), model.observation_space
        if not isinstance(space, spaces.Box) or space.dtype == np.uint8:
            raise InputError(
                f"{where}: expected a model whose observations are a Box of numbers, got {space}; use `policy: sb3` itself"
            )
        self.clip: float | None = None
        if normaliser is not None and normaliser.norm_obs:
            self.clip = normaliser.clip_obs
            self.centre = torch.from_numpy(normaliser.obs_rms.mean).float()
            self.spread = torch.from_numpy(np.sqrt(normaliser.obs_rms.var + normaliser.epsilon)).float()
        self.binary = isinstance(model.action_space, spaces.MultiBinary)
        acts = model.action_space
        self.bounds = (torch.from_numpy(acts.low), torch.from_numpy(acts.high)) if isinstance(acts, spaces.Box) else None
        if self._kind() is None:
            raise InputError(
                f"{where}: expected a policy with an actor or with values of actions, got {type(self.policy).__name__}"
            )

    def _kind(self) -> str | None:
        return next((kind for kind in ("action_net", "q_net", "quantile_net", "actor") if hasattr(self.policy, kind)), None)

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        policy: Any = self.policy
        if self.clip is not None:
            obs = ((obs - self.centre) / self.spread).clamp(-self.clip, self.clip)
        match self._kind():
            case "q_net":
                found = policy.q_net(obs)
            case "quantile_net":
                found = policy.quantile_net(obs).mean(dim=1)
            case "actor" if hasattr(policy.actor, "latent_pi"):  # SAC, TQC
                found = torch.tanh(
                    policy.actor.mu(policy.actor.latent_pi(policy.actor.extract_features(obs, policy.actor.features_extractor)))
                )
            case "actor":  # TD3, DDPG: ends in tanh
                found = policy.actor(obs)
            case _:
                seen = policy.extract_features(obs)
                seen = seen if isinstance(seen, torch.Tensor) else seen[0]  # the actor's, where the critic has its own
                found = policy.action_net(policy.mlp_extractor.forward_actor(seen))
                found = torch.tanh(found) if policy.squash_output else found
        if self.binary:  # the logits of 0 and of 1 for every part
            return torch.stack([torch.zeros_like(found), found], dim=-1).flatten(1)
        if self.bounds is not None and policy.squash_output:
            low, high = self.bounds
            found = low + 0.5 * (found + 1.0) * (high - low)
        return found  # type: ignore[no-any-return]


def convert(path: Path, algorithm: str, out: Path, normaliser: Path | None = None) -> int:
    """Write the actor of a model as an ONNX file that computes the same; returns the env steps that trained it.

    `normaliser` is the file of its VecNormalize, whose statistics of observations become part of the ONNX file.

    Raises InputError for a model that cannot be converted, MissingExtra, and IntegrityError where the file computes something else.
    """
    for package in ("onnxruntime", "onnxscript"):
        require_extra(package, "sb3")
    model = load_sb3(path, algorithm, str(path))
    statistics = load_normaliser(normaliser, model.observation_space, str(path)) if normaliser is not None else None
    actor = Actor(model, str(path), statistics)
    rows = drawn(model.observation_space, OBSERVATIONS, np.random.default_rng(0)).astype(np.float32)
    with fresh_file(out) as temporary:
        write_onnx(actor, torch.from_numpy(rows[:2]), ["obs"], "mean" if actor.bounds else "logits", temporary)
        require_same(actor, model, rows, temporary, out, statistics)
    return int(model.num_timesteps)


def require_same(actor: Actor, model: Any, rows: Array, written: Path, out: Path, normaliser: Any = None) -> None:
    """Raise IntegrityError unless the file computes what the network does, and that is what the model does."""
    found = compute_onnx(written, {"obs": rows})
    with torch.no_grad():
        expected = actor(torch.from_numpy(rows)).numpy()
    apart = float(np.abs(found - expected).max() / max(1.0, np.abs(expected).max()))
    if not apart <= TOLERANCE:
        raise IntegrityError(
            f"{out}: expected what the model computes within {TOLERANCE:g} on {OBSERVATIONS} observations, got {apart:g} apart"
        )
    seen = rows if normaliser is None else normaliser.normalize_obs(rows)
    acts, space = model.predict(seen, deterministic=True)[0], model.action_space
    if isinstance(space, spaces.Box):
        alike = np.isclose(found.reshape(acts.shape).clip(space.low, space.high), acts, rtol=TOLERANCE, atol=TOLERANCE)
    else:
        sizes = [space.n] if isinstance(space, spaces.Discrete) else [2] * space.n if actor.binary else space.nvec.tolist()
        best = [part.argmax(axis=1) for part in np.split(found, np.cumsum(sizes)[:-1], axis=1)]
        alike = np.stack(best, axis=1) == acts.reshape(len(acts), -1)
    if alike.mean() < 0.99:  # two actions that are nearly as good may change places by rounding
        raise IntegrityError(
            f"{out}: expected the actions of the model, {np.mean(~alike):.1%} of {OBSERVATIONS} observations lead to others"
        )


if __name__ == "__main__":
    try:
        model, algorithm, out, *more = sys.argv[1:]
        print(convert(Path(model), algorithm, Path(out), *map(Path, more)))
    except HeadstartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
