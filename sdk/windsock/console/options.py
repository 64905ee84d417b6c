"""What the console shows, and who may sign in."""

from dataclasses import dataclass
from pathlib import Path

from windsock.settings.declaration import Declaration
from windsock.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider whose tokens (JWT) sign people in.

    The role is ``windsock_role`` of the claim ``app_metadata``, which users can't change themselves. Beside
    it ``windsock_flags``, a list of beginnings of keys, says which flags they may change; without it, all.
    Whoever has no role can't sign in.

    Attributes:
        issuer: What the claim ``iss`` must be; of Supabase ``https://<project>.supabase.co/auth/v1``.
        audience: What ``aud`` must be; Supabase says ``authenticated``.
        keys_url: Its keys (JWKS); by default ``<issuer>/.well-known/jwks.json``.
    """

    issuer: str
    audience: str = "authenticated"
    keys_url: str | None = None

    @property
    def jwks(self) -> str:
        """Where its keys are."""
        return self.keys_url or f"{self.issuer.rstrip('/')}/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Console:
    """What the console shows.

    Attributes:
        settings: The settings classes; the process serves their flags (see `windsock.start`).
        flags: The folder of the flag files, relative to the working directory, as Git has it.
        database_url: PostgreSQL, prepared by ``windsock migrate``; ``windsock_console`` has the rights.
        issuer: Whose JWTs sign people in, besides tokens of ``windsock token``.
    """

    settings: tuple[type[Settings], ...]
    flags: Path
    database_url: str
    issuer: Issuer | None = None

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """What the classes declare, in their order."""
        return tuple(each.__windsock__.declaration for each in self.settings)
