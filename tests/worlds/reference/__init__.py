"""An independent implementation of the town in plain Python, slow, to check the compiled rules.

It is written from the town's specification (`§` names its sections) and shares with the compiled world nothing but names and ids from
`state.py`. No numba, no arrays: an agent is an `Agent`, a queue is a list, a distance is looked up in a dictionary.

    chance.py         random numbers                         §1
    setup.py          what a scenario sets, with defaults    §4, §8
    layout.py         the map, its eight turns, distances    §1
    town.py           Agent, Thing, Town: the state          §1
    world.py          the order of a tick; ends and resets   §3
    beginning.py      births, respawns                       §4, §8
    actions.py        what is allowed, what it does          §2
    queues.py         queues, claims, stalling, conflicts    §4
    affordances.py    what objects cost and give             §4
    relationships.py  rivalry, trust, chat, shared meals     §4
    employment.py     shifts                                 §4
    perturbations.py  spikes, cuts, meetings                 §4
    living.py         effects of time on an agent             §3.4, §5
    observe.py        features and map                       §6

    compare.py        the first difference, in words
    pair.py           the compiled town and this one, stepped together
    policies.py       policies that make all rules take part
    towns.py          every scenario, and two made-up towns

Where the specification leaves a choice open, the reading taken here is marked "Reading:" beside the rule; docs/design.md
("The town") settles the others. The numbers of random streams, the order of draws and the names of features are the compiled world's.
"""
