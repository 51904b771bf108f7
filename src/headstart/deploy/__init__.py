"""A trained policy and its worlds for other programs: docs/api.md says which names are public."""
