"""Descriptors on a settings class that support its views."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from windsock.settings.handing import own

if TYPE_CHECKING:
    from windsock.settings.settings import Settings


class FieldReader:
    """Handles the first read of a field from a view.

    It isn't a data descriptor: ordinary instances, and views that already have the value, never call it.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: "Settings | None", owner: "type[Settings]") -> Any:
        name = self.name
        try:
            served = instance._windsock_served  # type: ignore[union-attr]  # noqa: SLF001 - fast, and a slot
        except AttributeError:  # accessed on the class, or on an ordinary instance without the field
            raise AttributeError(f"{owner.__name__!r} has no attribute {name!r}") from None
        if served is None:
            return own(owner.__windsock__.resolve(None, {}).resolution.values[name])
        resolution = served.resolution
        try:
            value = resolution.shared[name]
        except KeyError:
            value = own(resolution.values[name])
        instance.__dict__[name] = value
        return value


class CachedProperty(cached_property[Any]):
    """A cached property that isn't cached on the live object, whose values may change at any time."""

    def __init__(self, name: str, cached: cached_property[Any]) -> None:
        super().__init__(cached.func)
        self.attrname = name
        self._cached = cached

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        if instance is type(instance).__windsock_live__:
            return self.func(instance)
        return self._cached.__get__(instance, owner)


def cached_properties(settings_class: type) -> dict[str, cached_property[Any]]:
    """Find a class's cached properties that aren't wrapped in `CachedProperty` yet."""
    attributes: dict[str, object] = {}
    for kind in reversed(settings_class.__mro__):
        attributes |= vars(kind)
    return {
        name: attribute
        for name, attribute in attributes.items()
        if isinstance(attribute, cached_property) and not isinstance(attribute, CachedProperty)
    }
