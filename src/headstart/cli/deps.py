"""`headstart deps`: write into dvc.yaml which source files every stage imports, so that DVC runs a stage again for these and no others."""

import io
import re
from pathlib import Path

import typer

PIPELINE = Path("dvc.yaml")
STAGE = re.compile(r"\./stage ([a-z_]+)")


def deps() -> None:
    """Write into dvc.yaml which source files every stage imports: run it when an import has changed."""
    from headstart.core.files import write_bytes

    text = PIPELINE.read_text()
    written = with_deps(text)
    if written == text:
        typer.echo(f"{PIPELINE}: every stage names what it imports")
        return
    write_bytes(PIPELINE, written.encode())
    typer.echo(f"{PIPELINE}: written")


def with_deps(text: str) -> str:
    """The text of a pipeline in which the deps below src/ of every stage are what it imports; all else stays."""
    from ruamel.yaml import YAML

    from headstart.core.closure import closure, named

    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline = yaml.load(text)
    for stage in pipeline["stages"].values():
        found = STAGE.match(stage["cmd"])
        if found is not None:
            sources = [f"src/{name}" for name in named(closure([f"headstart.stages.{found[1]}"]))]
            stage["deps"][:] = sources + [dep for dep in stage["deps"] if not dep.startswith("src/")]
    out = io.StringIO()
    yaml.dump(pipeline, out)
    return out.getvalue()
