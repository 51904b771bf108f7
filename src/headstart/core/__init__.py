"""The ground that every room stands on: errors, files, JSON, records, verdicts, statistics."""
