"""What an epoch of cloning says in telemetry, whether `bc_train` runs it or a schedule."""

from collections.abc import Sequence
from typing import Any

from headstart.learn.bc import Epoch


def epoch_fields(epoch: Epoch, actions: Sequence[str]) -> dict[str, Any]:
    """`bc_epoch`; `actions` names what the confusion matrix counts."""
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
