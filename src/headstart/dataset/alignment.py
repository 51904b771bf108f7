"""Does row t hold the observation from which a_t was chosen? A sign of a recorder that is a step off, without replay.

The kept final observation o_T is the anchor. A recorder that pairs a_t with o_{t+1} stores o_T in the last row; one that lags stores o_0 twice.
So in most episodes the last row equals the final observation, or the first row equals the second. Replay proves alignment with the world at
hand; this also shows a world that is a step off itself.
"""

import numpy as np

from headstart.core.verdict import Check, at_most, not_applicable, unmeasured
from headstart.dataset.episodes import Episodes

HALF = 0.5  # of the episodes; an aligned recorder has about 0, one that is a step off about 1


def observation_repeats(episodes: Episodes, has_final: bool = True) -> Check:
    """Share of episodes that repeat an observation at an edge, less the share of inner steps in which nothing changes anyway.

    The episodes tile the steps; those of fewer than four steps are left out.
    """
    if not has_final:
        return not_applicable("observation-repeats", "<=", HALF, "final observations are not recorded")
    table, features = episodes.table, episodes.observation["features"]
    long = table.length >= 4
    if not long.any():
        return unmeasured("observation-repeats", "<=", HALF, "needs episodes of four steps or more")
    first, last = table.start[long], (table.start + table.length - 1)[long]
    same = np.append((features[1:] == features[:-1]).all(axis=1), False)  # [N], row t equals row t + 1
    inner = np.repeat(long, table.length)  # [N], a step that touches neither edge of its episode
    for edge in (first, last - 1, last):
        inner[edge] = False
    still = float(same[inner].mean())
    start = float(same[first].mean()) - still
    end = float((features[last] == episodes.final_observation["features"][long]).all(axis=1).mean()) - still
    text = (
        f"share of episodes, less chance: last row equals the final observation {end:+.2f}, "
        f"first row equals the second {start:+.2f}"
    )
    return at_most("observation-repeats", max(end, start, 0.0), HALF, text, len(first))
