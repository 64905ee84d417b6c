"""Merge documents into the single set that's served."""

import hashlib
from collections.abc import Sequence

from windsock.flags.model import Document, Flag, FlagSet, JsonValue, Problem, pointer_of


def merge(documents: Sequence[Document]) -> FlagSet:
    """Merge documents in the given order.

    If two documents define a key, the later one wins, and a problem names both. A later definition that would
    change the flag's bucketing is rejected instead: merging files must not move users between variants.

    Args:
        documents: The documents, weakest first.
    """
    flags: dict[str, Flag] = {}
    metadata: dict[str, JsonValue] = {}
    problems = [problem for document in documents for problem in document.problems]
    for document in documents:
        metadata.update(document.metadata)
        for key, flag in document.flags.items():
            earlier = flags.get(key)
            if earlier is None:
                flags[key] = flag
                continue
            refused = earlier.bucketing != flag.bucketing
            problems.append(_overlap(earlier, flag, refused=refused))
            if not refused:
                flags[key] = flag
    return FlagSet(flags, _revision(documents), tuple(problems), metadata)


def _overlap(earlier: Flag, later: Flag, *, refused: bool) -> Problem:
    where = f"{earlier.source}:{earlier.line}"
    if refused:
        message = (
            f"also defined at {where}, with bucketing {earlier.bucketing} there and {later.bucketing} here; "
            "the earlier one is kept, since changing the bucketing moves users: give both the same"
        )
    else:
        message = f"also defined at {where}; the one here is served: keep one of them"
    return Problem(
        later.source, later.line, 1 if later.line else 0, later.key, pointer_of("flags", later.key), message
    )


def _revision(documents: Sequence[Document]) -> str:
    if len(documents) == 1:
        return documents[0].revision
    return hashlib.sha256("".join(each.revision for each in documents).encode()).hexdigest()[:12]
