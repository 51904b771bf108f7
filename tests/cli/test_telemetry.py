"""`headstart telemetry`: exit codes, what is printed, that logs need no project, and that nothing heavy is loaded."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.logged import CODES, ROOT, SAMPLES, nav, version_1

from headstart.telemetry.follow import Log, Part
from headstart.telemetry.logs import read_log

HOME = ROOT / SAMPLES
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def outside_of_a_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def command(command: Command) -> Command:
    return partial(command, "telemetry")


@pytest.mark.parametrize("name", CODES)
def test_validate_exits_as_the_log_deserves(name: str, command: Command) -> None:
    usual, strict = CODES[name]
    assert command("validate", str(HOME / name))[0] == usual
    assert command("validate", "--strict", str(HOME / name))[0] == strict


def test_validate_lists_the_problems_of_every_file(command: Command) -> None:
    code, out, _ = command(
        "validate", str(HOME / "nav_pretrained.ndjson"), str(HOME / "seq_gap.ndjson"), str(HOME / "torn_tail.ndjson")
    )
    assert code == 4
    assert "nav_pretrained.ndjson: 16 records, valid" in out
    assert "error: " + str(HOME / "seq_gap.ndjson") + ", line 4, seq 5: seq: expected 4, got 5" in out
    assert "torn_tail.ndjson: 12 records, 0 errors, 1 warning" in out


def test_validate_as_json_has_file_line_seq_field_expected_and_got(command: Command) -> None:
    code, out, _ = command("validate", "--json", str(HOME / "seq_gap.ndjson"))
    (found,) = json.loads(out)["logs"]
    assert (code, found["exit_code"], found["valid"], found["records"]) == (4, 4, False, 9)
    assert found["problems"] == [
        {
            "level": "integrity",
            "file": str(HOME / "seq_gap.ndjson"),
            "line": 4,
            "seq": 5,
            "field": "seq",
            "expected": "4",
            "got": "5",
        }
    ]


def test_validate_lists_a_hundred_problems_and_counts_the_rest(command: Command) -> None:
    Path("log.ndjson").write_text("".join(json.dumps(version_1(1, "1.0") | {"lr": "high"}) + "\n" for _ in range(130)))
    code, out, _ = command("validate", "log.ndjson")
    assert code == 3
    assert out.count("error: ") == 100
    assert "130 errors, 0 warnings" in out
    assert out.rstrip().endswith("and 30 more")


def test_a_log_that_is_not_there_keeps_no_other_from_being_checked(command: Command) -> None:
    code, out, _ = command("validate", "nowhere", str(HOME / "nav_pretrained.ndjson"))
    assert (code, "error: nowhere: " in out, "16 records, valid" in out) == (3, True, True)
    code, out, _ = command("validate", "--json", "nowhere", str(HOME / "nav_pretrained.ndjson"))
    assert [(one["valid"], one["exit_code"]) for one in json.loads(out)["logs"]] == [(False, 3), (True, 0)]


def test_a_missing_log_is_an_input_error(command: Command) -> None:
    for name in ("validate", "summary", "watch"):
        code, out, err = command(name, "nowhere.ndjson")
        assert (code, "nowhere.ndjson" in out + err) == (3, True)


def test_watch_exits_with_7_on_an_alert_and_by_what_it_is_told(command: Command) -> None:
    log = str(HOME / "town_anneal.ndjson")
    assert command("watch", log)[0] == 0  # warnings only
    assert command("watch", log, "--fail-on", "warn")[0] == 7
    code, out, _ = command("watch", log, "--alert", "kl_divergence > 0.2")
    assert code == 7
    assert out.startswith("ALERT  3,072 env steps: kl_divergence > 0.2 (value 0.5)\nclear  4,096 env steps")
    assert command("watch", log, "--alert", "kl_divergence > 0.2", "--fail-on", "none")[0] == 0
    code, out, _ = command("watch", log, "--alert", "kl_divergence > 0.2", "--fail-fast")
    assert (code, "clear" in out) == (7, False)
    assert command("watch", log, "--alert", "kl_divergance > 0.2")[0] == 2
    assert command("watch", log, "--preset", "twon")[0] == 2
    assert command("watch", str(HOME / "seq_gap.ndjson"))[0] == 4


def test_watch_as_json_prints_an_object_for_each_event(command: Command) -> None:
    _, out, _ = command("watch", str(HOME / "town_anneal.ndjson"), "--alert", "kl_divergence > 0.2", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events] == ["starts", "clears", "end"]
    assert (events[-1]["alert"], events[-1]["records"], events[-1]["rules"][0]["worst"]) == (1, 31, 0.5)


def test_a_running_log_is_followed_from_before_it_is_there_to_its_end(command: Command) -> None:
    lines = nav("pretrained", (48, 40, 8), None).lines

    def run() -> None:
        for line in lines:
            time.sleep(0.02)
            with Path("log.ndjson").open("ab") as file:
                file.write(line)

    writer = threading.Thread(target=run)
    writer.start()
    code, out, _ = command("watch", "log.ndjson", "--follow", "--interval", "0.01", "--idle-timeout", "60")
    writer.join()
    assert code == 7
    assert out.startswith("WARN   1,024 env steps: evaluation.success_rate < -0.10base warn (value 0.625, base 0.75)")
    assert f"log.ndjson: {len(lines)} records, 1 alert, 1 warning" in out


def test_a_run_that_is_resumed_is_judged_anew_and_no_alert_is_repeated(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the kill the second update did badly; the resumed run writes it otherwise."""
    before, after = (nav("pretrained", (48, 40, last), None).lines for last in (8, 40))
    path, resumed = Path("log.ndjson"), Path("resumed.ndjson")
    path.write_bytes(b"".join(before[:-3]))
    resumed.write_bytes(b"".join(after))
    monkeypatch.setattr("headstart.telemetry.follow.Log.read", looked(Log.read, lambda: resumed.replace(path)))
    code, out, _ = command("watch", "log.ndjson", "--follow", "--interval", "0.01", "--idle-timeout", "60")
    starts = [line.split(": ", 1)[1] for line in out.splitlines() if line.startswith(("WARN", "ALERT"))]
    rule = "evaluation.success_rate < -0.10base warn (value 0.625, base 0.75)"
    assert starts.count(rule) == 1  # of the first update, which stands as it stood
    assert any("< -0.30base alert (value 0.125" in line for line in starts)  # said before the kill
    assert f"log.ndjson: {len(after)} records, 0 alerts, 1 warning" in out  # and no longer so
    assert code == 0


def looked(read: Callable[[Log], Part], then: Callable[[], object]) -> Callable[[Log], Part]:
    """A look, after which something happens, once."""
    waiting = [then]

    def look(log: Log) -> Part:
        found = read(log)
        if found.records and waiting:
            waiting.pop()()
        return found

    return look


def test_a_log_that_stands_still_ends_the_watch_with_8(command: Command) -> None:
    Path("log.ndjson").write_bytes(b"".join(nav("pretrained", (48, 47), None).lines[:4]))
    code, out, err = command("watch", "log.ndjson", "--follow", "--interval", "0.01", "--idle-timeout", "0.05")
    assert code == 8
    assert "log.ndjson: 4 records, 0 alerts, 0 warnings" in out
    assert "waited 0.05 s after record 4" in err
    assert command("watch", "nowhere", "--follow", "--interval", "0.01", "--idle-timeout", "0.05")[0] == 8


def test_summary_is_the_one_in_the_samples_but_for_its_title(command: Command) -> None:
    for name in ("town_anneal.ndjson", "v1_0.ndjson"):
        code, out, _ = command("summary", "--no-wall", str(HOME / name))
        golden = (HOME / f"{name}.summary.txt").read_text()
        assert code == 0
        assert out[out.index("\nRun\n") :] == golden[golden.index("\nRun\n") :]
    assert "Imported from version 1.0: it can be looked at and compared, never promoted." in out


def test_summary_as_markdown_and_json_and_into_a_file(command: Command) -> None:
    _, out, _ = command("summary", str(HOME / "nav_pretrained.ndjson"), "--markdown", "--baseline", str(HOME / "baseline.json"))
    assert "| return\\_mean | 0.875 | 0.75 at 1 | -14.3 % |" in out
    assert "| in the log | showers |" in out
    code, out, _ = command("summary", str(HOME / "nav_pretrained.ndjson"), "--json", "--out", "found/summary.json")
    assert (code, out) == (0, "")
    found = json.loads(Path("found/summary.json").read_text())
    assert (found["about"]["status"], found["wall"]["env_steps_per_s, median"]) == ("completed", 2048.0)


def test_drift_exits_with_7_beyond_a_limit(command: Command) -> None:
    log, base = str(HOME / "nav_pretrained.ndjson"), ("--baseline", str(HOME / "baseline.json"))
    assert command("drift", log, *base)[0] == 0
    assert command("drift", log, *base, "--abs", "0.2")[0] == 0
    assert command("drift", log, *base, "--abs", "0.1")[0] == 7
    code, out, _ = command("drift", log, *base, "--rel", "1%", "--limit", "return_mean=1,0", "--limit", "entropy=1,0", "--json")
    assert code == 0
    assert json.loads(out)["missing_in_log"] == ["showers"]
    assert command("drift", log, *base, "--limit", "entropy")[0] == 2
    assert command("drift", str(HOME / "v1_1.ndjson"), "--baseline", str(HOME / "v1_0.ndjson"))[0] == 0


def test_plot_writes_a_picture_of_several_logs(command: Command) -> None:
    logs = [str(HOME / name) for name in ("nav_pretrained.ndjson", "nav_scratch_censored.ndjson")]
    for name in ("a.svg", "a.png", "a.json"):
        code, out, _ = command("plot", *logs, "--out", name, "--fields", "return_mean,entropy")
        assert code == 0
        assert out.startswith(f"{name}: return_mean, entropy of nav_mixed pretrained, seed 7; nav_mixed scratch, seed 7")
    assert Path("a.svg").read_bytes().startswith(b"<svg")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(Path("a.json").read_text())["$schema"].endswith("v6.json")
    assert command("plot", *logs, "--out", "a.pdf")[0] == 2
    assert command("plot", str(HOME / "v1_2.ndjson"), "--out", "old.svg")[0] == 0


@pytest.mark.parametrize("name", ["v1_0", "v1_1", "v1_2"])
def test_an_upgrade_is_valid_and_upgrading_it_changes_nothing(name: str, command: Command) -> None:
    source = HOME / f"{name}.ndjson"
    before = source.read_bytes()
    assert command("upgrade", str(source), "--out", "new.ndjson")[0] == 0
    assert Path("new.ndjson").read_bytes() == (HOME / f"{name}.upgraded.ndjson").read_bytes()
    assert command("validate", "--strict", "new.ndjson")[0] == 0
    assert command("upgrade", "new.ndjson", "--out", "again.ndjson")[0] == 0
    assert Path("again.ndjson").read_bytes() == Path("new.ndjson").read_bytes()
    assert source.read_bytes() == before


def test_an_upgrade_says_what_it_found_and_never_writes_over_its_source(command: Command) -> None:
    Path("old.ndjson").write_text(json.dumps(version_1(1, None) | {"mood": 1}) + "\n" + '{"epo')
    assert command("upgrade", "old.ndjson", "--out", "new.ndjson")[0] == 3
    code, out, _ = command("upgrade", "old.ndjson", "--out", "new.ndjson", "--assume-version", "1.0")
    assert code == 0
    assert "warning: old.ndjson, line 1: mood: expected a field that a version names" in out
    assert "new.ndjson: 1 update of old.ndjson; 5 bytes of a torn end were left out" in out
    assert command("upgrade", "old.ndjson", "--out", "old.ndjson", "--assume-version", "1.0")[0] == 2
    code, _, err = command("upgrade", str(HOME / "nav_pretrained.ndjson"), "--out", "new.ndjson")
    assert (code, "needs no upgrade" in err) == (2, True)


def test_a_part_of_the_anneal_fields_stops_an_upgrade(command: Command) -> None:
    record = version_1(1, "1.2")
    del record["anneal_cycle"]
    Path("old.ndjson").write_text(json.dumps(record) + "\n")
    code, _, err = command("upgrade", "old.ndjson", "--out", "new.ndjson")
    assert (code, "anneal_*: expected all 12 fields or none" in err, Path("new.ndjson").exists()) == (3, True, False)


def test_half_a_surrogate_pair_is_a_problem_of_its_line(command: Command) -> None:
    good = (HOME / "nav_pretrained.ndjson").read_text().splitlines(keepends=True)
    Path("log.ndjson").write_text(good[0] + '{"schema_id": "\\ud800"}\n' + good[1])
    code, out, _ = command("validate", "log.ndjson")
    assert code == 4
    assert "error: log.ndjson, line 2: expected UTF-8, got '\\ud800', half of a surrogate pair" in out


def test_a_wrong_name_of_a_run_is_answered_with_the_nearest(command: Command) -> None:
    folder = Path("reports/nav_mixed/anneal/pretrained/telemetry/seed-7")
    folder.mkdir(parents=True)
    shutil.copy(HOME / "nav_pretrained.ndjson", folder / "telemetry-0000.ndjson")
    for name in ("nav_mixed/pretrained/seed-7", "nav_mixed/pretrained/7"):
        assert command("validate", name)[1].startswith(f"{folder}: 16 records, valid")
    for name in ("nav_mixed/pretraind/seed-7", "nav_mixd/pretrained/seed-7", "nav_mixed/pretrained/seed-8", "nav_mixed"):
        code, _, err = command("summary", name)
        assert code == 2 and "(did you mean 'nav_mixed/pretrained/seed-7'?)" in err, err


def test_finished_logs_become_event_files(command: Command) -> None:
    logs = [str(HOME / name) for name in ("nav_pretrained.ndjson", "nav_scratch_censored.ndjson")]
    code, out, _ = command("tensorboard", *logs, "--logdir", "board")
    assert code == 0
    assert re.search(r"board/nav_mixed/pretrained/seed-7: \d+ values of ", out)
    assert out.rstrip().endswith("look: tensorboard --logdir board")
    assert len(list(Path("board").rglob("events.*"))) == 2
    code, _, err = command("tensorboard", logs[0], "--logdir", "board")
    assert (code, err) == (0, "")
    assert len(list(Path("board").rglob("events.*"))) == 2, "the conversion of before is replaced"
    live = Path("board/nav_mixed/pretrained/seed-7/events.out.tfevents.1.host.0")
    live.write_bytes(b"")
    code, _, err = command("tensorboard", logs[0], "--logdir", "board")
    assert (code, f"found {live.name}" in err, live.exists()) == (2, True, True)
    assert command("tensorboard", str(HOME / "v1_1.ndjson"), "--logdir", "other")[0] == 2


def test_reading_a_log_needs_neither_torch_nor_numba() -> None:
    script = (
        "import sys; sys.argv = ['headstart', 'telemetry', 'summary', sys.argv[1]]\n"
        "from headstart.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numba', 'tensorboardX', 'vl_convert'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script, HOME / "v1_1.ndjson"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_file_of_anything_else_is_an_error_of_ours(command: Command) -> None:
    for content in (
        b"\x00\xff\n\x00\n",
        b"[[[[",
        b"{}\n{}\n",
        b'"text"\n',
        b"[" * 5000,
        b"\xef\xbb\xbf{}\n",
        b'{"schema_id":"telemetry/9"}\nx\n',
    ):
        Path("log.ndjson").write_bytes(content)
        for name in ("validate", "summary", "watch"):
            code, out, err = command(name, "log.ndjson")
            assert code in (3, 4), (content, name, out, err)
            assert (out + err).replace("\n", "").isprintable()
    assert read_log(HOME / "v1_0.ndjson").problems == ()


def test_a_log_is_found_by_the_name_of_its_run(command: Command) -> None:
    home = Path("reports/nav_mixed/anneal/pre-trained/telemetry/seed-7")
    home.mkdir(parents=True)
    log = re.sub(rb'("arm": ?"pre)', rb"\1-", (HOME / "nav_pretrained.ndjson").read_bytes())
    (home / "telemetry-0000.ndjson").write_bytes(log)
    code, out, _ = command("summary", "nav_mixed/pre-trained/seed-7")
    assert (code, out.splitlines()[0]) == (0, f"{home}: completed")
    assert command("summary", "nav_mixed/pre-trained/seed-8")[0] == 2
    assert command("drift", "nav_mixed/pre-trained/seed-7", "--baseline", "nav_mixed/pre-trained/seed-7", "--abs", "1")[0] == 0
