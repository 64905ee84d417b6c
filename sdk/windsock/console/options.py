"""What the console shows and who may sign in."""

from dataclasses import dataclass
from pathlib import Path

from windsock.settings.declaration import Declaration
from windsock.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider whose tokens (JWT) sign people in.

    The role is ``windsock_role`` in the ``app_metadata`` claim, which users can't change themselves. Next to
    it, ``windsock_flags`` lists the key prefixes of the flags that they may change; without it, all flags.
    Users without a role can't sign in.

    Attributes:
        issuer: The expected ``iss`` claim; for Supabase, ``https://<project>.supabase.co/auth/v1``.
        audience: The expected ``aud`` claim; Supabase uses ``authenticated``.
        keys_url: URL of the issuer's keys (JWKS); by default ``<issuer>/.well-known/jwks.json``.
    """

    issuer: str
    audience: str = "authenticated"
    keys_url: str | None = None

    @property
    def jwks(self) -> str:
        """The URL of the issuer's keys."""
        return self.keys_url or f"{self.issuer.rstrip('/')}/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Console:
    """What the console shows.

    Attributes:
        settings: The settings classes; the process serves their flags (see `windsock.start`).
        flags: The Git-managed folder of flag files, relative to the working directory.
        database_url: PostgreSQL, set up with ``windsock migrate``; role ``windsock_console`` has the grants.
        issuer: Whose JWTs are accepted for sign-in, in addition to tokens from ``windsock token``.
    """

    settings: tuple[type[Settings], ...]
    flags: Path
    database_url: str
    issuer: Issuer | None = None

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """The classes' declarations, in order."""
        return tuple(each.__windsock__.declaration for each in self.settings)
