"""What is wrong with a log: one problem a place, with what was expected there and what was found."""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from headstart.core.errors import InputError, IntegrityError, printable, shown
from headstart.core.record import Record

Level = Literal["warning", "invalid", "integrity"]
CODES: dict[Level, int] = {"invalid": InputError.exit_code, "integrity": IntegrityError.exit_code}


class Problem(NamedTuple):
    """`invalid`: a record says what it may not; `integrity`: bytes are not those that were written."""

    level: Level
    file: str
    line: int  # from 1; of a JSON array, the item
    seq: int | None
    field: str  # empty: the record
    expected: str
    got: str

    @property
    def text(self) -> str:
        place = f"{self.file}, line {self.line}" + (f", seq {self.seq}" if self.seq is not None else "")
        of = f": {self.field}" if self.field else ""
        return printable(f"{place}{of}: expected {self.expected}, got {self.got}").replace("\n", "\\n")


class Place(NamedTuple):
    """Where a record stands."""

    file: str
    line: int
    seq: int | None = None

    @property
    def text(self) -> str:
        return f"{self.file}, line {self.line}"

    def problem(self, level: Level, field: str, expected: str, got: object) -> Problem:
        return Problem(level, *self, field, expected, str(got))


def fitted(model: type[Record], value: dict[str, Any], data: bytes, place: Place) -> tuple[Record | None, list[Problem]]:
    """A record of the model and its problems; fields that the model does not have are left out with a warning. `data` is `value` as JSON."""
    try:
        return model.model_validate_json(data, strict=True), []
    except ValidationError as error:
        found = list(_problems(error, place))
    unknown = [problem.field for problem in found if problem.level == "warning"]
    if len(unknown) < len(found):
        return None, found
    try:
        return model.model_validate({key: item for key, item in value.items() if key not in unknown}), found
    except ValidationError as error:  # an unknown field within a field
        return None, [problem._replace(level="invalid") for problem in found] + list(_problems(error, place))


def _problems(error: ValidationError, place: Place) -> Iterator[Problem]:
    for item in error.errors(include_url=False):
        field = ".".join(str(part) for part in item["loc"])
        match item["type"]:
            case "extra_forbidden":
                yield place.problem("warning", field, "a field that its kind has", shown(item["input"]))
            case "missing":
                yield place.problem("invalid", field, "this field", "none")
            case "value_error" if not field:
                yield place.problem(
                    "invalid", "", "null only where `nonfinite` names it", item["msg"].removeprefix("Value error, ")
                )
            case _:
                said = item["msg"].removeprefix("Input should be ")
                yield place.problem("invalid", field, said[:1].lower() + said[1:], shown(item["input"]))
