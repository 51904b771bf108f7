"""What happened in a tick, from the counters before and after it."""

from typing import Any

WORDS = {
    "eats": "ate", "cooks": "cooked", "showers": "showered", "sleeps": "slept", "chats": "chatted", "yields": "yielded",
    "presses": "pressed", "ghost_steps": "lost its turn", "refused": "was refused", "faints": "fainted", "evictions": "was evicted",
    "on_time": "came on time", "late": "came late", "absent": "was absent", "full_shifts": "worked a full shift",
}  # fmt: skip


def events(before: Any, after: Any, agents: int) -> list[str]:
    """One phrase for every counter of an agent that rose between two WORLD records of one episode."""
    if after["episode"] != before["episode"]:
        return ["a new episode"]
    rose = [
        (a, words) for a in range(agents) for name, words in WORDS.items() if after["agent"][a][name] > before["agent"][a][name]
    ]
    return [f"{a} {words}" for a, words in rose]
