"""The whole state of a trainer on disk, and back."""

from pathlib import Path

from headstart.core.errors import IntegrityError
from headstart.learn.anneal import Trainer
from headstart.learn.state import restore, state_of, state_sha256
from headstart.runs.states import KeptState, load_state, save_state


def keep(work: Path, name: str, trainer: Trainer) -> KeptState:
    """Put the whole state on disk."""
    state = state_of(trainer)
    save_state(work, name, state)
    return KeptState(id=name, sha256=state_sha256(state), env_steps=trainer.at.env_steps)


def go_on(work: Path, kept: KeptState, trainer: Trainer) -> None:
    """Stand where an interrupted run stood; IntegrityError if the state is not the one that was kept."""
    restore(trainer, load_state(work, kept.id), charged=True)
    if (found := state_sha256(state_of(trainer))) != kept.sha256:
        raise IntegrityError(f"{work}: state {kept.id}: expected hash {kept.sha256}, found {found}")
