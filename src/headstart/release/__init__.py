"""From a comparison to a policy in use: verdicts, the history, promotion, rollback and verification."""
