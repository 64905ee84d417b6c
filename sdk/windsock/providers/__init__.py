"""OpenFeature providers: where flags come from."""

from windsock.providers.compiled import CompiledProvider
from windsock.providers.files import FilesProvider
from windsock.serving import Serving

__all__ = ["CompiledProvider", "FilesProvider", "Serving"]
