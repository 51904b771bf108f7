"""The first difference between the reference and a compiled world, in words: tick, agent and field."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from tests.worlds.reference.layout import Plan
from tests.worlds.reference.town import Agent, Town
from tests.worlds.reference.world import statistics

from headstart.worlds.town.state import GRID, NEEDS, REWARD_TERMS

Field = tuple[str, Any, Any]  # name, by the reference, by the compiled world

AGENT_FIELDS = (
    "wallet", "extroversion", "forgiveness", "ambition", "status", "busy", "claim", "joined", "last_action", "last_ok",
    "job_state", "shift_start", "shift_end", "worked", "strikes", "alive", "gone", "recent_conflict", "chat_cooldown",
    "yield_cooldown", "stay", "potential", "life",
)  # fmt: skip
WORLD_FIELDS = (
    "tick", "episode", "layout", "first_tick", "price", "spike_end", "blackout_end", "outage_end", "perturbation_cooldown",
)  # fmt: skip


def state_differences(town: Town, record: np.void) -> Iterator[str]:
    """Every field of a WORLD record [·] that is not what the reference has."""
    for name, expected, got in (*world_fields(town, record), *edge_fields(town, record)):
        if expected != got:
            yield f"world, {name}: reference {expected}, compiled {got}"
    for agent in town.agents:
        compiled = dict(zip(record["agent"].dtype.names, record["agent"][agent.id].item(), strict=True))
        for name, expected, got in agent_fields(agent, compiled):
            if expected != got:
                yield f"agent {agent.id}, {name}: reference {expected}, compiled {got}"


def world_fields(town: Town, record: np.void) -> Iterator[Field]:
    for name in WORLD_FIELDS:
        yield name, getattr(town, name), record[name]
    if town.meeting is None:
        yield "meet_a, meet_b", (-1, -1), (record["meet_a"], record["meet_b"])
    else:
        yield "meet_a, meet_b", town.meeting, (record["meet_a"], record["meet_b"])
        yield "meet_y, meet_x", town.meeting_cell, (record["meet_y"], record["meet_x"])
        yield "meet_end", town.meeting_end, record["meet_end"]
    for o, thing in enumerate(town.things):
        compiled = record["object"][o]
        yield f"object[{o}].active", or_nobody(thing.active), compiled["active"]
        yield f"object[{o}].stall", thing.stall, compiled["stall"]
        yield f"object[{o}].stock", thing.stock, compiled["stock"]
        yield f"queue[{o}]", thing.queue, record["queue"][o, : compiled["length"]].tolist()
    standing = {agent.cell: agent.id for agent in town.present()}
    occupied = np.argwhere(record["occupant"] >= 0).tolist()
    yield "occupant", standing, {(y, x): record["occupant"][y, x] for y, x in occupied}


def edge_fields(town: Town, record: np.void) -> Iterator[Field]:
    """Relationships [holder, other] and cool-downs [object, agent]."""
    tables = {"rivalry": town.rivalry, "trust": town.trust, "familiarity": town.familiarity, "cooldown": town.cooldown}
    for name, table in tables.items():
        rows = len(town.things) if name == "cooldown" else len(town.agents)
        for row, numbers in enumerate(record[name][:rows, : len(town.agents)].tolist()):
            for column, got in enumerate(numbers):
                yield f"{name}[{row}, {column}]", table[row, column], got


def agent_fields(agent: Agent, record: dict[str, Any]) -> Iterator[Field]:
    yield "y, x", agent.cell, (record["y"], record["x"])
    for k, need in enumerate(NEEDS):
        yield f"need {need}", agent.need[need], record["need"][k]
        yield f"decay {need}", agent.decay[need], record["decay"][k]
    for name in ("queue", "job", "workplace"):
        yield name, or_nobody(getattr(agent, name)), record[name]
    for name in AGENT_FIELDS:
        yield name, getattr(agent, name), record[name]
    if agent.ate_at is not None:
        yield "ate_at", agent.ate_at, record["ate_at"]
    for name, count in statistics(agent).items():
        yield name, count, record[name]


def or_nobody(id: int | None) -> int:
    return -1 if id is None else id


def reward_differences(reward: list[dict[str, int]], terms: np.ndarray, total: np.ndarray) -> Iterator[str]:
    """terms: [A, R] f32, total: [A] f32."""
    for a, earned in enumerate(reward):
        for term, units, got in zip(REWARD_TERMS, earned.values(), terms[a], strict=True):
            if np.float32(units / 10000) != got:
                yield f"agent {a}, reward {term}: reference {units / 10000}, compiled {got}"
        if np.float32(sum(earned.values()) / 10000) != total[a]:
            yield f"agent {a}, reward: reference {sum(earned.values()) / 10000}, compiled {total[a]}"


def named_differences(a: int, what: str, expected: dict[str, Any], got: np.ndarray) -> Iterator[str]:
    """Values by name, in order, against a row of an array; ratios count as equal where they are the same float32."""
    rows = np.array(list(expected.values())).astype(got.dtype)
    for index in np.argwhere((rows != got).reshape(len(expected), -1).any(axis=1)).ravel():
        name = list(expected)[index]
        yield f"agent {a}, {what} {name}: reference {rows[index]}, compiled {got[index]}"


def plan_differences(plan: Plan, record: np.void) -> Iterator[str]:
    """Everything about one turn of a map, against a PLAN record."""
    cells = [(y, x) for y in range(GRID) for x in range(GRID)]
    compiled: dict[str, Any] = {
        "floor": {cell for cell in cells if record["floor"][cell[0] + 1, cell[1] + 1]},
        "places": {o: tuple(record["place"][o]) for o in range(record["n_objects"])},
        "narrow": {cell for cell in cells if record["narrow"][cell]},
        "spawn": [tuple(cell) for cell in record["spawn"][: record["n_spawn"]].tolist()],
        "parking": {cell: record["parking"][cell] for cell in plan.parking},
    }
    mine: dict[str, Any] = {name: getattr(plan, name) for name in compiled} | {"places": dict(enumerate(plan.places))}
    for o, way in enumerate(plan.ways):
        mine[f"way to object {o}"] = way
        compiled[f"way to object {o}"] = {cell: record["distance"][o][cell] for cell in way}
    for name, expected in mine.items():
        if expected != compiled[name]:
            yield f"{name}: reference {expected}, compiled {compiled[name]}"
