"""A remote of DVC that is a folder, as on a shared disk: it may not be on this machine."""

from pathlib import Path


def away(url: str) -> str:
    """Why a remote at this address holds nothing for this machine, and what sets another; empty: its folder is here, or it is no folder."""
    if "://" in url or Path(url).is_dir():
        return ""
    return f"the folder {url} is not on this machine; `headstart remote use` sets a remote that is"
