"""What a settings view knows: its values, its user, what healing did, and what was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from windsock.settings.process import process
from windsock.settings.resolution import ServedResolution
from windsock.usage.data import Healed, Use
from windsock.usage.request import current_request

if TYPE_CHECKING:
    from windsock.settings.settings import Settings

# bypasses `Settings.__getattr__` and `__setattr__`, which are for the reader
_slot: Final = object.__getattribute__
_set_slot: Final = object.__setattr__


@dataclass(frozen=True, slots=True, eq=False)
class Fallback(ServedResolution):
    """Settings that failed in a call, and what healing put in their place.

    Attributes:
        replacement: The values that worked, or will be tried next.
        unrecorded: Earlier failures that aren't in a row yet.
    """

    replacement: ServedResolution
    unrecorded: tuple[Healed, ...]


def is_view(settings: "Settings") -> bool:
    """Whether this is a view rather than an ordinary instance."""
    try:
        _slot(settings, "_windsock_served")
    except AttributeError:
        return False
    return True


def served_of(settings: "Settings") -> ServedResolution | None:
    """The values behind a view (for the live view, those in force); None for an ordinary instance."""
    try:
        served: ServedResolution | None = _slot(settings, "_windsock_served")
    except AttributeError:
        return None
    return served or type(settings).__windsock__.resolve(None, {})


def key_of(view: "Settings") -> str | None:
    """A view's targeting key; None for the live view and for views created without a user."""
    return cast("str | None", _slot(view, "_windsock_key"))


def fallback_of(view: "Settings") -> Fallback | None:
    """What a view (the live view: in this request) fell back to; None if it wasn't healed."""
    served = _slot(view, "_windsock_served")
    if served is None and (request := current_request()) is not None:
        served = request.notes.get(type(view))
    return served if type(served) is Fallback else None


def set_fallback(view: "Settings", replacement: ServedResolution, unrecorded: tuple[Healed, ...]) -> None:
    """Remember what a view fell back to; the live view remembers it for the current request.

    Args:
        view: The view that the caller of `heal` holds.
        replacement: The values that worked, or will be tried next.
        unrecorded: Earlier failures that aren't in a row yet.
    """
    served = served_of(view) or replacement
    fallback = Fallback(served.resolution, served.serving, replacement, unrecorded)
    if view is not type(view).__windsock_live__:
        _set_slot(view, "_windsock_served", fallback)
    elif (request := current_request()) is not None:
        request.notes[type(view)] = fallback


def _healed_in(view: "Settings") -> tuple[Healed, ...]:
    try:
        healed: tuple[Healed, ...] = _slot(view, "_windsock_healed")
    except AttributeError:
        return ()
    return healed


def set_healed(view: "Settings", healed: tuple[Healed, ...]) -> None:
    """Record in a view what was healed."""
    _set_slot(view, "_windsock_healed", healed)


def fields_read(settings: "Settings") -> list[str]:
    """The fields read from a view so far, in field order."""
    return [name for name in type(settings).model_fields if name in settings.__dict__]


class ViewTrace:
    """Reports a view's use to the request that created the view.

    Attributes:
        instead: Values to report instead of those read.
    """

    __slots__ = ("_attributes", "_settings", "instead")

    def __init__(self, settings: "Settings", attributes: Mapping[str, object] | None = None) -> None:
        self._settings = settings
        self._attributes = {} if attributes is None else attributes
        self.instead: Mapping[str, object] = {}

    def use(self) -> Use:
        """The values read so far and their origins."""
        settings = self._settings
        served: ServedResolution = _slot(settings, "_windsock_served")
        resolution, serving = served.resolution, served.serving
        declaration = type(settings).__windsock__.declaration
        read = {name: self.instead.get(name, settings.__dict__[name]) for name in fields_read(settings)}
        experiment, arm = resolution.exposure(read) or (None, None)
        return Use(
            flag=declaration.flag,
            variant=resolution.deciding.variant,
            config_id=resolution.config_id,
            revision=serving.revision if serving else None,
            reason=resolution.deciding.reason,
            environment=process.evaluating().environment,
            user_id=key_of(settings),
            values=declaration.shown(read),
            healed=_healed_in(settings),
            experiment=experiment,
            arm=arm,
            exposed_to=resolution.exposed_arm(read),
            attributes=self._attributes,
            evaluation_error=resolution.error,
        )


def register(view: "Settings", attributes: Mapping[str, object]) -> None:
    """Register a new view with the current request, if any."""
    request = current_request()
    if request is not None:
        request.record(ViewTrace(view, attributes))
