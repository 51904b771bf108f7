"""Batched simulators behind one contract (`api.py`). No files, no telemetry, no torch."""
