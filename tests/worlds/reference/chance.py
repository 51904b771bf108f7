"""Random numbers without a state: a hash of agent, time and stream (§1)."""

from dataclasses import dataclass

BITS = 2**64 - 1
WORLD, EPISODE, TICK = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0x8CB92BA72F3D8DD7


def scramble(z: int) -> int:
    """The finaliser of splitmix64."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & BITS
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & BITS
    return z ^ (z >> 31)


@dataclass(frozen=True)
class Dice:
    """The random numbers of one world."""

    seed: int
    world: int

    def roll(self, n: int, stream: int, episode: int, tick: int, agent: int) -> int:
        """A whole number in [0, n): three rounds, of which the top 31 bits count (§1)."""
        z = scramble(self.seed * WORLD + self.world & BITS)
        z = scramble(z + episode * EPISODE & BITS)
        z = scramble(z + tick * TICK + agent * 64 + stream & BITS)
        return (z >> 33) % n
