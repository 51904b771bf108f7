"""Counter-based random numbers: a hash of (seed, world, episode, tick, agent, stream).

There is no state to save, and a world does not depend on the other worlds. Three rounds of the splitmix64 finaliser
(Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators").
"""

import numpy as np

from headstart.worlds.jit import rule

_WORLD = np.uint64(0x9E3779B97F4A7C15)
_EPISODE = np.uint64(0xD1B54A32D192ED03)
_TICK = np.uint64(0x8CB92BA72F3D8DD7)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_AGENT = np.uint64(64)
_S30, _S27, _S31, _S33 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(33)


@rule
def _mix(z):
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@rule
def draw(seed, world, episode, tick, agent, stream, n):
    """A whole number in [0, n). All operands are made uint64 first: mixed signs would silently become floats."""
    z = _mix(np.uint64(seed) * _WORLD + np.uint64(world))
    z = _mix(z + np.uint64(episode) * _EPISODE)
    z = _mix(z + np.uint64(tick) * _TICK + np.uint64(agent) * _AGENT + np.uint64(stream))
    return np.int64(z >> _S33) % n
