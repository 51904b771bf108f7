"""The log of a run (`telemetry/3`): the kinds of record, the writer and the reader."""
