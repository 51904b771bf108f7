"""The position of a run in its schedule. The trainer advances the position; guardrails and rehearsals read it."""

from dataclasses import dataclass, replace
from typing import Self

from headstart.config.schedule import Phase


@dataclass(frozen=True)
class Position:
    """The phase, and the steps and retries used. A rollback stays within its phase and resets `epochs` only: used steps stay charged."""

    phase: int = 0  # index
    begun: bool = False  # whether the phase has been announced
    epochs: int = 0  # done, of a phase in epochs
    # what was used; a rollback does not reset it
    env_steps: int = 0
    phase_from: int = 0  # env steps when the phase began
    attempt_from: int = 0  # env steps when this attempt at the phase began
    attempt: int = 0  # at this phase; 0 is the first, and every rollback adds one
    updates: int = 0
    evaluated: int = -1  # env steps at the last evaluation

    def begin_phase(self) -> Self:
        """The position at the beginning of the phase, with all of its steps and retries left."""
        return replace(self, begun=True, epochs=0, phase_from=self.env_steps, attempt_from=self.env_steps, attempt=0)

    def end_phase(self) -> Self:
        """The position before the beginning of the next phase."""
        return replace(self, phase=self.phase + 1, begun=False)

    def begin_retry(self) -> Self:
        """The position at the beginning of another attempt at the phase, over the env steps that are left of it."""
        return replace(self, attempt=self.attempt + 1, attempt_from=self.env_steps)

    def steps_left(self, phase: Phase) -> int:
        """Env steps that the phase may still use. Those of abandoned attempts are already subtracted."""
        return max(self.phase_from + phase.steps - self.env_steps, 0)

    def progress(self, phase: Phase) -> float:
        """Progress of the ramps of the phase, 0 … 1. A retry begins at `from` again and reaches `to` with the last step that it may use."""
        if phase.in_epochs:
            return self.epochs / phase.length
        span = self.phase_from + phase.steps - self.attempt_from
        return (self.env_steps - self.attempt_from) / span if span > 0 else 1.0

    def learning_rate_factor(self, phase: Phase) -> float:
        """The factor of the learning rate after the retries so far."""
        return phase.on_breach.lr_factor**self.attempt

    def kl_factor(self, phase: Phase) -> float:
        """The factor of the KL weight after the retries so far."""
        return phase.on_breach.kl_factor**self.attempt
