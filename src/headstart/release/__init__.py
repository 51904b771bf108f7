"""From a comparison to a policy in use: files in, decisions asked of `govern`, lines of the history out."""
