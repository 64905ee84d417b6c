"""OpenFeature providers: where flags come from."""

from windsock.providers.compiled import CompiledProvider, Serving
from windsock.providers.files import FilesProvider

__all__ = ["CompiledProvider", "FilesProvider", "Serving"]
