"""The files that a user writes, as frozen models: params.yaml, scenarios and schedules."""
