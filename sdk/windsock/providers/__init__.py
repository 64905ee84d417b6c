"""OpenFeature providers: where flags come from."""

from typing import TYPE_CHECKING

from windsock.lazy import lazy_face

if TYPE_CHECKING:
    from windsock.providers.base import Serving
    from windsock.providers.compiled import CompiledProvider
    from windsock.providers.files import FilesProvider

__all__ = ["CompiledProvider", "FilesProvider", "Serving"]

__getattr__ = lazy_face(
    __name__, {"CompiledProvider": "compiled", "FilesProvider": "files", "Serving": "base"}
)
