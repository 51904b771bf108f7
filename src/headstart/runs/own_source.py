"""What a user's own expert is made of: the hash that says whether it is still the one that was judged. Nothing of it is run."""

import sys
from pathlib import Path

from headstart.config.project import EXPERTS
from headstart.config.scenario import ExpertGate, Scenario
from headstart.config.stage_command import pipeline_command, stage_command
from headstart.core.errors import GateFailed, InputError
from headstart.core.files import inside, sha256_file, sha256_json
from headstart.core.own_code import code_of


def own_sha256(scenario: Scenario) -> str:
    """Of one file the hash of its bytes, of several that of their hashes; of a callable that of `code_of` its module.

    InputError where it is missing.
    """
    gate = scenario.expert
    if gate.call is None:
        files = {path.as_posix(): sha256_file(path) for path in own_files(scenario)}
        return next(iter(files.values())) if len(files) == 1 else sha256_json(files)
    module = gate.call.partition(":")[0]
    code = code_of(module)
    if not code:
        got = f"{module} is Python's own" if module.split(".")[0] in sys.stdlib_module_names else f"found no {module}"
        raise InputError(
            f"{where(scenario)}.call: expected a module of yours, in {EXPERTS}/, the repository's root or installed, {got}"
        )
    return sha256_json(code)


def own_files(scenario: Scenario) -> list[Path]:
    """The file with the policy and, where the scenario names it, that with its normaliser; none of a callable. InputError for a missing one."""
    named = {"path": scenario.expert.path, "normaliser": scenario.expert.normaliser}
    files = {key: inside(Path(), path) for key, path in named.items() if path is not None}
    for key, path in files.items():
        if not path.is_file():
            raise InputError(
                f"{where(scenario)}.{key}: expected a file {path}, {'got a folder' if path.is_dir() else 'found none'}"
            )
    return list(files.values())


def where(scenario: Scenario) -> str:
    """The place of the expert's keys, for errors."""
    return f"scenarios/{scenario.name}.yaml: expert"


def is_watched(gate: ExpertGate) -> bool:
    """Whether DVC sees every change of the policy: its file, or its module and what that imports, lie in EXPERTS."""
    return gate.call is None or all(name.split(".")[0] == str(EXPERTS) for name in code_of(gate.call.partition(":")[0]))


def cure_of_change(scenario: Scenario) -> str:
    """The command that judges and records an expert again after a change; --force where DVC does not watch what changed."""
    if not scenario.expert.is_own or is_watched(scenario.expert):
        return pipeline_command(scenario.name)
    return f"{stage_command('expert', scenario.name)} --force"


def require_unchanged(scenario: Scenario, judged_sha256: str) -> None:
    """GateFailed unless the user's own expert is still the one that was judged; nothing for other kinds."""
    if scenario.expert.is_own and (now := own_sha256(scenario)) != judged_sha256:
        raise GateFailed(
            f"{where(scenario)}: expected the policy {judged_sha256} that was judged, got {now}; run `{cure_of_change(scenario)}` again"
        )
