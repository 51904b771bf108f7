"""Validate the content of a file as a frozen model. An error lists every problem: the place, what was expected, what was found."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from headstart.core.errors import InputError, nearest, printable, shown
from headstart.core.record import Record

R = TypeVar("R", bound=Record)
SAID = 10  # problems that an error lists


def checked(model: type[R], content: dict[str, Any], where: Path | str) -> R:
    """`content` as a model. InputError begins with `where`; for an unknown key it suggests the most similar known key."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors()
        within = {item["loc"][:n] for item in found for n in range(len(item["loc"]))}
        # pydantic says of a list with a wrong item also that it is too short
        found = [item for item in found if item["type"] != "too_short" or item["loc"] not in within]
        lines = [_problem(model, item) for item in found[:SAID]]
        more = f"; and {len(found) - SAID} more" if len(found) > SAID else ""
        raise InputError(f"{where}: " + "; ".join(lines) + more) from None


def _problem(model: type[Record], item: Any) -> str:
    """One validation problem as text: the place, what was expected, what was found."""
    where = printable(".".join(str(part) for part in item["loc"])[:200]).replace("\n", "\\n")
    if item["type"] == "extra_forbidden":
        siblings = _keys_at(model, item["loc"][:-1])
        return f"unknown key {where!r}{nearest(str(item['loc'][-1]), siblings)}"
    if item["type"] == "missing":
        return f"key {where!r} is missing"
    return f"{where or 'file'}: {item['msg']}" + (f", got {shown(item['input'])}" if where else "")


def _keys_at(model: type[Record], path: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at a path of a model. The path may lead through optional, tuple and dict fields."""
    here: Any = model
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = next((f for n, f in here.model_fields.items() if part in (n, f.alias)), None)
            here = field.annotation if field else None
        else:  # an item of tuple[X, ...] or dict[str, X]
            arguments = [a for a in getattr(here, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
            here = arguments[0] if arguments else None
    if isinstance(here, type) and issubclass(here, BaseModel):
        return [f.alias or n for n, f in here.model_fields.items()]
    return []


def merged(base: Any, changes: Any) -> Any:
    """`base`, overridden by `changes`: mappings are merged, lists and scalars are replaced."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}
