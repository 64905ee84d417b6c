"""Identify a person by their credential: a token from `windsock token` or an identity provider's JWT."""

import time
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

import jwt

from windsock.api.tokens import Role, Token, authenticate
from windsock.console.options import Issuer
from windsock.console.sessions import LONGEST
from windsock.logs import get_logger
from windsock.text import bounded, escaped

if TYPE_CHECKING:
    import psycopg

logger = get_logger("windsock.console")

ALGORITHMS: Final = ("ES256", "RS256")
"""Accepted JWT signature algorithms: never a shared secret, never ``none``."""

_PATIENCE: Final = 5.0
"""Seconds allowed for fetching the provider's keys."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who may sign in.

    Attributes:
        person: Who it is, and what they may do.
        seconds: How long the session lasts at most.
    """

    person: Token
    seconds: float = LONGEST


def of_token(connection: "psycopg.Connection[tuple[Any, ...]]", presented: str) -> Identity | None:
    """The token's owner; None if the token isn't valid."""
    person = authenticate(connection, presented) if presented else None
    return None if person is None else Identity(person)


def identified(issuer: Issuer, presented: str) -> Identity | None:
    """The person that a JWT (RFC 7519) identifies; None if it's invalid or they have no role."""
    if presented.count(".") != 2:
        return None
    try:
        key = _keys(issuer.jwks).get_signing_key_from_jwt(presented)
        claims: dict[str, Any] = jwt.decode(
            presented,
            key,
            algorithms=list(ALGORITHMS),
            audience=issuer.audience,
            issuer=issuer.issuer,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
    except (jwt.PyJWTError, ValueError, ArithmeticError, OSError, HTTPException) as error:
        logger.warning("a JWT of %s was refused: %s", issuer.issuer, error)
        return None
    return _of_claims(claims)


def _of_claims(claims: dict[str, Any]) -> Identity | None:
    """Read the role from `app_metadata` only: users can edit `user_metadata` themselves."""
    own = claims.get("app_metadata")
    role = own.get("windsock_role") if isinstance(own, dict) else None
    flags = _prefixes(own) if isinstance(own, dict) else None
    if role not in tuple(Role) or flags is None:
        logger.warning(
            "%s has no role in app_metadata.windsock_role, or windsock_flags isn't a list of key prefixes",
            claims["sub"],
        )
        return None
    email = claims.get("email")
    name = f"{email} ({claims['sub']})" if isinstance(email, str) and email else str(claims["sub"])
    left = float(claims["exp"]) - time.time()
    return Identity(Token(bounded(escaped(name), 400), Role(role), flags), left)


def _prefixes(own: dict[str, Any]) -> tuple[str, ...] | None:
    """The key prefixes of the flags they may change; empty for all, None if the list is empty or wrong."""
    if "windsock_flags" not in own:
        return ()
    flags = own["windsock_flags"]
    if not isinstance(flags, list) or not flags or not all(isinstance(each, str) and each for each in flags):
        return None
    return tuple(flags)


@cache
def _keys(url: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(url, cache_keys=True, lifespan=300, timeout=_PATIENCE)
