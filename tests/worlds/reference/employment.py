"""Shifts: who works where and when, and the cost of lateness and absence (§4, Employment)."""

from tests.worlds.reference.relationships import change_familiarity, change_rivalry, change_trust
from tests.worlds.reference.town import Agent, Town

from headstart.worlds.town.state import ABSENT, DONE, JOB, LATE, OFF, ON_TIME, PRE, SHIFT

REACH = 2  # steps from the workplace
PRE_TICKS, GRACE, ABSENT_AFTER = 20, 4, 20  # ticks before and after the start
WAGE, FINE = 3, 20  # cents
MAX_STRIKES = 3


def hire(town: Town, agent: Agent) -> None:
    """Jobs spread evenly, from an offset that the episode draws; each job's start is drawn per episode (§4, §8).

    Reading: job 0 is at the first workplace by letter, job 1 at the second, and round again.
    """
    setup, shift = town.setup, town.setup.shift
    if setup.jobs == 0:
        return
    workplaces = town.plan.all_of("workplace")
    agent.job = (agent.id + town.roll(setup.jobs, JOB)) % setup.jobs
    agent.workplace = workplaces[agent.job % len(workplaces)]
    agent.shift_start = shift["first"] + shift["spacing"] * agent.job + town.roll(shift["jitter"] + 1, SHIFT, agent.job)
    agent.shift_end = agent.shift_start + shift["length"]


def enter_day(town: Town, agent: Agent) -> None:
    """Reading: an agent that enters the world in the middle of a day does not owe a shift that has begun."""
    agent.job_state = OFF
    if agent.job is not None and town.time_of_day >= agent.shift_start - PRE_TICKS:
        agent.job_state = PRE if town.time_of_day <= agent.shift_start else DONE


def may_work(town: Town, agent: Agent) -> bool:
    """Within 2 steps of the own workplace, start ≤ time of day < end, not marked absent (§2)."""
    if agent.job is None or agent.job_state in (ABSENT, DONE):
        return False
    in_time = agent.shift_start <= town.time_of_day < agent.shift_end
    return in_time and at_work(town, agent)


def at_work(town: Town, agent: Agent) -> bool:
    return town.plan.distance(agent.workplace, agent.cell) <= REACH


def work(town: Town, agent: Agent) -> None:
    """The first tick of work decides whether the agent is on time; every tick earns 3 cents (§4, §5 wage and punctuality)."""
    if agent.job_state == PRE:
        if town.time_of_day <= agent.shift_start + GRACE:
            agent.job_state = ON_TIME
            agent.reward["punctuality"] += 10000
            town.note("on_time", agent.id)
        else:
            come_late(town, agent)
    agent.worked += 1
    agent.wallet += WAGE
    agent.reward["wage"] += 100 * WAGE


def come_late(town: Town, agent: Agent) -> None:
    """−20 cents; more trust and less rivalry toward each co-worker who is there (§4 [U]).

    Reading: a wallet does not go below 0; only what the late agent holds toward others changes.
    """
    agent.job_state = LATE
    agent.wallet = max(0, agent.wallet - FINE)
    agent.reward["punctuality"] -= 10000
    town.note("late", agent.id)
    town.note("late_ticks", agent.id, amount=town.time_of_day - agent.shift_start)
    for other in coworkers_present(town, agent):
        town.note("late_help", agent.id, other.id)
        change_trust(town, agent.id, other.id, 2000)
        change_familiarity(town, agent.id, other.id, 1000)
        change_rivalry(town, agent.id, other.id, -1000)


def stay_away(town: Town, agent: Agent) -> None:
    """Absent: rivalry toward each co-worker who is there, who holds half of it in return; the third time, eviction (§4, with [U])."""
    agent.job_state = ABSENT
    agent.strikes += 1
    agent.reward["punctuality"] -= 20000
    town.note("absent", agent.id)
    for other in coworkers_present(town, agent):
        town.note("shift_takeovers", agent.id, other.id)
        for holder, held, share in ((agent, other, 1), (other, agent, 2)):
            change_rivalry(town, holder.id, held.id, 3000 // share)
            change_trust(town, holder.id, held.id, -1000 // share)
    if agent.strikes >= MAX_STRIKES:
        agent.alive = False
        agent.reward["terminal"] -= 30000
        town.note("evictions", agent.id)


def coworkers_present(town: Town, agent: Agent) -> list[Agent]:
    """Reading: the same job, a shift that has been begun, within reach of the workplace."""
    return [
        other
        for other in town.others(agent)
        if other.job == agent.job and other.job_state in (ON_TIME, LATE) and at_work(town, other)
    ]


def run_shift(town: Town, agent: Agent) -> None:
    """Off → pre, 20 ticks before the start; absent 20 ticks after it, without work; done at the end; off with a new day (§4).

    Reading: the state is that of the next tick, so that it agrees with the next observation. An agent is absent if it has not worked in
    the 20 ticks from the start (nor in the whole shift, if that is shorter).
    """
    if agent.job is None:
        return
    coming = town.time_of_day + 1
    if agent.job_state == PRE and coming == min(agent.shift_start + ABSENT_AFTER, agent.shift_end):
        stay_away(town, agent)
    if agent.job_state != DONE and coming == agent.shift_end:
        finish(town, agent)
    if coming == town.setup.day:
        coming, agent.job_state, agent.worked = 0, OFF, 0
    if agent.job_state == OFF and agent.shift_start - PRE_TICKS <= coming <= agent.shift_start:
        agent.job_state = PRE


def finish(town: Town, agent: Agent) -> None:
    """A full shift is 80 % of the window."""
    agent.job_state = DONE
    town.note("shifts", agent.id)
    if 100 * agent.worked >= 80 * town.setup.shift["length"]:
        agent.reward["punctuality"] += 5000
        town.note("full_shifts", agent.id)
