"""headstart turns expert behaviour into a head start for PPO, and proves how large it is.

The names of `__all__` are public, and docs/api.md describes them; each is imported when it is first asked for.
"""

__version__ = "0.3.0"

PUBLIC = {
    "Policy": "headstart.deploy.policy",
    "load": "headstart.deploy.policy",
    "load_dataset": "headstart.deploy.dataset",
    "make": "headstart.deploy.worlds",
    "parallel_env": "headstart.deploy.worlds",
}

__all__ = ["Policy", "__version__", "load", "load_dataset", "make", "parallel_env"]


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in PUBLIC:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    if PUBLIC[name] == "headstart.deploy.policy":
        import_module("headstart.core.extras").require_torch(f"headstart.{name}", "because a network acts")
    return getattr(import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
