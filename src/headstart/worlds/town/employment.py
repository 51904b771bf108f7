"""Jobs: a shift every day, a wage for every tick worked, and what being late or absent costs.

The states of a shift: off → pre (from 20 ticks before its start) → on time or late, by the first tick of work → done; or absent, when
20 ticks have gone by without work. The state is written for the next tick, so that it agrees with the next observation.
"""

from headstart.worlds.jit import rule
from headstart.worlds.rng import draw
from headstart.worlds.town.relationships import add_familiarity, add_rivalry, add_trust
from headstart.worlds.town.state import ABSENT, DONE, JOB, LATE, OFF, ON_TIME, PRE, PUNCTUALITY, SHIFT, TERMINAL, WAGE

WORK_REACH = 2  # steps from the workplace within which an agent can work
PRE_TICKS = 20  # before the start
GRACE_TICKS = 4  # after the start, still on time
ABSENT_TICKS = 20  # after the start, without work
WAGE_CENTS = 3  # a tick
LATE_FINE = 20  # cents
FULL_SHIFT = 80  # per cent of the window
MAX_STRIKES = 3  # absences


@rule
def hire(world, plan, setup, a):
    """The job of agent `a` for this episode: jobs are spread evenly, from an offset that the episode draws."""
    agent = world.agent[a]
    agent.job = agent.workplace = -1
    agent.job_state = agent.shift_start = agent.shift_end = agent.worked = 0
    if setup.jobs == 0:
        return
    offset = draw(world.seed, world.id, world.episode, 0, 0, JOB, setup.jobs)
    agent.job = (a + offset) % setup.jobs
    agent.workplace = plan.workplace[agent.job % plan.n_workplaces]
    later = draw(world.seed, world.id, world.episode, 0, agent.job, SHIFT, setup.shift_jitter + 1)
    agent.shift_start = setup.shift_first + setup.shift_spacing * agent.job + later
    agent.shift_end = agent.shift_start + setup.shift_length
    enter_day(world, setup, agent)


@rule
def enter_day(world, setup, agent):
    """The state of an agent whose first tick is this one; it does not owe a shift that has begun."""
    today = world.tick % setup.day
    if agent.job < 0 or today < agent.shift_start - PRE_TICKS:
        agent.job_state = OFF
    else:
        agent.job_state = PRE if today <= agent.shift_start else DONE


@rule
def may_work(world, plan, setup, agent):
    """Near enough, within the shift, and not marked absent."""
    if agent.job < 0 or not PRE <= agent.job_state <= LATE:
        return False
    today = world.tick % setup.day
    return agent.shift_start <= today < agent.shift_end and plan.distance[agent.workplace, agent.y, agent.x] <= WORK_REACH


@rule
def work(world, plan, setup, a):
    """One tick of work; the first of a shift decides whether agent `a` is on time."""
    agent = world.agent[a]
    if agent.job_state == PRE:
        if world.tick % setup.day <= agent.shift_start + GRACE_TICKS:
            agent.job_state = ON_TIME
            agent.on_time += 1
            agent.reward[PUNCTUALITY] += 10000
        else:
            _come_late(world, plan, setup, a)
    agent.worked += 1
    agent.wallet += WAGE_CENTS
    agent.reward[WAGE] += 100 * WAGE_CENTS


@rule
def run_shift(world, plan, setup, a):
    """The state of agent `a`'s shift in the next tick."""
    agent = world.agent[a]
    if agent.job < 0:
        return
    today = world.tick % setup.day + 1
    if agent.job_state == PRE and today == min(agent.shift_start + ABSENT_TICKS, agent.shift_end):
        _stay_away(world, plan, setup, a)
    if today == agent.shift_end and agent.job_state != DONE:
        _finish(setup, agent)
    if today == setup.day:
        today = 0
        agent.job_state = OFF
        agent.worked = 0
    if agent.job_state == OFF and agent.shift_start - PRE_TICKS <= today <= agent.shift_start:
        agent.job_state = PRE


@rule
def _finish(setup, agent):
    agent.shifts += 1
    if 100 * agent.worked >= FULL_SHIFT * setup.shift_length:
        agent.full_shifts += 1
        agent.reward[PUNCTUALITY] += 5000
    agent.job_state = DONE


@rule
def _come_late(world, plan, setup, a):
    """Agent `a` is fined; it trusts the colleagues at work more and holds less rivalry toward them."""
    agent = world.agent[a]
    agent.job_state = LATE
    agent.late += 1
    agent.late_ticks += world.tick % setup.day - agent.shift_start
    agent.reward[PUNCTUALITY] -= 10000
    agent.wallet = max(0, agent.wallet - LATE_FINE)
    for other in range(setup.agents):
        if _at_work_with(world, plan, a, other):
            agent.late_help += 1
            add_trust(world, a, other, 2000)
            add_familiarity(world, a, other, 1000)
            add_rivalry(world, a, other, -1000)


@rule
def _stay_away(world, plan, setup, a):
    """Absent: rivalry with the colleagues at work; the third strike evicts the agent."""
    agent = world.agent[a]
    agent.job_state = ABSENT
    agent.absent += 1
    agent.strikes += 1
    agent.reward[PUNCTUALITY] -= 20000
    for other in range(setup.agents):
        if _at_work_with(world, plan, a, other):
            agent.shift_takeovers += 1
            add_rivalry(world, a, other, 3000)
            add_trust(world, a, other, -1000)
            add_rivalry(world, other, a, 1500)
            add_trust(world, other, a, -500)
    if agent.strikes >= MAX_STRIKES:
        agent.evictions += 1
        agent.reward[TERMINAL] -= 30000
        agent.alive = 0


@rule
def _at_work_with(world, plan, a, other):
    """`other` has the same job as `a`, has begun its shift, and is there."""
    agent, colleague = world.agent[a], world.agent[other]
    if other == a or colleague.gone != 0 or colleague.job != agent.job:
        return False
    if colleague.job_state != ON_TIME and colleague.job_state != LATE:
        return False
    return plan.distance[colleague.workplace, colleague.y, colleague.x] <= WORK_REACH
