"""Drawing of a town: it reads the state and does not change it.

No hash covers this folder (`.dvcignore`, `worlds.source_sha256`, `worlds.jit`): a change of colour must not re-run the training.
"""
