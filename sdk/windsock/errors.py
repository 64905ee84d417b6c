"""Every exception that windsock raises on purpose.

::

    WindsockError
    ├── DeclarationError       a settings class or feature is declared wrongly (at import, by its author)
    ├── ConfigurationError     start() or a command was given something it cannot use
    │   ├── MissingExtraError  an optional dependency is not installed; names the extra
    │   └── ChangedSinceError  what a person is changing has changed since they saw it; nothing was changed
    ├── MisuseError            a feature or a healed call is used in a way that cannot work; a TypeError too
    ├── OverrideError          a test forces a value that nothing asks for or that doesn't fit
    ├── FlagFileError          a flag document cannot be read as a whole
    ├── UnreachableError       a file, folder, repository or server that a command needs cannot be reached
    ├── PlanError              a plan cannot be made or applied; nothing was changed
    ├── MigrationError         a migration is changed, missing or failing; the database is as it was
    └── MirrorError            the mirror refuses to publish; the last good files stay
        ├── DatabaseUnfitError the connection, role or schema cannot serve a mirror
        └── GuardError         publishing would remove or break more than is allowed

None of these is raised into a request: reading settings, evaluating flags, healing and recording give a value
and a reason instead. These errors belong to start-up, to commands and to authors; `MisuseError` comes
with the first run of the code that is wrong.
"""


class WindsockError(Exception):
    """The root of the family: what is wrong, where, and what to do next, in one message.

    Where there is more to say than one line, the error has notes (`BaseException.add_note`).
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """The message, and below it the notes."""
        return (str(self), *getattr(self, "__notes__", ()))


class DeclarationError(WindsockError):
    """A settings class or feature is declared in a way that cannot work."""


class ConfigurationError(WindsockError):
    """An argument, environment variable or option cannot be used as it is."""


class MissingExtraError(ConfigurationError):
    """An optional dependency is needed and not installed.

    Args:
        what: The thing that needs it, as a person would say it: ``"the mirror"``.
        extra: The extra of the windsock distribution that installs it: ``"mirror"``.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs an optional dependency: install windsock[{extra}] from the repository's release "
            "(README, Install)"
        )
        self.extra = extra


class ChangedSinceError(ConfigurationError):
    """What a person is changing, or undoing, has changed since they saw it; nothing was changed."""


class MisuseError(WindsockError, TypeError):
    """A feature isn't called, or a call doesn't match the function that heals it."""


class OverrideError(WindsockError):
    """A test's override names something unknown, or a value that doesn't fit; nothing is overridden."""


class FlagFileError(WindsockError):
    """A flag document cannot be read at all; no flag of it is used.

    Args:
        source: The file or stream that the document came from.
        message: What is wrong and what to do next.
        line: One-based line, or 0 where there is none.
        column: One-based column, or 0 where there is none.
    """

    def __init__(self, source: str, message: str, line: int = 0, column: int = 0) -> None:
        where = f"{source}:{line}:{column}" if line else source
        super().__init__(f"{where}: {message}")
        self.source = source
        self.line = line
        self.column = column


class UnreachableError(WindsockError):
    """A file, folder, repository or server that a command needs cannot be reached."""


class PlanError(WindsockError):
    """A plan cannot be made or applied; nothing was changed."""


class MigrationError(WindsockError):
    """A migration cannot be applied; the database is as it was before it."""


class MirrorError(WindsockError):
    """The mirror cannot publish; the last published files stay as they are."""


class DatabaseUnfitError(MirrorError):
    """The connection, role or schema cannot serve a mirror."""


class GuardError(MirrorError):
    """Publishing would remove or break more than is allowed."""
