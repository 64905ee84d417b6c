"""Values nested in mappings: look up, overlay, remove, walk."""

from collections.abc import Iterable, Mapping

FieldPath = tuple[str, ...]


def overlay(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Merge `above` over `below`: mappings merge key by key, everything else replaces."""
    merged = dict(below)
    for key, value in above.items():
        merged[key] = (
            overlay(old, value)
            if isinstance(value, Mapping) and isinstance(old := merged.get(key), Mapping)
            else value
        )
    return merged


def nest(path: FieldPath, value: object) -> dict[str, object]:
    """A mapping with one value, at a path of at least one step."""
    head, *rest = path
    return {head: nest(tuple(rest), value) if rest else value}


def without(values: Mapping[str, object], path: FieldPath) -> dict[str, object]:
    """Return a copy without the value at a path, and without the mappings that this would leave empty."""
    head, *rest = path
    kept = {key: value for key, value in values.items() if key != head}
    if rest and isinstance(below := values.get(head), Mapping) and (remaining := without(below, tuple(rest))):
        kept[head] = remaining
    return kept


def at(values: Mapping[str, object], path: FieldPath) -> object:
    """Return the value at a path, or None if there is none."""
    node: object = values
    for key in path:
        node = node[key] if isinstance(node, Mapping) and key in node else None
    return node


def leaf_paths(values: Mapping[str, object], above: FieldPath = ()) -> Iterable[FieldPath]:
    """The path of each value that isn't a mapping, or is an empty one, in order."""
    for key, value in values.items():
        path = (*above, str(key))
        if isinstance(value, Mapping) and value:
            yield from leaf_paths(value, path)
        else:
            yield path


def holds(values: Mapping[str, object], path: FieldPath) -> bool:
    """Whether there is a value at a path."""
    node: object = values
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return True


def says(values: Mapping[str, object], path: FieldPath) -> bool:
    """Whether a layer has a value at a path, or a plain value where the path has a mapping."""
    node: object = values
    for key in path:
        if not isinstance(node, Mapping):
            return True
        if key not in node:
            return False
        node = node[key]
    return True
