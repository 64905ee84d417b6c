"""Read flagd documents with positions, and merge them. No I/O."""

from windsock.flags.merging import merge
from windsock.flags.model import Bucketing, Document, Flag, FlagSet, JsonValue, Problem
from windsock.flags.reading import read_document

__all__ = [
    "Bucketing",
    "Document",
    "Flag",
    "FlagSet",
    "JsonValue",
    "Problem",
    "merge",
    "read_document",
]
