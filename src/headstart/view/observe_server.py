"""The server of the page that watches a run: for this machine and one reader, who comes with a token that works once.

Every request has to name this host, and, where a page sent it, this origin; it is a GET, and has the cookie that the token was exchanged for.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headstart.view.observe_feed import Feed
from headstart.view.page import policy_of

POLL_S = 0.5  # between two looks at a log
MANY = 200  # records: after so many at once there are probably more
HEARTBEAT_S = 15.0
SLOW_S = 10.0  # so long a page may take to accept one message
MAX_CLIENTS = 8
MAX_FEEDS = 8  # runs that are followed at once
HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@dataclass
class Watch:
    """What is served."""

    first: str  # id of the run that is shown without a choice
    known: Callable[[], Any]  # ids of the runs that may be asked for
    make_feed: Callable[[str], Feed]
    make_page: Callable[[str], bytes]
    feeds: dict[str, Feed] = field(default_factory=dict)  # by id, the one that was asked for last at the end
    readers: dict[str, int] = field(default_factory=dict)  # id → pages that are connected

    def feed(self, run: str) -> Feed:
        """The feed of a run; of those that nobody reads, the oldest make room for it."""
        idle = [name for name in self.feeds if not self.readers.get(name)]
        for name in idle[: max(0, len(self.feeds) + (run not in self.feeds) - MAX_FEEDS)]:
            if name != run:
                self.feeds.pop(name).source.close()
        found = self.feeds.pop(run, None) or self.make_feed(run)
        self.feeds[run] = found
        return found

    def asked(self, request: Request) -> str | None:
        """The run of a request, from the index; None for one that is not there."""
        wanted = request.query_params.get("run", self.first)
        return wanted if wanted in self.feeds or wanted == self.first or wanted in self.known() else None


@dataclass
class Door:
    """Who may come in."""

    hosts: frozenset[str]
    token: str | None  # None: it was used
    cookie: str  # its name; cookies are shared by all ports of a host
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    def check(self, request: Request) -> Response | None:
        """What is answered instead; None: the request may go on."""
        origin = request.headers.get("origin")
        if request.headers.get("host", "") not in self.hosts:
            return PlainTextResponse("This server answers under its own address only.\n", 403)
        if origin is not None and origin.removeprefix("http://") not in self.hosts:
            return PlainTextResponse("Pages of other sites may not ask.\n", 403)
        known = _equal(request.cookies.get(self.cookie, ""), self.session)
        if not known and self.token is not None and _equal(request.query_params.get("token", ""), self.token):
            self.token = None
            return self._entered()
        if not known:
            return PlainTextResponse(
                "Open the address that `headstart observe` printed; it works once. Run it again for another.\n", 401
            )
        if request.method != "GET":
            return PlainTextResponse("Only GET.\n", 405, {"allow": "GET"})
        return self._entered() if "token" in request.query_params else None

    def _entered(self) -> Response:
        """Go to the page without the token in its address."""
        response = RedirectResponse("/", 303)
        response.set_cookie(self.cookie, self.session, httponly=True, samesite="strict")
        return response


def door_of(port: int) -> Door:
    """A door with a new token."""
    hosts = frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
    return Door(hosts, secrets.token_urlsafe(32), f"headstart-{port}")


def _equal(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not depend on where they differ."""
    return secrets.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())


def application(watch: Watch, door: Door) -> ASGIApp:
    """The page at /, its events at /events, nothing else."""

    async def page(request: Request) -> Response:
        if (run := watch.asked(request)) is None:
            return PlainTextResponse("No such run.\n", 404)
        made = watch.make_page(run)
        policy = f"{policy_of(made)}; frame-ancestors 'none'"
        return Response(made, media_type="text/html", headers={"content-security-policy": policy})

    async def events(request: Request) -> Response:
        if (run := watch.asked(request)) is None:
            return PlainTextResponse("No such run.\n", 404)
        if sum(watch.readers.values()) >= MAX_CLIENTS:
            return PlainTextResponse(f"{MAX_CLIENTS} pages are connected already; close one.\n", 503)
        return Events(watch, run, request.headers.get("last-event-id"))

    app = Starlette(routes=[Route("/", page), Route("/events", events)], lifespan=_following(watch))

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        answer = door.check(Request(scope)) if scope["type"] == "http" else None
        await (answer or app)(scope, receive, send if scope["type"] == "lifespan" else with_headers)

    return guarded


def _following(watch: Watch) -> Callable[[Starlette], Any]:
    """While the server runs, the logs of the feeds that somebody reads are followed."""

    async def follow() -> None:
        while True:
            read = 0
            for name, feed in list(watch.feeds.items()):
                if watch.readers.get(name):
                    with suppress(OSError):  # a log that is being moved: it is there at the next look
                        read = max(read, feed.advance())
                    await asyncio.sleep(0)
            await asyncio.sleep(0.01 if read >= MANY else POLL_S)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(follow())
        yield
        task.cancel()

    return lifespan


class Events(Response):
    """Server-sent events of a run to one page, as fast as the page takes them: what it misses meanwhile comes with its next message."""

    def __init__(self, watch: Watch, run: str, last_id: str | None) -> None:
        super().__init__(headers={"content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self.watch, self.run, self.feed = watch, run, watch.feed(run)
        self.after = int(last_id) if last_id and last_id.isascii() and last_id.isdigit() and len(last_id) < 16 else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        readers = self.watch.readers
        readers[self.run] = readers.get(self.run, 0) + 1
        gone = asyncio.create_task(_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            with suppress(TimeoutError):  # a page that is too slow is left; it may connect again
                await self._send_all(send, gone)
        finally:
            gone.cancel()
            readers[self.run] -= 1

    async def _send_all(self, send: Send, gone: "asyncio.Task[None]") -> None:
        sent: dict[str, Any] = {}
        if not self.feed.n:
            self.feed.advance()
        while not gone.done():
            changed = self.feed.changed
            await _send(send, self._message(sent))
            waiting = asyncio.create_task(changed.wait())
            while not gone.done() and not waiting.done():
                await asyncio.wait({waiting, gone}, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done() and not gone.done():
                    await _send(send, b": nothing new\n\n")
            waiting.cancel()

    def _message(self, sent: dict[str, Any]) -> bytes:
        message = self.feed.message(self.after, sent)
        self.after = message["n"]
        return f"id: {self.after}\ndata: {json.dumps(message, separators=(',', ':'), allow_nan=False)}\n\n".encode()


async def _send(send: Send, data: bytes) -> None:
    async with asyncio.timeout(SLOW_S):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
