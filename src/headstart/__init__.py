"""headstart turns expert behaviour into a head start for PPO, and proves how large the head start is."""

__version__ = "0.1.0"
