"""What a page is given, and what it answers: plain data on both sides."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from windsock.api.tokens import Role, Token
from windsock.console.options import Console

if TYPE_CHECKING:
    import psycopg

    from windsock.console.shared import Shared


class NotFoundError(Exception):
    """There is no such thing to show; the message says what, and what to do."""


class NotAllowedError(Exception):
    """Whoever is signed in may not do this; the message says why."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in.

    Attributes:
        console: What the console shows.
        person: Who asks.
        kept: What pages share.
        connection: In a transaction that ends with the request, and is undone if the page fails.
        outside: A connection that commits by itself, for a change of a file.
        asked: The query's parameters, each once.
        form: What a form sent; empty for a page that is only read.
    """

    console: Console
    person: Token
    kept: "Shared"
    connection: "psycopg.Connection[tuple[Any, ...]]"
    outside: Callable[[], "AbstractContextManager[psycopg.Connection[tuple[Any, ...]]]"]
    asked: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    def must_change(self, flag: str) -> None:
        """Let only those pass who may change a flag.

        Raises:
            NotAllowedError: They may not.
        """
        if not self.person.may_change(flag):
            raise NotAllowedError(
                f"{self.person.name} may not change {flag}: a token or an account with the role editor or"
                " admin, for this flag, may"
            )


@dataclass(frozen=True, slots=True)
class Page:
    """A page to show.

    Attributes:
        template: Its file in ``templates``.
        title: For the window and the heading.
        values: What the template shows.
        status: The response's status.
    """

    template: str
    title: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Go:
    """Another page to go to.

    Attributes:
        path: From the console's own root: ``/profile``.
        asked: Parameters of its query.
    """

    path: str
    asked: Mapping[str, object] = field(default_factory=dict)


Answer: TypeAlias = Page | Go
Handler: TypeAlias = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """A page at its address.

    Attributes:
        path: From the console's own root.
        handler: What answers.
        method: ``GET``, or ``POST`` for what changes something or plans it.
        role: The least that somebody must be.
    """

    path: str
    handler: Handler
    method: str = "GET"
    role: Role = Role.READER
