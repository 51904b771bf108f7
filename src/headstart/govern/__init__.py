"""Pure decisions: facts in, Verdict out. No files, no torch, no clock."""
