"""Package faces: names that a package hands on, imported from their modules when they are first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_face(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Make a package's ``__getattr__`` (PEP 562).

    A name must not be that of its own module: once the module is imported, the package's attribute is the
    module.

    Args:
        package: The package's ``__name__``.
        homes: Each name to the module in the package that defines it.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    return find
