"""The check of an untrusted parquet or arrow file before its rows are read: a run of equal values takes a few bytes, and any number of rows."""

from pathlib import Path
from typing import Any

from headstart.core.errors import InputError, MissingExtra
from headstart.core.files import require_plain
from headstart.dataset.hdf5_guard import require_unpacked

VALUE_BYTES = 8
MAX_COLUMNS = 10_000


def require_declared(path: Path) -> None:
    """InputError for a file that cannot be read, or whose columns take more memory than a file of its size may ask for."""
    _, parquet = package()
    try:
        require_plain(path)
        with parquet.ParquetFile(path) as file:
            about = file.metadata
            groups, columns, rows = about.num_row_groups, about.num_columns, about.num_rows
            if columns > MAX_COLUMNS or groups > MAX_COLUMNS or rows < 0:
                raise InputError(f"{path}: expected at most {MAX_COLUMNS} columns and row groups, got {columns} and {groups}")
    except InputError:
        raise
    except Exception as error:  # whatever the package raises for a damaged file
        raise InputError(f"{path}: expected a parquet file that is neither damaged nor truncated: {error!s:.200}") from None
    require_unpacked(path, rows * columns * VALUE_BYTES)  # by rows: pyarrow ends the process where it tells a damaged column


def package() -> tuple[Any, Any]:
    """pyarrow and its parquet module; MissingExtra without it."""
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError:
        raise MissingExtra("the format lerobot needs pyarrow: `pip install 'headstart[lerobot]'`") from None
    return pyarrow, parquet
