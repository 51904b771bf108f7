"""Basic modules that all other packages use: errors, files, JSON, records, verdicts, statistics."""
