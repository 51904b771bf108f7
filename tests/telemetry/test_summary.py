"""A summary has the numbers of the log, counted by hand; two equal runs have one summary but for the clock."""

import json

from tests.logged import ROOT, SAMPLES, nav

from headstart.telemetry.drift import compare
from headstart.telemetry.logs import Log, read_log
from headstart.telemetry.summary import Alert, Extreme, Phase, Summary, as_json, summarised


def sample(name: str) -> Log:
    return read_log(ROOT / SAMPLES / name)


def of(name: str, last: int | None = None) -> Summary:
    return summarised(sample(name), last)


def test_a_run_with_a_rollback_is_summed_up() -> None:
    found = of("town_anneal.ndjson")
    about = {
        name: found.about[name]
        for name in ("status", "verdict", "env_steps", "steps_to_target", "updates", "bc_epochs", "records")
    }
    assert about == {
        "status": "completed", "verdict": "PASS", "env_steps": 5120, "steps_to_target": 5120, "updates": 5, "bc_epochs": 2, "records": 31,
    }  # fmt: skip
    assert found.phases == (
        Phase("clone", "bc", 0, 0, 0, 0, "completed", 0.9375, None, ()),
        Phase("warm_up", "critic", 0, 1024, 1, 0, "completed", None, None, ()),
        Phase("tune", "ppo", 1024, 4096, 4, 1, "completed", None, None, ()),
    )
    assert found.alerts == (Alert("policy_kl", "breach", "rollback", 1, 3072, 3072, "kl_divergence 0.5 (limit > 0.05)"),)
    assert [(one["exact"], one["next"], one["env_steps_discarded"]) for one in found.rollbacks] == [("yes", "retry", 2048)]
    assert found.evaluations["evaluation.success_rate"] == {"first": 0.75, "best": 62 / 64, "last": 62 / 64}
    assert found.evaluations["evaluation.harm_rate"] == {"first": 4 / 64, "best": 1 / 64, "last": 1 / 64}
    extremes = {one.field: one for one in found.extremes}
    assert extremes["kl_divergence"] == Extreme("kl_divergence", 0.01, 2, 0.5, 3)
    assert extremes["return_mean"] == Extreme("return_mean", 0.5, 3, 1.5, 5)
    assert found.latest["learning_rate"] == 0.00025
    assert "kl_to_reference" not in found.latest  # not measured


def test_what_passed_between_agents_is_summed_and_means_are_weighted_by_what_they_are_over() -> None:
    training, first, last = of("town_anneal.ndjson").social
    assert [(one.of, one.n) for one in (training, first, last)] == [
        ("training", 4),
        ("first evaluation", 64),
        ("last evaluation", 64),
    ]
    sums = {name: value for name, value in training.counts.items() if value}
    assert sums == {
        "chats": 8, "chat_failures": 2, "chat_quality_mean": (4 * 0.5 + 4 * 0.25) / 8, "shared_meals": 2, "yields": 6, "late": 4,
        "lateness_mean": 7.5, "late_help": 2,
    }  # fmt: skip
    assert (first.counts["chat_failures"], last.counts["chat_failures"], last.counts["outages"]) == (16, 0, 1)
    assert (first.counts["lateness_mean"], first.counts["late"]) == (None, 0)  # nobody was late, which is no lateness of 0
    assert of("nav_pretrained.ndjson").social == ()


def test_a_summary_says_what_dataset_the_run_learned_from() -> None:
    assert of("town_anneal.ndjson").dataset == {
        "id": "queue_conflict@0123456789ab", "episodes": 64, "steps_mean": 128.0, "return_mean": 1.5, "success_rate": 0.75,
        "harm_rate": 0.25,
    }  # fmt: skip
    assert of("nav_pretrained.ndjson").dataset == {}


def test_only_the_last_updates_count_where_it_is_asked() -> None:
    extremes = {one.field: one for one in of("town_anneal.ndjson", last=2).extremes}
    assert extremes["kl_divergence"] == Extreme("kl_divergence", 0.01, 4, 0.01, 4)


def test_a_censored_run_says_that_it_did_not_reach_its_target() -> None:
    found = of("nav_scratch_censored.ndjson")
    assert (found.about["reached_target"], found.about["steps_to_target"]) == ("no", None)


def test_a_log_that_is_torn_has_not_ended() -> None:
    found = of("torn_tail.ndjson")
    assert (found.about["status"], found.about["reached_target"], found.about["torn_bytes"]) == ("not ended", None, 361)
    assert found.phases[0].outcome == "completed"


def test_a_run_that_goes_on_is_in_its_phase() -> None:
    log = sample("nav_pretrained.ndjson")
    assert summarised(log._replace(records=log.records[:8])).phases[0].outcome == "running"


def test_an_imported_log_is_summed_up_by_its_own_fields() -> None:
    found = of("v1_2.ndjson")
    assert (found.about["status"], found.about["env_steps"], found.about["upgraded_from"]) == ("imported", None, "1.2")
    assert found.phases == (
        Phase("bc, cycle 0", "bc", None, None, 1, 0, "imported", 0.96875, 0.9, ()),
        Phase("ppo, cycle 0", "ppo", None, None, 2, 0, "imported", 0.96875, 0.9, ("loss",)),
    )
    assert found.wall == {"seconds of an update, median": 0.5, "seconds of all updates": 1.5}


def test_what_depends_on_the_clock_stands_apart() -> None:
    log = sample("nav_pretrained.ndjson")
    later = [
        line.replace(b"2026-01-02", b"2026-01-03").replace(b"512.0", b"513.0")
        for line in nav("pretrained", (48, 56, 60, 62), 2).lines
    ]
    moved = tuple(type(one).model_validate_json(line) for one, line in zip(log.records, later, strict=True))
    one, other = as_json(summarised(log)), as_json(summarised(log._replace(records=moved)))
    assert one != other
    assert one | {"wall": {}} == other | {"wall": {}}
    assert "wall" not in as_json(summarised(log), wall=False)


def test_a_summary_is_json() -> None:
    log = sample("nav_pretrained.ndjson")
    found = summarised(log, drift=compare(log.records, {"return_mean": 1.0}, {}, None))
    assert json.loads(json.dumps(as_json(found)))["drift"]["drifts"][0]["worst"] == 0.75
