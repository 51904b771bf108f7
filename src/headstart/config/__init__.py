"""What a person writes: params.yaml, scenarios and schedules, as frozen models."""
