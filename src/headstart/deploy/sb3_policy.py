"""A policy as a model of Stable-Baselines3: PPO with MlpPolicy or MultiInputPolicy, or sb3-contrib's MaskablePPO with masks.

SB3's own code builds the model; the layers are ours. A normaliser becomes a VecNormalize beside the model, with the same clip. SB3 has none
for features of 0 and 1 (Discrete, MultiDiscrete, MultiBinary): theirs is folded into the first layer, which is exact for two values. Means,
which the network gives within −1 … 1, are stretched to the bounds of the actions by the last layer.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import Space, spaces
from torch import nn

from headstart.core.errors import InputError, IntegrityError
from headstart.core.extras import require_extra
from headstart.deploy.pair import require_target, write_pair
from headstart.deploy.policy import Policy
from headstart.deploy.samples import OBSERVATIONS, is_masked, observations, output_of, worse
from headstart.learn.compiled.layers import LOG_STD_RANGE
from headstart.learn.networks import STILL, Normaliser
from headstart.runs.onnx_file import TOLERANCE
from headstart.worlds.gym_parts import size_of

CLIP, EPSILON = 6.0, 1e-8  # of our normaliser


class Stub(gym.Env[Any, Any]):
    """Spaces without an environment: SB3 asks for one."""

    def __init__(self, observed: Space[Any], acting: Space[Any]) -> None:
        self.observation_space, self.action_space = observed, acting


def normaliser_path(out: Path) -> Path:
    return out.with_suffix(".vecnormalize.pkl")


def export_sb3(policy: Policy, out: Path, masks: bool = False) -> bool:
    """Write the model to OUT.zip and, if the policy normalises numbers, its VecNormalize beside it; returns whether it does.

    `masks`: the model takes masks, also of an environment of a user's own.
    Raises as `require_sb3`, and IntegrityError if the model acts otherwise on OBSERVATIONS observations; nothing is then written.
    """
    require_sb3(policy, out, masks)
    masked = is_masked(policy, masks)
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    algorithm: Any = PPO
    if masked:
        from sb3_contrib import MaskablePPO

        algorithm = MaskablePPO
    observed = expressible(policy)
    stub = DummyVecEnv([lambda: Stub(observed, policy.action_space)])
    actor = policy.network.actor
    shape = {
        "net_arch": [int(layer.out_features) for layer in _linear(actor)[:-1]],
        "activation_fn": nn.ReLU if any(isinstance(layer, nn.ReLU) for layer in actor) else nn.Tanh,
    }
    kind = "MultiInputPolicy" if isinstance(observed, spaces.Dict) else "MlpPolicy"
    model = algorithm(kind, stub, device="cpu", policy_kwargs=shape)
    statistics = None if policy.network.normaliser is None else _vec_normalize(policy.network.normaliser, observed, stub)
    _fill(model.policy, policy, observed)
    model.num_timesteps = policy.card.env_steps
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    require_same(policy, algorithm.load(file, device="cpu"), statistics, out, masked)
    write_pair(out, file.getvalue(), normaliser_path(out), None if statistics is None else pickle.dumps(statistics))
    return statistics is not None


def require_sb3(policy: Policy, out: Path, masks: bool = False) -> None:
    """InputError for a target that cannot be written and for what SB3 cannot express; MissingExtra without a package."""
    require_target(out, ".zip", out.parent / f"{out.stem}.vecnormalize.pkl")
    expressible(policy)
    for package in ("stable_baselines3", *(["sb3_contrib"] if is_masked(policy, masks) else [])):
        require_extra(package, "sb3")


def expressible(policy: Policy) -> Space[Any]:
    """The observation space of the model, of a town or a robot that of the features alone; InputError for what SB3 has no words for."""
    observed, acting = policy.observation_space, policy.action_space
    if policy.network.encoder is not None:
        raise InputError("--sb3: expected a policy of numbers, this one sees a picture or a map, which SB3 encodes otherwise")
    if policy.card.spaces is None:
        assert isinstance(observed, spaces.Dict)
        observed = observed["features"]
    if isinstance(acting, spaces.MultiDiscrete | spaces.MultiBinary):
        raise InputError(f"--sb3: the policy chooses among joint actions of {acting}, SB3 chooses each part by itself")
    if isinstance(acting, spaces.Box) and acting.dtype is not None and acting.dtype.kind != "f":
        raise InputError(f"--sb3: SB3 has no whole numbers as actions, got {acting}")
    parts = {"the observation": observed} if not isinstance(observed, spaces.Dict) else dict(observed.spaces)
    for name, part in {**parts, "the action": acting}.items():
        wrong = {
            "is none of Box, Discrete, MultiDiscrete and MultiBinary": not isinstance(
                part, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
            ),
            "does not begin at 0": np.any(getattr(part, "start", 0) != 0),
            "has the shape of a picture": isinstance(part, spaces.Box) and part.dtype == np.uint8 and len(part.shape) == 3,
            "is a single number": isinstance(part, spaces.Box) and not part.shape,
            "has parts in rows": isinstance(part, spaces.MultiDiscrete) and len(part.shape) != 1,
            "has a dot in its name": "." in name,
        }
        if said := [what for what, is_so in wrong.items() if is_so]:
            raise InputError(f"--sb3: expected what Stable-Baselines3 takes, {name} {said[0]}: {part}")
    return observed


def require_same(policy: Policy, model: Any, statistics: Any, out: Path, masked: bool) -> None:
    """IntegrityError unless the model acts as the policy does; choices may differ only where two are equally good but for rounding."""
    obs, masks = observations(policy, OBSERVATIONS, masked)
    given = obs["features"] if policy.card.spaces is None else obs
    told = {} if masks is None else {"action_masks": masks}
    found, _ = model.predict(given if statistics is None else statistics.normalize_obs(given), deterministic=True, **told)
    rows, _ = policy.rows.rows(obs, masks)
    if isinstance(policy.action_space, spaces.Box):
        expected = policy.predict(obs)[0]
        span = policy.action_space.high.astype(np.float64) - policy.action_space.low
        wrong = (np.abs(found - expected) > TOLERANCE * np.maximum(span, 1e-9)).reshape(len(found), -1).any(axis=1)
    else:
        wrong = worse(np.where(rows["mask"] != 0, output_of(policy, rows), -np.inf), found)
    if wrong.any():
        raise IntegrityError(
            f"{out}: expected the actions of the policy, got others in {int(wrong.sum())} of {len(wrong)} observations"
        )


def _vec_normalize(normaliser: Normaliser, observed: Space[Any], stub: Any) -> Any:
    """The VecNormalize that does what the normaliser does to numbers; None where there are none."""
    from stable_baselines3.common.vec_env import VecNormalize

    boxes = {name: columns for name, part, columns in _parts(observed) if isinstance(part, spaces.Box)}
    if not boxes:
        return None
    keys = list(boxes) if isinstance(observed, spaces.Dict) else None
    found = VecNormalize(
        stub,
        training=False,
        norm_reward=False,
        clip_obs=CLIP,
        epsilon=EPSILON,
        norm_obs_keys=keys,
    )
    mean, variance = normaliser.mean.numpy(), normaliser.variance.numpy()
    variance = np.where(variance < STILL, 1.0 - EPSILON, variance)
    for name, columns in boxes.items():
        moments: Any = found.obs_rms if keys is None else found.obs_rms[name]
        moments.mean, moments.var = mean[columns].reshape(moments.mean.shape), variance[columns].reshape(moments.var.shape)
        moments.count = float(normaliser.count)
    return found


def _parts(observed: Space[Any]) -> list[tuple[str, Space[Any], slice]]:
    """Name, space and columns of every part."""
    parts = observed.spaces.items() if isinstance(observed, spaces.Dict) else [("", observed)]
    found, at = [], 0
    for name, part in parts:
        found.append((name, part, slice(at, at + size_of(part))))
        at += size_of(part)
    return found


@torch.no_grad()
def _fill(theirs: Any, policy: Policy, observed: Space[Any]) -> None:
    """Put our weights into the policy of a model."""
    network = policy.network
    actor, critic = _copied(network.actor), _copied(network.critic)
    if network.normaliser is not None:
        features = len(network.normaliser.mean)
        at_0, at_1 = network.normaliser(torch.zeros(1, features))[0], network.normaliser(torch.ones(1, features))[0]
        for _, part, columns in _parts(observed):
            if not isinstance(part, spaces.Box):
                for weight, bias in (actor[0], critic[0]):
                    bias += weight[:, columns] @ at_0[columns]
                    weight[:, columns] *= (at_1 - at_0)[columns]
    if isinstance(policy.action_space, spaces.Box):
        low, high = (
            torch.from_numpy(side.astype(np.float64).ravel()) for side in (policy.action_space.low, policy.action_space.high)
        )
        half, middle = ((high - low) / 2).float(), ((high + low) / 2).float()
        weight, bias = actor[-1]
        weight *= half[:, None]
        bias.mul_(half).add_(middle)
        assert network.log_std is not None
        theirs.log_std.copy_(network.log_std.clamp(*LOG_STD_RANGE) + half.clamp_min(1e-12).log())
    for ours, layers in (
        (actor, [*_linear(theirs.mlp_extractor.policy_net), theirs.action_net]),
        (critic, [*_linear(theirs.mlp_extractor.value_net), theirs.value_net]),
    ):
        for (weight, bias), layer in zip(ours, layers, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)


def _linear(layers: Any) -> list[nn.Linear]:
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def _copied(layers: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(layer.weight.detach().clone(), layer.bias.detach().clone()) for layer in _linear(layers)]
