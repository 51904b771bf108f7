"""The log of a run (`telemetry/2`): the kinds of record, the writer and the reader."""
