"""Two directories of one file system change names in one step, so that a reader or a crash finds either both old or both new."""

import ctypes
import errno
import os
import secrets
import sys
from pathlib import Path

_HERE, _EXCHANGE, _SWAP = -100, 2, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)  # an older kernel, or a file system without it, such as NFS


def exchange(one: Path, other: Path) -> None:
    """Exchange two directories.

    Where the system cannot do that, three renames do; a process that is killed between them leaves none at `other`, and both as hidden
    siblings of it. Raises OSError, with both as they were.
    """
    if _atomically(os.fsencode(one), os.fsencode(other)):
        return
    aside = other.with_name(f".{other.name}.tmp-{secrets.token_hex(6)}")
    os.rename(other, aside)
    try:
        os.rename(one, other)
    except BaseException:
        os.rename(aside, other)
        raise
    os.rename(aside, one)


def _atomically(one: bytes, other: bytes) -> bool:
    """Whether the kernel exchanged them; False where it does not know how."""
    library = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "darwin":
        failed = library.renamex_np(one, other, _SWAP)
    elif hasattr(library, "renameat2"):
        failed = library.renameat2(_HERE, one, _HERE, other, _EXCHANGE)
    else:
        return False
    if not failed:
        return True
    if (number := ctypes.get_errno()) in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), os.fsdecode(other))
