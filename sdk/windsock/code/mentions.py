"""Looks for the names of fields and flags in the text of files, where no use of them was found.

`windsock.code.uses` follows names; settings also travel through containers, other functions, templates and
notebooks. So a field is called unused only if nothing mentions it.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from windsock.code.search import MAX_TEXT
from windsock.code.sources import MAX_OTHER_BYTES, UnfitError, bytes_of, other_files, python_files
from windsock.flag_names import default_flag

_ATTRIBUTE: Final = re.compile(r"\.\s*([^\W\d]\w*)")
_QUOTED: Final = re.compile(r"""["']([^"'\s\\]+)\\?["'](\s*:)?""")
_WORD: Final = re.compile(r"\w+")
_CLASS: Final = re.compile(r"class\s+(\w+)")
_PATTERNS: Final = re.compile(r"^[ \t]*case\b", re.MULTILINE)
_KEYWORD: Final = re.compile(r"\b(\w+)\s*=(?!=)")
_ABOUT_ONE: Final = re.compile(r"(?:field_validator|field_serializer|validator)\([^()]*\)")
_COMPUTED: Final = r"""\b(?!\([^,()]{0,99}(?:\([^()]{0,99}\))?[^,()]{0,99},\s*+["']\w+["']\s*+[,)])"""
"""After ``getattr``: anything but a call whose second argument is a plain text."""
_WHOLE: Final = tuple(
    re.compile(pattern)  # each begins with a literal, for which `re` searches many times as fast
    for pattern in (
        r"model_(?:dump|dump_json|fields|computed_fields|fields_set)\b",
        r"dump_(?:python|json)\(",
        r"to_json(?:able_python)?\(",
        r"__(?:dict|fields|iter)__",
        r"\.dict\(",
        r"vars\(",
        r"asdict\(",
        r"astuple\(",
        r"jsonable_encoder\(",
        r"dict\((?<!\wdict\()\s*[^\W\d]",
        "hasattr" + _COMPUTED,
        "getattr" + _COMPUTED,
        r"""attrgetter\((?!\s*+["'][\w.]+["']\s*+[,)])""",
        r"for\s+\(?\w+\s*,\s*\w+\)?\s+in\s+(?!enumerate\b|zip\b)[\w.]+(?:\(|\s*[:)\]}]|\s+if\b)",
    )
)
"""What reads all fields of an object, or one whose name is not written there."""

_ROUTES: Final = re.compile(
    r"^[ \t]*@(?:\w+\.)*(?:get|post|put|patch|delete|api_route)\(|\.add_api_route\(", re.MULTILINE
)
_ANSWER: Final = re.compile(r"(?:->|\bresponse_model\s*=|\breturn\b)([^\n]{1,200})")
"""A web framework's answer or its type: it is written with all fields."""

_ARGUMENTS: Final = r"\((?:[^()]|\((?:[^()]|\([^()]*+\))*+\))*+(?:\)|$)"
_OBJECT: Final = re.compile(rf"\b(\w++)(?:(?:\.(?:live|a?for_user))?{_ARGUMENTS})?(?!\s*[.\w(])")
"""A name, perhaps called for a view, of which no attribute is read."""

_AS: Final = re.compile(r"\b(\w+) as (\w+)")


@dataclass(frozen=True, slots=True)
class Mentions:
    """What the text of the files mentions.

    Attributes:
        fields: Names that are read as attributes, or written as text other than a dictionary's key.
        flags: Texts that may be a flag's key, and the flags of classes.
        whole: Words of the files in which something may read all fields of an object: its name, or its
            class's, is probably one of them.
    """

    fields: set[str] = field(default_factory=set)
    flags: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)

    def reads(self, holders: AbstractSet[str], name: str) -> bool:
        """Whether something may read a field of a class: `holders` are names of the class and its views."""
        return name in self.fields or not self.whole.isdisjoint(holders)


def mentioned(paths: Sequence[Path], unread: list[str]) -> Mentions:
    """Look through the files and folders: Python, notebooks, scripts without a suffix, and templates.

    Args:
        paths: Files and folders.
        unread: Receives which of the other files than Python were left out, each with the reason.
    """
    mentions = Mentions()
    left = MAX_TEXT
    for found, is_python in (
        *((each, True) for each in python_files(paths)),
        *((each, False) for each in other_files(paths)),
    ):
        try:
            text = bytes_of(found, MAX_OTHER_BYTES).decode(errors="replace")
        except (OSError, UnfitError) as error:
            if not is_python:  # the search for uses has told of the others
                unread.append(f"{found.path}: {getattr(error, 'strerror', None) or error}")
            continue
        left -= len(text)
        if left < 0:
            if not is_python:
                unread.append(f"{found.path}: for one search reads {MAX_TEXT:,} characters at most")
            break
        _look_through(text, mentions)
    return mentions


def _look_through(text: str, mentions: Mentions) -> None:
    text = _ABOUT_ONE.sub("", text)
    mentions.fields.update(_ATTRIBUTE.findall(text))
    for quoted, is_key in _QUOTED.findall(text):
        mentions.flags.add(quoted)
        if not is_key:
            mentions.fields.add(quoted)
    mentions.flags.update(map(default_flag, _CLASS.findall(text)))
    if _PATTERNS.search(text):
        mentions.fields.update(_KEYWORD.findall(text))
    if any(pattern.search(text) for pattern in _WHOLE):
        mentions.whole.update(_WORD.findall(text))
    if _ROUTES.search(text):
        answers = {name for answer in _ANSWER.findall(text) for name in _OBJECT.findall(answer)}
        mentions.whole.update(answers, (name for name, alias in _AS.findall(text) if alias in answers))
