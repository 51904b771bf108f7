"""Stage `expert_source`: the hash of what a user's own expert is made of, so that DVC judges an expert again when its own code or file changed.

All experts share the folder `experts/`, and DVC watches it as a whole. This stage takes a second; its output stays the same where another
expert was edited, and then DVC runs nothing that follows.
"""

from headstart.config.params import Params
from headstart.config.project import MODELS
from headstart.config.scenario import Scenario
from headstart.config.stage import Done, main
from headstart.core.files import write_bytes
from headstart.runs.own_source import own_sha256


def expert_source(params: Params, scenario: Scenario) -> Done:
    """Writes models/<scenario>/expert_source.txt: the policy's kind and hash; of a script and of a learned expert the kind alone."""
    gate = scenario.expert
    source = f"{gate.policy} {own_sha256(scenario)}" if gate.is_own else gate.policy
    write_bytes(MODELS / scenario.name / "expert_source.txt", f"{source}\n".encode())
    return Done(f"expert_source {scenario.name}: {source}")


if __name__ == "__main__":
    main(expert_source)
