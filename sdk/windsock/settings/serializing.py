"""Serializing views: pydantic reads a model's ``__dict__``, so serializers get the whole instance instead."""

from collections.abc import Callable
from typing import Any, cast

from pydantic_core import CoreSchema
from pydantic_core.core_schema import ModelSchema, wrap_serializer_function_ser_schema


class _OfWhole:
    """A model serializer, pydantic's or the class's own, applied to the instance that `whole` returns."""

    __slots__ = ("_serialize", "_whole")

    def __init__(self, whole: Callable[[Any], Any], serialize: Callable[..., Any]) -> None:
        self._whole = whole
        self._serialize = serialize

    def __call__(self, settings: Any, *handler_and_info: Any) -> Any:
        return self._serialize(self._whole(settings), *handler_and_info)


def serialize_whole(schema: CoreSchema, whole: Callable[[Any], Any]) -> None:
    """Make a settings class's serializer receive the whole instance behind a view.

    Args:
        schema: The class's schema, changed in place.
        whole: Returns the instance behind a view; returns an ordinary instance unchanged.
    """
    while schema["type"] != "model":  # model validators wrap it
        schema = cast("Any", schema)["schema"]
    model = cast("ModelSchema", schema)
    own: Any = model.get("serialization")
    if own is None:
        passed_on = _OfWhole(whole, lambda settings, handler: handler(settings))
        model["serialization"] = wrap_serializer_function_ser_schema(passed_on)
    elif not isinstance(own["function"], _OfWhole):  # pydantic may request a schema it already has
        model["serialization"] = {**own, "function": _OfWhole(whole, own["function"])}
