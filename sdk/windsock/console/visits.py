"""A page handler's input and output, both plain data."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from windsock.api.tokens import Role, Token
from windsock.console.options import Console
from windsock.console.page_errors import NotAllowedError

if TYPE_CHECKING:
    import psycopg

    from windsock.console.shared import Shared


@dataclass(frozen=True, slots=True)
class Visit:
    """One request from a signed-in user.

    Attributes:
        console: What the console shows.
        person: Who's asking.
        shared: Data that pages share.
        connection: In a transaction that ends with the request and is rolled back if the page fails.
        outside: An autocommit connection, for changes to files.
        query: The parameters of the URL's query, without duplicates.
        form: The submitted form; empty for a page that only reads.
    """

    console: Console
    person: Token
    shared: "Shared"
    connection: "psycopg.Connection[tuple[Any, ...]]"
    outside: Callable[[], "AbstractContextManager[psycopg.Connection[tuple[Any, ...]]]"]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    def must_change(self, flag: str) -> None:
        """Require permission to change a flag.

        Raises:
            NotAllowedError: Permission is missing.
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
        values: The template's variables.
        status: The response's status.
        again: Whether the browser should ask again in a second, because something is still being computed.
    """

    template: str
    title: str
    values: Mapping[str, object] = field(default_factory=dict)
    status: int = 200
    again: bool = False


@dataclass(frozen=True, slots=True)
class Go:
    """A redirect to another page.

    Attributes:
        path: Relative to the console's root, such as ``/profile``.
        query: Its query parameters.
    """

    path: str
    query: Mapping[str, object] = field(default_factory=dict)


Answer: TypeAlias = Page | Go
Handler: TypeAlias = Callable[[Visit], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """A page and its path.

    Attributes:
        path: Relative to the console's root.
        handler: The function that answers.
        method: ``GET``, or ``POST`` for planning or making a change.
        role: The minimum role.
    """

    path: str
    handler: Handler
    method: str = "GET"
    role: Role = Role.READER
