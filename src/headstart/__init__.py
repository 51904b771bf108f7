"""headstart turns expert behaviour into a head start for PPO, and proves how large it is."""

__version__ = "0.2.0"
