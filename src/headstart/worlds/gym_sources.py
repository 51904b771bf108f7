"""What decides the episodes of a Gymnasium environment beside the scenario: the code of the environment, and versions of distributions."""

from collections.abc import Iterable

from headstart.core.own_code import code_of


def sources_of(classes: Iterable[type], id_: str) -> dict[str, str]:
    """Module → SHA-256, and distribution → version, of an environment and its wrappers, given as their classes, and of what registers it.

    Of the user's own modules, also those that they import, module by module; of an installed distribution its version, and the modules of the
    classes and their bases.
    """
    modules = {base.__module__ for cls in classes for base in cls.__mro__}
    registering, colon, _ = id_.partition(":")
    return code_of(*modules, *([registering] if colon else []))
