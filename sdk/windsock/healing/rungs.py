"""Re-resolve settings for healing, with fields one rung down or a withdrawn value on probation."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers, without_fields
from windsock.settings.place import ValueKey
from windsock.settings.process import process
from windsock.settings.resolution import Resolution
from windsock.settings.resolver import LAST_GOOD, Resolver
from windsock.settings.tally import Tally


def lowered(
    resolver: Resolver, resolution: Resolution, fields: Iterable[str], last_good: Mapping[str, object]
) -> Resolution:
    """Resolve again with each of `fields` one rung down.

    A rung down means the last value that worked, if `last_good` has one, else the next weaker layer with a
    different value. The settings' identity (the deciding flag, the configuration) doesn't change.
    """
    dropped: dict[str, set[Origin]] = {name: set() for name in fields}
    known = {name: value for name, value in last_good.items() if name in dropped}
    found = resolution
    while unchanged := [
        name
        for name in dropped
        if found.values[name] == resolution.values[name] and found.merged.origins[name].layer != "default"
    ]:
        for name in unchanged:
            dropped[name].add(found.merged.origins[name])
        found = _without(resolver, resolution, dropped, known)
    return found


def on_probation(resolver: Resolver, resolution: Resolution, key: ValueKey, value: object) -> Resolution:
    """Resolve again with one withdrawn value restored."""
    _, variant, name = key
    layers = []
    for layer in resolution.layers:
        if resolver.place(layer.origin, name) == key:
            config_id = variant if layer.origin.layer == "profile" else None
            layers.append(Layer(replace(layer.origin, config_id=config_id), {**layer.values, name: value}))
        else:
            layers.append(layer)
    others = {each: gone for each, gone in process.withdrawn.items() if each != key}
    return resolver.resolve_layers(
        resolution.outcomes, resolution.arms, layers, others, excluded=resolution.excluded
    )


def _without(
    resolver: Resolver,
    resolution: Resolution,
    dropped: Mapping[str, set[Origin]],
    known: Mapping[str, object],
) -> Resolution:
    layers = [
        without_fields(
            resolver.declaration.settings_class,
            layer,
            {name for name in dropped if layer.origin in dropped[name]},
        )
        for layer in resolution.merged.applied[1:]
    ]
    for name, value in known.items():
        origin = replace(resolution.merged.origins[name], layer=LAST_GOOD)
        if origin not in dropped[name]:
            layers.append(Layer(origin, {name: value}))
    merged = merge_layers(resolver.declaration, layers)
    return replace(resolution, values=merged.values, merged=merged, tally=Tally())
