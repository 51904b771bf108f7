"""The base class of all records, and the field types that several records share. JSON Schemas contain their constraints."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
# Stays inside a root: no leading slash, backslash, drive letter, control character, "." or ".." part.
_PART = r"\.{0,2}[^./\\:\x00-\x1f][^/\\:\x00-\x1f]*"
RelativePath = Annotated[
    str,
    StringConstraints(max_length=1024, pattern=rf"^(?:{_PART}/)*{_PART}$"),
]
RunId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
UtcTime = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Count = Annotated[int, Field(ge=0, le=2**53)]  # up to 2**53 every JSON reader represents integers exactly
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Arm = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class Record(BaseModel):
    """A frozen pydantic model that rejects unknown keys, NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True)
