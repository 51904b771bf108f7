"""Datasets of demonstrations: the episodes file, curation, gates, the split, the manifest and the catalogue."""
