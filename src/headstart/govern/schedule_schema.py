"""The JSON Schema of `anneal-schedule/1`, for editors and for whoever writes schedules by program.

`python -m headstart.govern.schedule_schema > docs/anneal-schedule.v1.json` rewrites the committed copy; a test compares the bytes.
"""

from typing import Any

from headstart.records.strict_json import pretty_json
from headstart.schedule import Arm


def schedule_schema() -> dict[str, Any]:
    """Draft 2020-12, of a file: `schema` has to be there, and a ramp may be a plain number."""
    schema = Arm.model_json_schema(by_alias=True)
    ramp = schema["$defs"]["Ramp"]
    schema["$defs"]["Ramp"] = {"anyOf": [{"type": "number"}, ramp], "description": ramp.pop("description")}
    schema["required"] = ["schema", *schema["required"]]
    return schema | {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:headstart:anneal-schedule/1"}


if __name__ == "__main__":
    print(pretty_json(schedule_schema()).decode(), end="")
