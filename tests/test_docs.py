"""The pages for users say what the code says, and the commands in them work."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from tests.released import Project
from typer.main import get_command

from headstart.cli import main as cli
from headstart.config.params import BCParams, ComparisonRules, PromotionParams, ValidateParams, for_scenario, load_params
from headstart.config.scenario import Scenario
from headstart.config.schedule import Arm, Limits, OnBreach, Phase, PPOParams, Ramp
from headstart.core import errors
from headstart.core.files import read_record
from headstart.guard.guardrails import GUARDRAILS, limit_text
from headstart.runs.experiment import ExperimentRecord
from headstart.view.comparison import printed

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ANNEAL, LOOK, OPERATIONS = ((DOCS / f"{page}.md").read_text() for page in ("anneal", "look", "operations"))
RELEASES = re.split(r"^## ", OPERATIONS.split("\n## Releases\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
PAGES = {path.stem: path.read_text() for path in (ROOT / "README.md", *sorted(DOCS.glob("*.md")))}
README = (ROOT / "README.md").read_text()
RAMPS_TO_1 = ("learning_rate", "entropy_coef", "expert_share", "bc_weight", "replay_share")
SECTIONS: dict[str, type[BaseModel]] = {
    "An arm": Arm,
    "A phase": Phase,
    "A ramp": Ramp,
    "PPO": PPOParams,
    "A guardrail's limits": Limits,
    "After a breach": OnBreach,
}


def test_there_are_ten_pages_at_most_and_each_says_for_whom_it_is() -> None:
    pages = sorted(DOCS.glob("*.md"))
    assert len(pages) <= 10
    for page in pages:
        assert re.match(r"# .+\n\nFor ", page.read_text()), page


def tables(text: str, under: str) -> list[list[str]]:
    """The cells of the rows below a heading, without the table's head."""
    section = re.split(r"^#+ ", text.split(f"# {under}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


BEYOND = 10_000  # a limit that no schedule meets is in the JSON Schema only


def kind_of(name: str, field: FieldInfo) -> str:
    """What a field takes, in the words of the page."""
    kind, marks = _word(field.annotation), [*field.metadata, *marks_of(field.annotation)]
    bounds = {type(mark).__name__: next(iter(vars_of(mark).values())) for mark in marks if type(mark).__slots__}
    low = f"≥ {bounds['Ge']:g}" if "Ge" in bounds else f"> {bounds['Gt']:g}" if "Gt" in bounds else ""
    high = f"≤ {bounds['Le']:g}" if bounds.get("Le", BEYOND) < BEYOND else ""
    if field.annotation is Ramp:
        low, high = "≥ 0", "≤ 1" if name in RAMPS_TO_1 else ""
    return ", ".join(part for part in (kind, low, high) if part)


def marks_of(annotation: Any) -> list[Any]:
    """The bounds in a type that may be absent: Annotated[int, Field(ge=1)] | None."""
    if get_origin(annotation) is Annotated:
        return [mark for info in annotation.__metadata__ for mark in info.metadata]
    return (
        [mark for part in get_args(annotation) for mark in marks_of(part)] if get_origin(annotation) in (Union, UnionType) else []
    )


def vars_of(mark: Any) -> dict[str, Any]:
    return {name: getattr(mark, name) for name in type(mark).__slots__}


def _word(annotation: Any) -> str:
    if get_origin(annotation) in (Union, UnionType):
        return _word(next(part for part in get_args(annotation) if part is not NoneType))
    if get_origin(annotation) is Annotated:
        return _word(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is dict:
        return f"name → {_word(get_args(annotation)[1])}"
    if get_origin(annotation) is tuple:
        return f"list of {_word(get_args(annotation)[0])}"
    words = {int: "whole number", float: "number", bool: "true, false", str: "text", Ramp: "number or ramp"}
    words |= {PPOParams: "section", OnBreach: "section", Phase: "phases", Limits: "limits"}
    return words.get(annotation, annotation.__name__)


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Ramp):
        return f"{value.from_:g}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        return "as below"
    return "–" if value is None or value == {} else f"{value:g}" if isinstance(value, (int, float)) else str(value)


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_field_of_a_schedule_stands_there_with_its_type_range_and_default(heading: str) -> None:
    fields = SECTIONS[heading].model_fields
    expected = [[f"`{f.alias or name}`", kind_of(name, f), default_of(f)] for name, f in fields.items()]
    assert [row[:3] for row in tables(ANNEAL, heading)] == expected
    assert all(len(row) == 4 and row[3] for row in tables(ANNEAL, heading))


@pytest.mark.parametrize("name", [*RAMPS_TO_1, "kl_weight"])
def test_the_ranges_of_ramps_are_those_that_the_page_says(name: str) -> None:
    phase = {"name": "tune", "kind": "ppo", "env_steps": 1, "learning_rate": 0.1}
    with pytest.raises(ValidationError, match="cannot be negative"):
        Phase.model_validate(phase | {name: -0.1})
    if name == "kl_weight":
        assert Phase.model_validate(phase | {name: 7}).kl_weight.highest == 7
    else:
        with pytest.raises(ValidationError, match="at most 1"):
            Phase.model_validate(phase | {name: 1.1})


def test_every_guardrail_stands_there_with_its_limits() -> None:
    expected = []
    for rule in GUARDRAILS.values():
        beside = f" and {rule.beside[0]} > {rule.beside[1]:g}" if rule.beside else ""
        hits = f", {rule.hits} in a row" if rule.hits > 1 else ""
        breach = "–" if rule.breach is None else f"{limit_text(rule, rule.breach)}{beside}{hits}"
        decision = "–" if rule.breach is None else rule.decision
        expected.append([f"`{rule.name}`", f"`{rule.metric}`", rule.on, limit_text(rule, rule.flag), breach, decision])
    assert tables(ANNEAL, "Guardrails") == expected


def commands(text: str) -> Iterator[list[str]]:
    """`headstart …` in blocks of code, without what a comment says."""
    for block in re.findall(r"(?:^ {4,}.*\n)+", text, flags=re.MULTILINE):
        for line in block.splitlines():
            if line.strip().startswith("headstart "):
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_is_one_that_the_program_takes(page: str) -> None:
    for arguments in commands(PAGES[page]):
        if arguments[0] in ("--quiet", "--install-completion"):
            del arguments[0]
        command: Any = get_command(cli.app) if arguments else None
        while hasattr(command, "commands"):
            command = command.commands[arguments.pop(0) if arguments[0] in command.commands else "judge"]  # `expert SCENARIO`
        if command is None:
            continue
        command.make_context("headstart", arguments)  # raises where an argument or an option is wrong


def test_every_threshold_stands_there_with_its_default() -> None:
    """All rules of `validate`, `comparison` and `promotion`, and the limits of a clone, as params.yaml has them."""
    params = load_params(ROOT / "params.yaml")
    of_clones = [name for name in BCParams.model_fields if name.startswith(("min_", "max_")) or name == "success_margin"]
    planned = ("planned_ratio", "planned_log_sd")
    rules = [name for name in ComparisonRules.model_fields if name not in planned]
    keys = {"validate": ValidateParams.model_fields, "bc_train": of_clones, "comparison": rules}
    keys["promotion"] = PromotionParams.model_fields
    expected = [
        [f"`{part}.{key}`", f"{value:g}" if (value := params.model_dump(by_alias=True)[part][key]) else "none"]
        for part, names in keys.items()
        for key in names
    ]
    assert [row[:2] for row in tables(OPERATIONS, "Thresholds")] == expected


def test_every_guardrail_is_told_what_it_asks() -> None:
    rows = tables(OPERATIONS, "What a guardrail asks")
    assert sorted(re.findall(r"`(\w+)`", " ".join(row[0] for row in rows))) == sorted(GUARDRAILS)


@pytest.mark.parametrize("arguments", [c for c in commands(LOOK) if "LOG" in c or "samples" in " ".join(c)], ids=" ".join)
def test_what_the_page_says_of_logs_and_samples_can_be_run(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if "tensorboard" in arguments:
        pytest.importorskip("tensorboard")
    for name in ("samples", "scenarios", "params.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    logs = iter(["town_anneal.ndjson", "v1_2.ndjson"] if "upgrade" not in arguments else ["v1_2.ndjson"])
    own = {"OTHER": "samples/telemetry/baseline.json", "FILE": "upgraded.ndjson"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", ["headstart", *(f"samples/telemetry/{next(logs)}" if a == "LOG" else own.get(a, a) for a in arguments)]
    )
    with pytest.raises(SystemExit) as ended:
        cli.main()
    limit_or_silence = (7, 8) if arguments[1] in ("watch", "drift") else ()
    assert ended.value.code in (0, None, *limit_or_silence), capsys.readouterr()


def test_the_readme_shows_what_the_end_of_the_pipeline_prints_and_nothing_else_in_figures() -> None:
    """From the record in git, as `headstart report` prints it; every other figure of the README would have to be in the results."""
    record = read_record(ROOT / "reports/evidence/queue_conflict.json", ExperimentRecord)
    watched = "headstart play queue_conflict --policy models/queue_conflict/anneal/pretrained/seed-44"
    shown = re.findall(r"```\n((?:PASS|HOLD|FAIL).*?)```", README, flags=re.DOTALL)
    assert shown == [printed(record.comparisons[record.headline], watched) + "\n"]
    prose = re.sub(r"```.*?```|`[^`]*`|^ {4}.*$", "", README, flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"\d+\.\d+", prose) == ["3.11"]  # Python's


def test_the_environment_of_the_readme_is_a_scenario() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert len(text.splitlines()) <= 20
    scenario = Scenario.model_validate({"name": "mine"} | yaml.safe_load(text))
    arms = for_scenario(load_params(ROOT / "params.yaml"), scenario).arms
    assert arms["pretrained"].budget <= arms["scratch"].budget


def anchors(text: str) -> set[str]:
    """Of the headings of a page, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_what_the_pages_point_to_is_there() -> None:
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
            to = page.parent / target if target else page
            assert "://" in target or to.exists(), f"{page}: {target}"
            if anchor and "://" not in target:
                assert anchor in anchors(to.read_text()), f"{page}: {target}#{anchor}"


@pytest.mark.parametrize("arguments", [c for c in commands(ANNEAL) if c[0] == "schedule"], ids=" ".join)
def test_what_the_page_says_of_schedules_can_be_run(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    (tmp_path / "mine.yaml").write_text(re.findall(r"```yaml\n(.*?)```", ANNEAL, flags=re.DOTALL)[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["headstart", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0, capsys.readouterr()


def test_exit_codes_are_those_of_the_errors() -> None:
    known = {kind.exit_code for kind in vars(errors).values() if hasattr(kind, "exit_code")}
    named = {int(row[0]) for row in tables(OPERATIONS, "Exit codes")}
    assert named == {0, *known} - {1, 9}


def test_the_commands_of_the_page_on_releases_lead_to_a_release_and_back(project: Project) -> None:
    """In their order, each followed by the commit that the page asks for; other seeds are trained where it says so."""
    recorded = 0
    for arguments in commands(RELEASES):
        if arguments[0] == "drill":  # tests/runs/test_drill.py runs it
            project.drill()
        else:
            if "record" in arguments and (recorded := recorded + 1) == 2:
                project.train(range(10, 20))
                project.commit()
            if "withdraw" in arguments:
                project.train(range(20, 30))
                project.commit()
                project.record()
            own = [word.replace("queue_conflict", "walk").replace("seed-43", "seed-13") for word in arguments]
            done = project.headstart(*own)
            no_gates = 5 if arguments[0] == "report" else 0  # of the dataset, which no stage validated here
            assert done.code == no_gates, (arguments, done.err)
        if arguments[0] == "promote":
            assert project.git("tag").split() == ["walk#prod#1", "walk@v1.0.0"]
        project.commit()
    assert project.git("tag").split() == ["walk@v1.0.0"]  # what is in use at the end was never promoted
    standing = project.standing()
    assert (standing.state, standing.passed) == ("monitoring", None)
    assert standing.current is not None and standing.current.checkpoint.endswith("seed-13")
