"""Demonstrations as data: the episodes file, quality, gates, the split, the manifest and the catalogue."""
