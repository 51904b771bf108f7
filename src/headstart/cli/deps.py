"""`headstart deps`: write into dvc.yaml which source files every stage imports, so that DVC runs a stage again for these and no others.

From it follows the pipeline of a project that `headstart init` makes: the same stages, run by the installed package, whose version is among
their params in place of its sources.
"""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.cli.output import Json, output
from headstart.core.errors import InputError, UsageError

if TYPE_CHECKING:
    from ruamel.yaml import YAML

PIPELINE = Path("dvc.yaml")
TEMPLATE = Path("src/headstart/cli/template/pipeline.yaml")  # dvc.yaml of a project that `headstart init` makes
STAGE = re.compile(r"\./stage ([a-z_]+)")
INSTALLED = "python -m headstart.stages."  # what such a project runs instead of ./stage
OWN = "src/headstart/"
VERSION = "settings.headstart"
SCENARIO = "SCENARIO"  # stands in TEMPLATE for the name of the scenario
ABOUT = """\
settings → source → expert → capture → curate → validate → bc_train → anneal → evaluate → report, with `baseline` beside anneal. `headstart init`
wrote this file. `params` are what a stage may read; the version of headstart is among them, so that another one runs every stage again.
"""


def deps(as_json: Json = False) -> None:
    """Write into dvc.yaml which source files every stage imports, and the pipeline that `init` copies: run it when an import has changed."""
    from headstart.core.files import read_bytes, write_bytes

    text = read_bytes(PIPELINE, 1 << 20).decode(errors="replace")
    if INSTALLED in text or not Path(OWN).is_dir():
        raise UsageError(
            f"{PIPELINE}: expected sources in {OWN}, there are none: stages run the installed package, whose version stands in for its sources"
        )
    deps = with_deps(text)
    done: dict[str, bool] = {}
    with output(as_json) as out:
        for path, wanted in ((PIPELINE, deps), (TEMPLATE, template_of(deps))):
            done[str(path)] = wanted != (path.read_text() if path.exists() else "")
            if done[str(path)]:
                write_bytes(path, wanted.encode())
            out.say(f"{path}: {'written' if done[str(path)] else 'as the imports are'}")
        out.found(written=done)


def with_deps(text: str) -> str:
    """The text of a pipeline in which the deps below src/headstart of every stage are what it imports; all else stays.

    Raises InputError for a pipeline that is not one, a stage that src/headstart/stages lacks, and a source file that Python cannot read.
    """
    from headstart.core.closure import closure, named, stage_modules

    yaml, pipeline = _read(text)
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
        now = [dep for dep in stage.get("deps", ()) if isinstance(dep, str) and dep.startswith(OWN) and not _is_page(Path(dep))]
        if now != sources:  # a list that is right keeps its comments
            stage["deps"] = sources + [dep for dep in stage.get("deps", ()) if dep not in now]
    return _text(yaml, pipeline)


def _is_page(path: Path) -> bool:
    """Whether it is a template, a style or a script, which no import shows."""
    return path.is_file() and path.suffix != ".py"


def template_of(text: str) -> str:
    """The pipeline of this repository as one of a project that has the package installed, and one scenario, which SCENARIO stands for."""
    from ruamel.yaml.comments import CommentedMap

    yaml, pipeline = _read(text)
    for stage in pipeline["stages"].values():
        stage["cmd"] = STAGE.sub(lambda found: INSTALLED + found[1], stage["cmd"])
        for dep in [dep for dep in stage["deps"] if dep.startswith("src/") or dep == "constraints.txt"]:
            stage["deps"].remove(dep)
        for keys in [keys for file in stage["params"] for keys in file.values() if keys is not None]:
            keys.insert(0, VERSION)
    promoted = {"path": f"models/{SCENARIO}/anneal/${{candidate}}", "type": "model"}
    pipeline["artifacts"] = CommentedMap({SCENARIO: CommentedMap(promoted)})
    pipeline.yaml_set_start_comment(ABOUT)
    return re.sub(r"(artifacts get \. )\w+", rf"\1{SCENARIO}", _text(yaml, pipeline))


def _read(text: str) -> tuple["YAML", Any]:
    """A reader that keeps comments, and the pipeline that it read. InputError for a text that is none."""
    from ruamel.yaml import YAML

    from headstart.core.yaml import parse_yaml

    parse_yaml(text.encode(), PIPELINE)
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    pipeline = yaml.load(text)
    if not isinstance(pipeline, dict) or not isinstance(pipeline.get("stages"), dict):
        raise InputError(f"{PIPELINE}: expected `stages:` at the top")
    return yaml, pipeline


def _text(yaml: "YAML", pipeline: Any) -> str:
    out = io.StringIO()
    yaml.dump(pipeline, out)
    return out.getvalue()
