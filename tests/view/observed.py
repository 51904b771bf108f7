"""Logs of runs written by hand, with times that are always the same, and a server that shows them."""

import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headstart.core.provenance import utc_text
from headstart.core.strict_json import canonical_json
from headstart.telemetry.kinds import KINDS
from headstart.view.observe import listen, server_of, watch_of
from headstart.view.observe_runs import chosen
from headstart.view.observe_server import Door, application, door_of

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = json.loads((Path(__file__).parents[1] / "golden/telemetry_fields.json").read_text())
HASH = "5" * 64
ARM: dict[str, Any] = {
    "start": "bc",
    "phases": [
        {"name": "clone", "kind": "bc", "epochs": 2, "learning_rate": 0.001},
        {"name": "tune", "kind": "ppo", "cycle": 1, "env_steps": 12000, "learning_rate": 0.001, "bc_weight": {"from": 0.4, "to": 0.0}},
    ],
}  # fmt: skip
BASELINES = {"success_rate": 1.0, "harm_rate": 0.01, "return_normalised": 1.0, "kpi": 1.0}
LIMITS = [{"name": "bc_accuracy", "breach": 0.9}]
QUIET = {"nonfinite": 0.0, "kl_divergence": 0.01, "grad_norm": 0.5, "entropy": 0.5, "kl_to_reference": 0.1, "loss_total": 0.2}
DEFAULTS: dict[str, dict[str, Any]] = {"run_ended": {"censored": False, "records_written": 1}}
Event = tuple[str, dict[str, Any]]


def lines(events: Iterable[Event], every_s: float = 0.5, first: int = 1, **envelope: Any) -> list[bytes]:
    """Events as the lines of a log, one every so many seconds."""
    about = {"run_id": "tiny-walk-3", "arm": "tiny", "world": "town", "scenario": "walk", "seed": 3, "stage": "anneal"} | envelope
    made = []
    for seq, (kind, given) in enumerate(events, first):
        wall = {"time_utc": utc_text(BEGAN + timedelta(seconds=every_s * seq)), "elapsed_s": every_s * seq, "rss_mib": 100.0}
        fields = {"nonfinite": (), "phase": None, "env_steps": 0} | FIELDS[kind] | DEFAULTS.get(kind, {}) | given
        own = {"seq": seq, "wall": wall | {"update_s": None, "env_steps_per_s": None}}
        made.append(canonical_json(KINDS[kind].model_validate(about | fields | own).model_dump(mode="json")) + b"\n")
    return made


def update(env_steps: int, phase: str = "tune", **more: Any) -> list[Event]:
    """An update and what the guardrails were shown of it."""
    values = QUIET | {name: value for name, value in more.items() if name in QUIET}
    shown = {name: value for name, value in values.items() if name != "nonfinite" and isinstance(value, float)}
    at: dict[str, Any] = {"phase": phase, "env_steps": env_steps}
    return [("update", FIELDS["update"] | shown | at | {"iteration": env_steps, "bc_weight": 0.2, "kl_weight": 0.0, "expert_share": 0.0}),
            ("reading", at | {"check": "update", "values": values})]  # fmt: skip


def evaluation(env_steps: int, harm: int = 1, **more: Any) -> list[Event]:
    """An evaluation on 100 episodes and what the guardrails were shown of it; before the phases begin only the first."""
    rate = {"k": harm, "n": 100, "low": 0.0, "high": 1.0}
    at: dict[str, Any] = {"phase": "tune", "env_steps": env_steps}
    found = {"policy_mode": "sampled", "success": rate | {"k": 99}, "harm": rate, "return_mean": 1.0 + env_steps / 1e5} | more
    values = BASELINES | {"harm_rate": harm / 100, "queue_conflict_rate": 3.0}
    return [("evaluation", at | found), ("reading", at | {"check": "evaluation", "values": values})]


def finding(guardrail: str, decision: str, reason: str, env_steps: int, severity: str = "warn") -> Event:
    """A guardrail opens, acts or is quiet again."""
    found = {"guardrail": guardrail, "decision": decision, "reason": reason, "severity": severity}
    return "guardrail", FIELDS["guardrail"] | found | {"phase": "tune", "env_steps": env_steps}


def story() -> list[Event]:
    """A run that clones, is rolled back once, recovers, and ends with a guardrail open."""
    target = {"name": "good", "success_rate": 0.9, "return_mean": 1.05, "harm_rate": None, "mode": "sampled", "consecutive": 2}
    started = {
        "params": ARM,
        "target": target,
        "guardrails": LIMITS,
        "inputs": {"bc": HASH},
        "versions": {"headstart": "9.9"},
        "agents": 4,
    }
    clone: dict[str, Any] = {
        "phase": "clone",
        "phase_index": 0,
        "phase_kind": "bc",
        "rollback_target": "clone-start-0",
        "baselines": BASELINES,
    }
    behaviours = {"wait": {"n": 900, "recall": 0.97}, "use": {"n": 300, "recall": 0.81}, "rare": {"n": 3, "recall": 0.0}}
    epoch = {"phase": "clone", "accuracy_heldout": 0.93, "majority_baseline": 0.6, "per_behaviour": behaviours}
    tune = {"phase": "tune", "phase_index": 1, "phase_kind": "ppo", "rollback_target": "tune-start-0", "baselines": BASELINES}
    back = {"phase": "tune", "env_steps": 5000, "to_checkpoint_id": "tune-start-0", "env_steps_discarded": 5000, "attempt": 1, "next": "retry",
            "skipped_checkpoints": ()}  # fmt: skip
    kl = "kl_to_reference 1.2"
    return [
        ("run_started", started),
        evaluation(0)[0],
        ("phase_started", clone),
        ("bc_epoch", epoch | {"bc_epoch": 1, "accuracy_heldout": 0.88}),
        ("bc_epoch", epoch | {"bc_epoch": 2}),
        ("reading", {"phase": "clone", "check": "evaluation", "values": {"bc_accuracy": 0.93}}),
        ("phase_ended", {"phase": "clone", "outcome": "completed", "env_steps_used": 0, "open_guardrails": ()}),
        ("phase_started", tune),
        *update(1000),
        *update(2000, kl_to_reference=0.7),
        finding("reference_kl", "hold", "kl_to_reference 0.7 (limit > 0.5)", 2000),
        *(event for i in (3000, 4000) for event in [*update(i, kl_to_reference=1.2), finding("reference_kl", "hold", kl, i)]),
        *update(5000, kl_to_reference=1.2),
        finding("reference_kl", "rollback", f"{kl} (limit > 1)", 5000, "breach"),
        ("rollback", FIELDS["rollback"] | back),
        *update(6000),
        finding("reference_kl", "continue", "quiet again: kl_to_reference 0.1", 6000),
        *evaluation(6000),
        *update(12000),
        *evaluation(12000, harm=9),
        finding("harm_rise", "hold", "harm_rate 0.09, reference 0.01 (limit +0.05)", 12000),
        ("phase_ended", {"phase": "tune", "env_steps": 12000, "outcome": "held", "env_steps_used": 12000, "open_guardrails": ("harm_rise",)}),
        ("run_ended", {"env_steps": 12000, "status": "completed", "verdict": "HOLD", "reasons": ("harm_rise: still open at the end",),
                       "steps_to_target": 6000, "censored": False, "records_written": 34}),
    ]  # fmt: skip


def log_folder(root: Path, run: str = "walk/tiny/seed-3") -> Path:
    """Where the log of a complete arm lies."""
    scenario, arm, seed = run.split("/")
    folder = root / "reports" / scenario / "anneal" / arm / "telemetry" / seed
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(folder: Path, data: Iterable[bytes], segment: int = 0, mode: str = "ab") -> Path:
    """Add lines to a segment."""
    path = folder / f"telemetry-{segment:04d}.ndjson"
    with path.open(mode) as file:
        file.write(b"".join(data))
    return path


class Reader:
    """A browser without a screen: asks as one page, with or without the cookie."""

    def __init__(self, port: int, door: Door) -> None:
        self.port, self.door = port, door
        self.cookie = {"Cookie": f"{door.cookie}={door.session}"}
        self.open: dict[http.client.HTTPResponse, http.client.HTTPConnection] = {}

    def get(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> http.client.HTTPResponse:
        """The response, of which the body is not read yet. `headers`: without the cookie, unless they have it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        self.open[response] = connection
        return response

    def status(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> int:
        """That of a response that is not read."""
        response = self.get(path, headers, method)
        self.leave(response)
        return response.status

    def leave(self, response: http.client.HTTPResponse) -> None:
        """Close the connection."""
        response.close()
        self.open.pop(response).close()

    @contextmanager
    def events(self, run: str, after: int | None = None) -> Iterator[Iterator[tuple[int, dict[str, Any]]]]:
        """The messages of a run: id and content."""
        last = {} if after is None else {"Last-Event-ID": str(after)}
        response = self.get(f"/events?run={run}", self.cookie | last)
        assert response.status == 200, response.read()
        yield _messages(response)
        self.leave(response)


def _messages(response: http.client.HTTPResponse) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    while line := response.readline():
        if line.startswith(b"id: "):
            number = int(line[4:])
        elif line.startswith(b"data: "):
            yield number, json.loads(line[6:])


@contextmanager
def served(root: Path, run: str | None = None, speed: float | None = None) -> Iterator[Reader]:
    """The server of a project, in a thread of this process."""
    with listen("127.0.0.1", 0) as socket:
        port = socket.getsockname()[1]
        door = door_of(port)
        app = application(watch_of(root, chosen(root, run), speed), door)
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        reader = Reader(port, door)
        yield reader
        for response in list(reader.open):
            reader.leave(response)
        server.should_exit = True
        thread.join()
