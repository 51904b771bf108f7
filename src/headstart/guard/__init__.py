"""Guardrails of a training run: the watched metrics, the decision after a breach, and the rehearsal of a schedule."""
