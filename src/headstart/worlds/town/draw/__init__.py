"""A town for eyes: it reads the state and decides nothing.

No hash covers this folder (`.dvcignore`, `worlds.source_sha256`, `worlds.jit`): a change of colour must not run the training again.
"""
