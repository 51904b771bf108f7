"""Who may watch, what is answered to others, and that a page that connects again misses nothing and gets nothing twice."""

import asyncio
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.view.observed import Reader, lines, log_folder, served, story, update, write

from headstart.core.files import write_bytes
from headstart.view import observe_feed, observe_server
from headstart.view.observe import watch_of
from headstart.view.observe_runs import chosen
from headstart.view.observe_server import MAX_CLIENTS, Events

STORY = lines(story())
RUN = "walk/tiny/seed-3"
ROUTES = (
    "/",
    "/events",
    f"/events?run={RUN}",
    "/?run=walk",
    "/nothing",
    "/../params.yaml",
    "//",
    "/favicon.ico",
    "/?token=",
    "/?token=%ff",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write(log_folder(tmp_path), STORY)
    write(log_folder(tmp_path, "walk/other/seed-4"), lines(story(), arm="other", seed=4))
    return tmp_path


@pytest.fixture
def reader(project: Path) -> Iterator[Reader]:
    with served(project, RUN) as reader:
        yield reader


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at logs more often than for a person."""
    monkeypatch.setattr(observe_server, "POLL_S", 0.01)


# --- who may watch ------------------------------------------------------------------------------------------------------


def test_nothing_is_answered_without_the_token(reader: Reader) -> None:
    for path in ROUTES:
        for method in ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"):
            assert reader.status(path, method=method) == 401, (path, method)
        for cookie in ("", "x", reader.door.session[:-1], f"{reader.door.session}x", "\xe9"):
            response = reader.get(path, {"Cookie": f"{reader.door.cookie}={cookie}"})
            assert response.status == 401, (path, cookie)
            assert b"tiny" not in response.read()


def test_a_token_is_exchanged_once_for_a_cookie_that_scripts_and_other_sites_cannot_use(reader: Reader) -> None:
    token = reader.door.token
    assert token is not None and len(token) >= 43  # 256 bits
    entered = reader.get(f"/?token={token}")
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and token not in cookie
    assert reader.status(f"/?token={token}") == 401
    mine = {"Cookie": cookie.partition(";")[0]}
    assert reader.status("/", mine) == 200
    assert reader.get(f"/?token={token}", mine).headers["location"] == "/"  # no page has it in its address


def test_foreign_hosts_and_origins_are_refused_even_with_the_cookie(reader: Reader) -> None:
    port = reader.port
    hosts = ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", f"127.0.0.1.evil.example:{port}", "")
    origins = ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", "")
    for path in ("/", f"/events?run={RUN}", "/nothing"):
        for header in [*({"Host": host} for host in hosts), *({"Origin": origin} for origin in origins)]:
            assert reader.status(path, reader.cookie | header) == 403, (path, header)
    for own in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
        assert reader.status("/", reader.cookie | {"Origin": own}) == 200
    assert reader.status(f"/?token={reader.door.token}", {"Host": "evil.example"}) == 403
    assert reader.door.token is not None


def test_only_get_is_answered(reader: Reader) -> None:
    for method in ("POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"):
        response = reader.get("/", reader.cookie, method)
        assert (response.status, response.headers["allow"]) == (405, "GET"), method


def test_a_run_that_the_index_does_not_have_is_not_looked_for(reader: Reader) -> None:
    for run in (
        "../../etc/passwd",
        "walk",
        "walk/tiny",
        "walk/tiny/seed-3/..",
        "/etc",
        "%2e%2e%2f",
        "",
        "walk/none/seed-1",
        "%00",
    ):
        for path in ("/", "/events"):
            assert reader.status(f"{path}?run={run}", reader.cookie) == 404, run
    assert reader.status("/etc/passwd", reader.cookie) == 404


def test_answers_are_neither_kept_nor_framed_nor_sent_on(reader: Reader) -> None:
    for path in ("/", "/nothing"):
        for given in (reader.cookie, {}):
            headers = reader.get(path, given).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers
    policy = reader.get("/", reader.cookie).headers["content-security-policy"]
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "http:" not in policy


def test_nothing_is_printed_while_somebody_watches(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with served(project, RUN) as reader:
        reader.get(f"/?token={reader.door.token}").read()
        reader.get("/nothing").read()
        with reader.events(RUN) as messages:
            next(messages)
    assert capfd.readouterr() == ("", "")


# --- what is sent -------------------------------------------------------------------------------------------------------


def test_a_new_page_gets_all_and_then_what_is_new(project: Path, reader: Reader) -> None:
    with reader.events(RUN) as messages:
        number, message = next(messages)
        assert (number, message["n"], message["reset"]) == (len(STORY), len(STORY), True)
        assert [row["n"] for row in message["rows"] if row["k"] == "update"] == [9, 11, 14, 17, 20, 24, 29]
        write(log_folder(project), lines(update(13000), first=len(STORY) + 1))
        number, message = next(messages)
        assert (number, message["reset"]) == (len(STORY) + 2, False)
        assert [row["n"] for row in message["rows"]] == [len(STORY) + 1]
        assert "counters" not in message["panels"]  # as it was


def test_twenty_connections_lose_nothing_and_repeat_nothing(project: Path, reader: Reader) -> None:
    folder, after, rows = log_folder(project), 0, list[Any]()
    for round_ in range(20):
        with reader.events(RUN, after or None) as messages:
            after, message = next(messages)
            assert message["reset"] == (round_ == 0)
            rows += message["rows"]
            write(folder, lines(update(20_000 + round_), first=1000 + 4 * round_))
            after, message = next(messages)
            assert not message["reset"]
            rows += message["rows"]
        write(folder, lines(update(30_000 + round_), first=1002 + 4 * round_))  # while nobody is connected
    with reader.events(RUN, after) as messages:
        while after < len(STORY) + 80:
            after, message = next(messages)
            rows += message["rows"]
    numbers = [row["n"] for row in rows if row["k"] == "update"]
    assert numbers[7:] == list(range(len(STORY) + 1, len(STORY) + 81, 2))
    assert all(one < other for one, other in pairwise(numbers))
    assert [row["x"] for row in rows if row["k"] == "update"][7:] == [x for i in range(20) for x in (20_000 + i, 30_000 + i)]


def test_an_id_that_was_never_sent_gets_all(reader: Reader) -> None:
    for last in ("-1", "x", "", "9" * 40, "99999", "1e3", "\xb2"):
        response = reader.get(f"/events?run={RUN}", reader.cookie | {"Last-Event-ID": last})
        while not (line := response.readline()).startswith(b"data: "):
            pass
        assert json.loads(line[6:])["reset"], last
        reader.leave(response)


def test_a_run_that_takes_back_records_begins_anew_on_every_page(project: Path, reader: Reader) -> None:
    with reader.events(RUN) as messages:
        after, _ = next(messages)
        write_bytes(log_folder(project) / "telemetry-0000.ndjson", b"".join(STORY[:12]))
        number, message = next(messages)
        assert message["reset"] and number > after
        assert [row["n"] - number for row in message["rows"] if row["k"] == "update"] == [-3, -1]
        assert message["panels"]["run"]["rows"][0][1]["t"] == "running"
    with reader.events(RUN, after) as messages:
        assert next(messages)[1]["reset"]
    with reader.events(RUN, number) as messages:
        assert not next(messages)[1]["reset"]


def test_a_page_that_was_away_for_longer_than_rows_are_kept_gets_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe_feed, "RECENT", 5)
    with served(project, RUN) as reader:
        with reader.events(RUN) as messages:
            next(messages)
            write(log_folder(project), lines((event for i in range(1, 21) for event in update(i)), first=100))
            after, _ = next(messages)
        for back, resets in ((2, False), (30, True)):
            with reader.events(RUN, after - back) as messages:
                assert next(messages)[1]["reset"] == resets


def test_a_page_beyond_the_eighth_is_refused_until_one_leaves(reader: Reader) -> None:
    streams = [reader.get(f"/events?run={RUN}", reader.cookie) for _ in range(MAX_CLIENTS)]
    assert [stream.status for stream in streams] == [200] * MAX_CLIENTS
    assert reader.status(f"/events?run={RUN}", reader.cookie) == 503
    assert reader.status("/", reader.cookie) == 200
    reader.leave(streams[0])
    while reader.status(f"/events?run={RUN}", reader.cookie) == 503:
        pass


def test_a_page_that_is_too_slow_is_left(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe_server, "SLOW_S", 0.1)
    watch = watch_of(project, chosen(project, RUN), None)

    async def one_that_accepts_nothing() -> None:
        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.sleep(3600)

        async def receive() -> Any:
            await asyncio.sleep(3600)

        await Events(watch, RUN, None)({"type": "http"}, receive, send)

    with ThreadPoolExecutor(1) as thread:  # in the main one a browser of other tests may have a loop
        thread.submit(asyncio.run, one_that_accepts_nothing()).result(60)
    assert watch.readers[RUN] == 0


def test_a_connection_without_news_is_kept_open(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe_server, "HEARTBEAT_S", 0.05)
    response = reader.get(f"/events?run={RUN}", reader.cookie)
    while not response.readline().startswith(b": nothing new"):
        pass


def test_runs_are_told_apart_and_only_so_many_are_followed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe_server, "MAX_FEEDS", 3)
    for seed in range(10, 18):
        write(log_folder(project, f"walk/tiny/seed-{seed}"), lines(story(), seed=seed))
    watch = watch_of(project, chosen(project, RUN), None)
    for seed in range(10, 18):
        feed = watch.feed(f"walk/tiny/seed-{seed}")
        feed.advance()
        assert feed.seen.last is not None and feed.seen.last.seed == seed
        watch.readers[f"walk/tiny/seed-{seed}"] = int(seed == 10)
    assert list(watch.feeds) == ["walk/tiny/seed-10", "walk/tiny/seed-16", "walk/tiny/seed-17"]
    other = watch.feed("walk/other/seed-4")
    other.advance()
    assert other.seen.last is not None and other.seen.last.arm == "other"


def test_the_server_ends_while_pages_are_connected(project: Path) -> None:
    with served(project, RUN) as reader:
        reader.get(f"/events?run={RUN}", reader.cookie)
        port, reader.open, streams = reader.port, {}, reader.open
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    for response, connection in streams.items():
        response.close()
        connection.close()
