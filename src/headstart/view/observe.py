"""A page that watches a run, in a browser on this machine: what its log says, as it grows or played again."""

import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from headstart.core.errors import Busy
from headstart.telemetry.follow import Log
from headstart.view.observe_beside import Beside
from headstart.view.observe_charts import OF_ARM, OF_CLONE, STEPS, Curves, chart
from headstart.view.observe_feed import KEPT, Feed
from headstart.view.observe_replay import Replay, Source
from headstart.view.observe_runs import Run, runs
from headstart.view.observe_server import Watch, application, door_of
from headstart.view.page import page

STALE_S = 30  # without a record a run that has not ended is called stale


def serve(root: Path, run: Run, speed: float | None, address: tuple[str, int], tell: Callable[[str], None]) -> None:
    """Serve until Ctrl-C. `speed`: play the log again, so many times as fast; None: follow it. `tell` gets the address to open.

    Raises Busy if the port is taken.
    """
    with listen(*address) as listening:
        host, port = listening.getsockname()[:2]
        door = door_of(port)
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={door.token}")
        server_of(application(watch_of(root, run, speed), door)).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket at the port; 0: at any free one. Raises Busy if it is taken."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise Busy(
            f"{host}, port {port}: expected a free port: {error.strerror}; without --port, any free one is taken"
        ) from None


def server_of(app: ASGIApp) -> uvicorn.Server:
    """A server that writes no log, since the token is in an address."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        access_log=False,
        log_level="critical",
        server_header=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def watch_of(root: Path, run: Run, speed: float | None) -> Watch:
    """What is served of a project; `run` is shown first."""

    def make_feed(name: str) -> Feed:
        beside = Beside(root, name.split("/")[0])

        def where() -> Path | None:
            beside.look()
            if name == run.id and run.given and run.folder.exists():
                return run.folder
            return beside.known[name].folder if name in beside.known else None

        log = Log(where)
        source: Source = log if speed is None else Replay(log, speed)
        return Feed(source, curves_of(name), x_of(name), beside.of, live=speed is None)

    return Watch(run.id, lambda: runs(root), make_feed, lambda name: page_of(name, speed))


def curves_of(run: str) -> Mapping[str, Curves]:
    """The charts of a run; a clone is trained in epochs and has others."""
    return OF_CLONE if run.split("/")[1:2] == ["bc"] else OF_ARM


def x_of(run: str) -> str:
    """What the charts of a run are drawn against."""
    return "epochs" if curves_of(run) is OF_CLONE else STEPS


def page_of(run: str, speed: float | None) -> bytes:
    """The page of a run, which has nothing in it yet."""
    curves, x = curves_of(run), x_of(run)
    settings = {"run": run, "kept": KEPT, "stale_s": STALE_S, "series": {name: dict(of.series) for name, of in curves.items()},
                "target": {name: of.target for name, of in curves.items() if of.target}}  # fmt: skip
    data = {"settings": settings} | {f"chart-{name}": chart(of, x) for name, of in curves.items()}
    shown = {"run": run, "speed": speed, "curves": curves}
    return page("observe.html", f"{run}: observe", data, ["observe.js"], True, ["observe.css"], connect=True, **shown)
