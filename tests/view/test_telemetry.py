"""Text, Markdown and JSON of a log show the same numbers, and text of others steers neither a terminal nor a page."""

import math
import re
from typing import Any

import pytest
from tests.logged import CODES, HOSTILE, NOT_SUMMED, ROOT, SAMPLES

from headstart.telemetry.drift import Limit, compare
from headstart.telemetry.logs import read_log
from headstart.telemetry.rules import preset, watch
from headstart.telemetry.summary import as_json, summarised
from headstart.view.telemetry import alert_line, drift_tables, markdown_of, number, tables, text_of, watch_text


def numbers_in(value: Any) -> list[float]:
    """All numbers of a summary as JSON that its other forms show: not the difference of every single update."""
    if isinstance(value, dict):
        return [
            one
            for name, part in value.items()
            if name not in ("deltas", "limit", "values", "is_beyond")
            for one in numbers_in(part)
        ]
    if isinstance(value, list | tuple):
        return [one for part in value for one in numbers_in(part)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


@pytest.mark.parametrize("name", sorted(CODES.keys() - NOT_SUMMED))
def test_the_three_forms_of_a_summary_have_the_same_numbers(name: str) -> None:
    found = summarised(read_log(ROOT / SAMPLES / name))
    text, markdown = text_of(name, tables(found)), markdown_of(name, tables(found))
    of_json = {number(value) for value in numbers_in(as_json(found))}
    for form in (text, markdown):
        words = set(re.split(r"[\s|]+", form))
        assert not of_json - words
    rows = [row for _, _, rows in tables(found) for row in rows if row[0] != "upgraded from"]
    of_tables = {cell for row in rows for cell in row if re.fullmatch(r"-?[\d,.e-]*\d", cell)}
    assert of_tables <= of_json


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (3, "3"),
        (3.0, "3"),
        (1234567, "1,234,567"),
        (0.125, "0.125"),
        (123456.7, "123,457"),
        (1e-7, "1e-07"),
        (-0.0, "0"),
        ("a\nb", "a\\nb"),
    ],
)
def test_a_number_is_rounded_as_a_person_would(value: object, shown: str) -> None:
    assert number(value) == shown


def test_hostile_text_is_escaped_in_every_form() -> None:
    log = read_log(ROOT / SAMPLES / "hostile_strings.ndjson")
    found = summarised(log)
    for form in (text_of(HOSTILE, tables(found)), markdown_of(HOSTILE, tables(found))):
        assert form.replace("\n", "").isprintable()
        assert "\\x1b[31m" in form or "\\\\x1b\\[31m" in form
    markdown = markdown_of(HOSTILE, tables(found))
    assert not re.search(r"(?<!\\)[<>]", markdown)
    assert not re.search(r"\w(?<!\\)\|\w", markdown)


def test_a_text_fits_a_terminal_and_a_long_reason_goes_on_below() -> None:
    log = read_log(ROOT / SAMPLES / "town_anneal.ndjson")
    found = summarised(
        log, drift=compare(log.records, {"return_mean": 1.0, "clip_triggered_minibatches": 1.0}, {}, Limit(0.1, 0.1))
    )
    text = text_of(log.name, tables(found))
    assert max(map(len, text.splitlines()[1:])) <= 80
    long = [("What", ("guardrail", "reason"), [("policy_kl", "because " * 20)])]
    lines = text_of("x", long).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith(" " * 13 + "because")


def test_drift_says_which_limits_are_broken_and_what_is_missing() -> None:
    records = read_log(ROOT / SAMPLES / "nav_pretrained.ndjson").records
    found = compare(records, {"return_mean": 1.0, "adv_mean": 0.0, "showers": 1.0}, {"return_mean": Limit(0.1, 0.0)}, None)
    text = text_of("x", drift_tables(found))
    assert "return_mean     1  0.75 at 1   -25 %  BEYOND ×2" in text
    assert re.search("adv_mean +0 +0 at 1 +n/a +no limit", text)
    assert "in the log       showers" in text
    within = compare(records, {"return_mean": 1e-9, "a_field_of_a_length_that_is_cut_32": 1.0}, {}, Limit(1e-9, 0.0))
    lines = text_of("x", drift_tables(within)).splitlines()
    assert max(map(len, lines)) <= 80 and any("e+09" not in line and "BEYOND" in line for line in lines)


def test_a_watch_names_rules_that_could_not_be_held_to_anything() -> None:
    seen = watch(preset("anneal", "town"), {})
    said = [alert_line(alert) for record in read_log(ROOT / SAMPLES / "town_anneal.ndjson").records for alert in seen.see(record)]
    assert said[0] == "WARN   3,072 env steps: kl_divergence > 0.05 warn (value 0.5)"
    text = watch_text("x", seen)
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"kl_divergence > 0.05 +warn +held, 1× +4 +0.5", text)
    assert re.search(r"return_mean < -15%base +warn +no baseline +0 +–", text)
    assert re.search(r"kl_to_reference > 0.5 +warn +no value +0 +–", text)
    assert "nonfinite > 0 (n 5)" in text[text.index("Never held") :]


def test_nothing_that_is_shown_is_not_a_number() -> None:
    for name in CODES.keys() - NOT_SUMMED:
        assert all(map(math.isfinite, numbers_in(as_json(summarised(read_log(ROOT / SAMPLES / name))))))
