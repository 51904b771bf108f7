"""The command line: one file a group of commands. What a command needs is imported inside it, so that `--help` is quick."""
