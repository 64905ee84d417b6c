"""Lay layers over the code defaults, and drop invalid values one by one until the rest validates."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_settings.sources import DefaultSettingsSource

from windsock.nested import FieldPath, at, holds, leaf_paths, nest, overlay, without
from windsock.settings.flag_input import complaints, to_input
from windsock.settings.layers import Layer, MergedLayers, Origin, Refusal, masked
from windsock.settings.shapes import by_name, fields_of, named_path
from windsock.settings.validation import (
    ARGUMENTS,
    LayerValidator,
    Resolvable,
    ValidationFault,
    ValidationResult,
)
from windsock.text import MASK, mask_passwords

_TUNED = frozenset({"experiment", "profile"})
_ROUNDS = 64
"""Maximum validations before whole layers are dropped. One reports every error that pydantic finds."""


def merge_layers(
    declared: Resolvable,
    layers: Sequence[Layer],
    defaults: DefaultSettingsSource | None = None,
    *,
    lenient: bool = False,
    strict: Collection[str] = (ARGUMENTS,),
) -> MergedLayers:
    """Lay the layers over the code defaults, weakest first, and let pydantic validate the result.

    A value that fails validation is replaced individually by the layer below. If a model validator ties
    fields together, the layer's values for that model fall together.

    Args:
        declared: The settings class.
        layers: The layers to resolve.
        defaults: The source that pydantic-settings uses for code defaults, if not the usual one.
        lenient: Whether required fields may be missing, because only some layers are checked.
        strict: Layers whose values must be valid.

    Raises:
        Exception: What pydantic or a validator raised for a strict layer, or for a class that needs more than
            its code defaults.
    """
    valid = _ValidLayers(declared, layers, LayerValidator(declared, defaults), strict)
    instance = valid.instance(lenient=lenient)
    code = Layer(Origin("default"), declared.defaults)
    applied = (code, *(layer for layer in valid.layers if layer.values))
    values = {
        name: instance.__dict__[name]
        for name in declared.settings_class.model_fields
        if name in instance.__dict__
    }
    origins = {name: layer.origin for layer in applied for name in layer.values if name in values}
    return MergedLayers(instance, values, origins, tuple(valid.refusals), applied)


def without_fields(settings_class: type[Any], layer: Layer, names: Collection[str]) -> Layer:
    """Copy a layer without some of its fields."""
    values = {name: value for name, value in layer.values.items() if name not in names}
    if layer.input is None:
        return layer._replace(values=values)
    keys = {str(key[0]) for name in names for key in fields_of(settings_class)[name].keys}
    return layer._replace(
        values=values, input={key: value for key, value in layer.input.items() if key not in keys}
    )


class _ValidLayers:
    """Layers from which invalid values are dropped."""

    def __init__(
        self,
        declared: Resolvable,
        layers: Sequence[Layer],
        validator: LayerValidator,
        strict: Collection[str],
    ) -> None:
        self._strict = strict
        self.refusals: list[Refusal] = []
        self._declared = declared
        self._class = declared.settings_class
        self._validator = validator
        self.layers = [self._allowed(layer) for layer in layers]

    def instance(self, *, lenient: bool) -> BaseModel:
        """Retry until the layers validate."""
        for _ in range(_ROUNDS):
            outcome = self._validator.validate(self.layers)
            if outcome.instance is not None:
                return outcome.instance
            if not self._drop_faulty(outcome):
                break
        if self._declared.complete:
            return self._of_whole_layers()
        if not lenient and outcome.error is not None:
            raise outcome.error
        return self._declared.code

    def _allowed(self, layer: Layer) -> Layer:
        """Reject values that a flag must not set; pydantic would accept some of them."""
        if layer.input is not None:
            return layer
        tuned = layer.origin.layer in _TUNED
        for path, message in list(complaints(self._class, layer.values, self._declared.code, tuned=tuned)):
            layer = self._without(layer, path, path, message)
        return layer

    def _drop_faulty(self, outcome: ValidationResult) -> bool:
        """Drop the values that caused the faults; False if there's nothing to drop."""
        wrong: dict[int, list[ValidationFault]] = {}
        prefixes: dict[int, tuple[ValidationFault, ...]] = {}
        for fault in outcome.faults:
            place = self._culprit(fault, prefixes)
            if place is not None:
                wrong.setdefault(place, []).append(fault)
        raised = [place for place in wrong if self.layers[place].origin.layer in self._strict]
        if outcome.error is not None and raised and len(raised) == len(wrong):
            raise outcome.error
        before = len(self.refusals)
        for place in wrong.keys() - raised:
            for path, message in self._blamed(place, wrong[place]).items():
                layer = self.layers[place]
                names = named_path(self._class, self._input(layer), path)
                self.layers[place] = self._without(layer, path, names, message)
        return len(self.refusals) > before

    def _culprit(
        self, fault: ValidationFault, prefixes: dict[int, tuple[ValidationFault, ...]]
    ) -> int | None:
        """Find the layer that causes a fault: the last layer of the shortest prefix that has it.

        The strongest layer with the value may not be the cause: a validator can read other fields. None if
        the code defaults alone have the fault.
        """
        for count in range(len(self.layers)):
            if count not in prefixes:
                prefixes[count] = self._validator.validate(self.layers[:count]).faults
            if any((each.path, each.kind) == (fault.path, fault.kind) for each in prefixes[count]):
                return count - 1 if count else None
        return len(self.layers) - 1 if self.layers else None

    def _blamed(self, place: int, faults: Sequence[ValidationFault]) -> dict[FieldPath, str]:
        """Find a layer's value behind each fault; all of its values if it has none at that path."""
        values = self._input(self.layers[place])
        blamed: dict[FieldPath, str] = {}
        for fault in faults:
            if fault.path is None:
                found = self._raising(place)
            else:
                deepest = next(
                    fault.path[:n] for n in range(len(fault.path), -1, -1) if holds(values, fault.path[:n])
                )
                found = [deepest] if deepest else [(key,) for key in values]
            for path in found:
                blamed.setdefault(path, fault.message)
        # dropping a mapping drops its contents too
        return {
            path: text
            for path, text in blamed.items()
            if not any(path[:n] in blamed for n in range(1, len(path)))
        }

    def _raising(self, place: int) -> list[FieldPath]:
        """Find the leaves of a layer that make a validator raise an error without a location."""
        layer = self.layers[place]
        values = layer.values if layer.input is None else layer.input
        kept: Mapping[str, object] = {}
        raising = []
        for leaf in leaf_paths(values):
            more = overlay(kept, nest(leaf, at(values, leaf)))
            tried = layer._replace(values=more) if layer.input is None else layer._replace(input=more)
            if any(
                fault.path is None for fault in self._validator.validate([*self.layers[:place], tried]).faults
            ):
                raising.append(leaf)
            else:
                kept = more
        return raising or [(key,) for key in values]

    def _of_whole_layers(self) -> BaseModel:
        """Keep only layers that validate unchanged, weakest first."""
        instance = self._declared.code
        kept: list[Layer] = []
        for layer in self.layers:
            outcome = self._validator.validate([*kept, layer])
            if outcome.instance is not None:
                instance = outcome.instance
                kept.append(layer)
                continue
            if layer.origin.layer in self._strict and outcome.error is not None:
                raise outcome.error
            for name in layer.values:
                self._without(layer, (name,), (name,), f"not valid: {type(outcome.error).__name__}")
        self.layers = kept
        return instance

    def _input(self, layer: Layer) -> Mapping[str, object]:
        return (
            to_input(self._class, layer.values, self._declared.code) if layer.input is None else layer.input
        )

    def _without(self, layer: Layer, path: FieldPath, names: FieldPath, message: str) -> Layer:
        """Drop a layer's value at a path, by input key and by field name, and record the refusal."""
        shown, message = masked(at(layer.values, names)), mask_passwords(message)
        if self._declared.is_secret(names):  # a validator's own message may quote the value
            shown, message = MASK, "not valid; the field is secret, so the reason isn't shown"
        self.refusals.append(Refusal(names, layer.origin, shown, message))
        if layer.input is None:
            return layer._replace(values=without(layer.values, names))
        left = without(layer.input, path)
        return layer._replace(input=left, values=by_name(self._class, left))
