"""The base class of all records, and the field types that several records share. JSON Schemas contain their constraints."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from headstart.core.errors import InputError, shown

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
NAME_RULE = "1 to 64 letters from a to z, digits, _ and -, of which the first is a letter or a digit"
# Characters that steer a terminal, are not seen, or change the order of others. Written out: Python, Rust and ECMAScript spell them differently.
_UNSEEN = "\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
# Stays inside a root: no leading slash, backslash, drive letter, unseen character, "." or ".." part.
_PART = rf"\.{{0,2}}[^./\\:{_UNSEEN}][^/\\:{_UNSEEN}]*"
PATH = rf"^(?:{_PART}/)*{_PART}$"


def require_name(text: str, where: str, cure: str = "") -> None:
    """InputError, which begins with `where`, unless a text can be the name of a scenario, an arm, a target or a run."""
    if not re.fullmatch(NAME, text):
        raise InputError(f"{where}: expected a name of {NAME_RULE}, got {shown(text)}{cure}")


def _is_name(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(NAME, value):
        raise ValueError(f"expected a name of {NAME_RULE}")
    return value


def _is_path(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(PATH, value):
        raise ValueError(
            "expected a path inside its folder: relative, without . and .. as parts, colons, backslashes and unseen characters"
        )
    return value


def _printable(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("expected one line of printable text")
    return text


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# what a user gives a name: a scenario, an arm, a target, a variant, a phase; it becomes part of paths, commands and tags
GivenName = Annotated[str, BeforeValidator(_is_name), StringConstraints(pattern=NAME)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$")]  # also several given names, joined
RelativePath = Annotated[str, BeforeValidator(_is_path), StringConstraints(max_length=1024, pattern=PATH)]
RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,255}$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]  # that a person wrote
UtcTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Count = Annotated[int, Field(ge=0, le=2**53)]  # up to 2**53 every JSON reader represents integers exactly
Positive = Annotated[int, Field(ge=1, le=2**53)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Arm = GivenName


class Record(BaseModel):
    """A frozen pydantic model that rejects unknown keys, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True)
