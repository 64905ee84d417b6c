"""Check a database URL before a driver's error message can quote its password."""

from windsock.errors import ConfigurationError


def check_url(url: str) -> None:
    """Reject a URL that libpq can't parse as a connection string, or would parse differently than intended.

    Needs psycopg.

    Raises:
        ConfigurationError: The URL is rejected; the message contains no part of `url`.
    """
    import psycopg  # noqa: PLC0415 - an extra
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        parts = {key: str(value or "") for key, value in conninfo_to_dict(url).items()}
    except (psycopg.ProgrammingError, UnicodeError):  # a byte that isn't UTF-8, too, percent-encoded or not
        parts = {"host": "@"}
    # An unescaped @, / or : in a password ends up in one of these, and they are shown.
    places = (parts.get(key, "") for key in ("host", "dbname", "user"))
    ports = parts.get("port", "").split(",")
    if any("@" in each for each in places) or not all(port.isdigit() or not port for port in ports):
        raise ConfigurationError(
            "the database's URL can't be read: write postgresql://user:password@host:port/database, and"
            " percent-encode special characters of the password (% is %25, @ is %40)"
        )
