"""`headstart deps`: write into dvc.yaml which source files every stage imports, so that DVC runs a stage again for these and no others."""

import io
import re
from pathlib import Path

import typer

from headstart.core.errors import InputError

PIPELINE = Path("dvc.yaml")
STAGE = re.compile(r"\./stage ([a-z_]+)")
OWN = "src/headstart/"


def deps() -> None:
    """Write into dvc.yaml which source files every stage imports: run it when an import has changed."""
    from headstart.core.files import read_bytes, write_bytes

    text = read_bytes(PIPELINE, 1 << 20).decode(errors="replace")
    written = with_deps(text)
    if written == text:
        typer.echo(f"{PIPELINE}: every stage names what it imports")
        return
    write_bytes(PIPELINE, written.encode())
    typer.echo(f"{PIPELINE}: written")


def with_deps(text: str) -> str:
    """The text of a pipeline in which the deps below src/headstart of every stage are what it imports; all else stays.

    Raises InputError for a pipeline that is not one, a stage that src/headstart/stages lacks, and a source file that Python cannot read.
    """
    from ruamel.yaml import YAML

    from headstart.core.closure import closure, named, stage_modules
    from headstart.core.yaml import parse_yaml

    parse_yaml(text.encode(), PIPELINE)
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline = yaml.load(text)
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("stages"), dict):
        raise InputError(f"{PIPELINE}: expected `stages:` at the top")
    for name, entry in pipeline["stages"].items():
        stage = entry.get("do", entry)  # of a `foreach`
        found = STAGE.search(str(stage.get("cmd", "")))
        if found is None:
            continue
        module = f"headstart.stages.{found[1]}"
        if module not in stage_modules():
            known = ", ".join(one.rpartition(".")[2] for one in stage_modules())
            raise InputError(f"{PIPELINE}: {name}: expected one of the stages {known}, got {found[1]}")
        try:
            sources = [f"src/{path}" for path in named(closure([module]))]
        except SyntaxError as error:
            raise InputError(f"{error.filename or module}: expected Python, line {error.lineno}: {error.msg}") from None
        now = [dep for dep in stage.get("deps", ()) if isinstance(dep, str) and dep.startswith(OWN)]
        if now != sources:  # a list that is right keeps its comments
            stage["deps"] = sources + [dep for dep in stage.get("deps", ()) if dep not in now]
    out = io.StringIO()
    yaml.dump(pipeline, out)
    return out.getvalue()
