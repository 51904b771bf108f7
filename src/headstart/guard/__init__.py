"""Guardrails of a training run: what is watched, what follows a breach, and the rehearsal of a schedule."""
