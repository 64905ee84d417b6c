"""Package faces: names that a package re-exports, imported from their modules on first use."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_face(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Make a package's ``__getattr__`` (PEP 562).

    A name must differ from its module's: once the module is imported, the package's attribute is the
    module.

    Args:
        package: The package's ``__name__``.
        homes: Maps each name to the module in the package that defines it.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    return find
