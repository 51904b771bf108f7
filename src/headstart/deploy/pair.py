"""The two files of an exported policy, a model and the file beside it: checked before anything is computed, and written so that no model
ever lies without the file that belongs to it, also if the process is killed."""

import os
from pathlib import Path

from headstart.core.errors import InputError
from headstart.core.files import fresh_file


def require_target(out: Path, suffix: str, beside: Path) -> None:
    """InputError unless `out` and `beside` can be written: OUT ends in `suffix`, neither is a directory, and their folder takes files."""
    if out.suffix != suffix:
        raise InputError(f"{out}: expected the name of a file that ends in {suffix}")
    for path in (out, beside):
        if path.is_dir():
            raise InputError(f"{out}: expected to write {path}, which is a directory")
    folder = next(folder for folder in out.absolute().parents if folder.exists())
    if not folder.is_dir():
        raise InputError(f"{out}: expected a folder to write to, {folder} is a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{out}: expected a folder that can be written to, {folder} cannot")


def write_pair(out: Path, model: bytes, beside: Path, told: bytes | None) -> None:
    """Write the file `beside`, or remove it where `told` is None, and then the model. InputError where they cannot be written.

    Both are complete before an old one is touched. An old model goes first: beside the new file it would be misread.
    """
    try:
        with fresh_file(out) as new_model:
            new_model.write_bytes(model)
            if told is None:
                out.unlink(missing_ok=True)
                beside.unlink(missing_ok=True)
            else:
                with fresh_file(beside) as new_beside:
                    new_beside.write_bytes(told)
                    out.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{out}: expected a file that can be written: {error.strerror or error}") from None
