"""A training run on disk: experts, clones, arms on their seeds, checkpoints and resuming."""
