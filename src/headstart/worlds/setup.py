"""The `setup` section of a scenario file, checked against its world's model."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from headstart.core.errors import InputError

Setup = TypeVar("Setup", bound=BaseModel)


def read_setup(model: type[Setup], setup: Mapping[str, Any]) -> Setup:
    """Validate a scenario's setup; InputError names every wrong key."""
    try:
        return model.model_validate(dict(setup))
    except ValidationError as error:
        raise InputError("; ".join(_problem(item) for item in error.errors())) from error


def _problem(item: Any) -> str:
    where = ".".join(("setup", *map(str, item["loc"])))
    return f"{where}: {item['msg']}" + (f", got {item['input']!r:.60}" if item["loc"] else "")
