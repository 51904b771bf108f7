"""Behaviour cloning (Pomerleau 1991): the policy imitates the expert, the critic learns its returns. `ppo.py` has the same structure.

fit
├── each epoch, each minibatch: cross-entropy with the expert's action, or squared distance to it, over rows with a choice;
│                               and squared error of the critic to the discounted returns
└── judge                       held-out episodes: accuracy and macro-F1, or explained variance; value fit
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.config.params import BCParams
from headstart.config.schedule import Ramp
from headstart.core.arrays import Array
from headstart.learn.advantage import explained_variance
from headstart.learn.compiled.layers import NEAR
from headstart.learn.compiled.losses import Coefficients
from headstart.learn.compiled.minibatches import Plan
from headstart.learn.demonstrations import Demonstrations
from headstart.learn.minibatches import Batch, learn
from headstart.learn.networks import ActorCritic, load_tensors, part, tensors
from headstart.learn.optimizer import Adam
from headstart.learn.policies import Categorical


@dataclass(frozen=True)
class Judgement:
    """How well a policy predicts the expert on B recorded steps, of which only those with a choice count."""

    steps: int  # B
    loss: float  # cross-entropy, nats; of continuous actions: squared distance
    accuracy: float  # share of actions equal to the expert's; if continuous: with every component within NEAR of it
    constant_accuracy: float  # of always choosing the expert's most frequent action; if continuous: its median
    value_mse: float  # NaN, as below: without recorded rewards
    value_explained_variance: float
    scores: "ActionScores | None"  # None for continuous actions
    fits: "tuple[Fit, ...]" = ()  # of each component of a continuous action


@dataclass(frozen=True)
class Fit:
    """How well the most likely action, clipped to ±1, predicts one component of the expert's continuous action."""

    deviation: float  # standard deviation of the expert's action
    rmse: float  # root of the mean squared error
    within: float  # share of steps with an error of at most NEAR
    constant_within: float  # of always choosing the expert's median


@dataclass(frozen=True)
class ActionScores:
    """The scores of each of K actions, from a confusion matrix."""

    confusion: Array  # [K, K] i64, expert's action × most likely action

    @property
    def count(self) -> Array:
        """[K], how often the expert chose each action."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def recall(self) -> Array:
        """[K], NaN for an action that the expert never chose."""
        return np.diag(self.confusion) / _or_nan(self.count)

    def least_recall(self, often: int = 200) -> float | None:
        """The lowest recall among actions that the expert chose at least `often` times; None if there is no such action."""
        return float(self.recall[self.count >= often].min()) if (self.count >= often).any() else None

    @property
    def f1(self) -> Array:
        """[K], harmonic mean of precision and recall; NaN for an action that neither the expert nor the policy chose."""
        return 2 * np.diag(self.confusion) / _or_nan(self.confusion.sum(axis=0) + self.count)

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the actions that the expert chose."""
        return float(self.f1[self.count > 0].mean())


@dataclass(frozen=True)
class Epoch:
    """One epoch of cloning."""

    number: int
    loss: float
    accuracy: float  # on the training rows, while training
    heldout: Judgement
    learning_rate: float
    samples: int
    stops: bool  # early


@dataclass
class Fitting:
    """A training between two epochs: everything on which its continuation depends."""

    network: ActorCritic
    optimizer: Adam
    generator: torch.Generator
    best: dict[str, torch.Tensor]  # the weights of the best epoch
    best_loss: float = math.inf  # held-out
    best_epoch: int = 0
    epoch: int = 0  # the last one

    def state(self) -> dict[str, Array]:
        """All of it as named arrays."""
        state = {f"network.{name}": np.array(value) for name, value in tensors(self.network).items()}
        state |= {f"best.{name}": value.detach().numpy().copy() for name, value in self.best.items()}
        state |= {f"optimizer.{name}": value for name, value in self.optimizer.state().items()}
        state["generator"] = self.generator.get_state().numpy()
        return state | {"best_loss": np.array(self.best_loss), "epochs": np.array([self.best_epoch, self.epoch])}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Stand where a training that was interrupted stood."""
        load_tensors(self.network, part(state, "network."))
        self.best = {name: torch.from_numpy(value) for name, value in part(state, "best.").items()}
        self.optimizer.restore(part(state, "optimizer."))
        self.generator.set_state(torch.from_numpy(np.array(state["generator"])))
        self.best_loss = float(state["best_loss"])
        self.best_epoch, self.epoch = state["epochs"].tolist()


def fitting_of(network: ActorCritic, train: Demonstrations, params: BCParams, device: torch.device | None = None) -> Fitting:
    """A training that has not begun; the normaliser is fitted to the training rows. `device`: as for Adam."""
    network.observe(train.obs)
    return Fitting(
        network,
        Adam(network, eps=1e-8, weight_decay=params.weight_decay, device=device),
        torch.Generator().manual_seed(params.seed),
        {name: value.clone() for name, value in network.state_dict().items()},
    )


def fit(fitting: Fitting, train: Demonstrations, heldout: Demonstrations, params: BCParams) -> Iterator[Epoch]:
    """Train epoch by epoch. At the end the network has the weights of the epoch with the lowest held-out loss.

    Of a Gaussian policy only the mean is trained; its deviation is set at the end.
    """
    network = fitting.network
    decay = Ramp.model_validate({"from": params.learning_rate, "to": 0})
    while fitting.epoch < params.epochs and (not fitting.epoch or fitting.epoch - fitting.best_epoch < params.patience):
        number = fitting.epoch + 1
        rate = decay.part((number - 1) / params.epochs, number / params.epochs)
        loss, accuracy = clone_epoch(
            network, fitting.optimizer, train, params.batch_size, rate, params.value_coef, fitting.generator
        )
        judged = judge(network, heldout)
        if judged.loss < fitting.best_loss:
            fitting.best_loss, fitting.best_epoch = judged.loss, number
            fitting.best = {name: value.clone() for name, value in network.state_dict().items()}
        fitting.epoch = number
        stops = number - fitting.best_epoch >= params.patience
        yield Epoch(number, loss, accuracy, judged, fitting.optimizer.learning_rate, len(train.label), stops)
    network.load_state_dict(fitting.best)
    network.set_std(params.action_std)


def clone_epoch(
    network: ActorCritic,
    optimizer: Adam,
    train: Demonstrations,
    batch_size: int,
    learning_rate: Ramp,
    value_coef: float,
    generator: torch.Generator,
) -> tuple[float, float]:
    """One pass over shuffled rows; the learning rate changes during the pass. Returns the mean loss and accuracy during training.

    A step with a gradient that is not finite is skipped, and the returned loss is NaN.
    """
    nothing = torch.zeros(len(train.label))
    batch = Batch(
        obs=network.normalised(train.obs),
        action=train.label,
        log_prob=nothing,
        advantage=nothing,
        returns=train.returns,
        value=nothing,
        has_choice=nothing,  # no rows for PPO
        label=train.label,
        imitated=train.has_choice,
    )
    plan = Plan(size=batch_size, coef=Coefficients(bc_weight=1.0, value_coef=value_coef if train.has_returns else 0.0))
    log = learn(network, optimizer, batch, None, plan, 1, learning_rate, generator)
    if not log["finite"].all():
        return math.nan, 0.0
    accuracy = float(log["accuracy"] @ log["labels"]) / max(1.0, float(log["labels"].sum()))
    return float(np.average(log["loss_bc"], weights=log["rows"])), min(accuracy, 1.0)  # sums of f32 round beyond 1


@torch.no_grad()
def judge(network: ActorCritic, data: Demonstrations, rows: int = 16_384) -> Judgement:
    """Predict recorded steps, `rows` at a time."""
    loss, right, value = 0.0, 0.0, []
    pairs: list[Array] = []
    means: list[Tensor] = []
    for index in torch.arange(len(data.label)).split(rows):
        batch = data.rows(index)
        policy = network.policy(batch.obs)
        loss += float(batch.has_choice @ policy.imitation_loss(batch.label))
        right += float((batch.has_choice * policy.agrees(batch.label)).sum())
        if isinstance(policy, Categorical):
            pairs.append(_pairs(policy, batch))
        else:
            means.append(policy.mode())
        value.append(network.value(batch.obs).numpy())
    decisions = max(1.0, float(data.has_choice.sum()))
    predicted, returns = np.concatenate(value), data.returns.numpy()
    return Judgement(
        len(returns),
        loss / decisions,
        right / decisions,
        _constant_accuracy(data),
        float(np.mean((predicted - returns) ** 2)) if data.has_returns else math.nan,
        explained_variance(predicted, returns) if data.has_returns else math.nan,
        ActionScores(np.sum(pairs, axis=0)) if pairs else None,
        fits_of(torch.cat(means), data.label) if means else (),
    )


def fits_of(mean: Tensor, label: Tensor) -> tuple[Fit, ...]:
    """Of each component: the policy's most likely actions and the expert's, both [B, D]."""
    error = (mean.clamp(-1.0, 1.0) - label).double()
    columns = (
        label.double().std(dim=0, correction=0),
        error.square().mean(dim=0).sqrt(),
        (error.abs() <= NEAR).double().mean(dim=0),
        ((label - label.median(dim=0).values).abs() <= NEAR).double().mean(dim=0),
    )
    return tuple(Fit(*of) for of in zip(*(column.tolist() for column in columns), strict=True))


def _pairs(policy: Categorical, batch: Demonstrations) -> Array:
    """[K, K] counts: the expert's action × the policy's most likely action, over rows with a choice."""
    actions = policy.log_policy.shape[1]
    pairs = (batch.label * actions + policy.mode())[batch.has_choice > 0]
    return np.asarray(torch.bincount(pairs, minlength=actions * actions).reshape(actions, actions).numpy())


def _constant_accuracy(data: Demonstrations) -> float:
    labels = data.label[data.has_choice > 0]
    if len(labels) == 0:
        return 0.0
    if labels.ndim == 1:
        return float(torch.bincount(labels).max() / len(labels))
    return float(((labels - labels.median(dim=0).values).abs() <= NEAR).all(dim=-1).float().mean())


def _or_nan(count: Array) -> Array:
    return np.where(count > 0, count, np.nan)


def epoch_fields(epoch: Epoch, actions: Sequence[str]) -> dict[str, Any]:
    """The fields of `bc_epoch` in telemetry; `actions` names the rows of the confusion matrix."""
    judged, scores = epoch.heldout, epoch.heldout.scores
    behaviours = zip(actions, scores.count, scores.recall, strict=True) if scores else ()
    return {
        "bc_epoch": epoch.number,
        "loss": epoch.loss,
        "loss_heldout": judged.loss,
        "accuracy": epoch.accuracy,
        "accuracy_heldout": judged.accuracy,
        "macro_f1": scores.macro_f1 if scores else None,
        "majority_baseline": judged.constant_accuracy,
        "per_behaviour": {name: {"n": int(n), "recall": float(r)} for name, n, r in behaviours if n},
        "value_mse": judged.value_mse,
        "value_explained_variance": judged.value_explained_variance,
        "learning_rate": epoch.learning_rate,
        "samples": epoch.samples,
        "early_stopped": epoch.stops,
    }
