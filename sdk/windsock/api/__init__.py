"""The configuration API: reads and writes a settings class over HTTP, validated and audited."""

from windsock.errors import MissingExtraError

try:
    from windsock.api.router import Api, configuration_router
    from windsock.api.settings import ConfigurationApi
    from windsock.api.tokens import Role, Token, create_token, revoke_token
except ImportError as missing:
    raise MissingExtraError("the configuration API", "api") from missing

__all__ = [
    "Api",
    "ConfigurationApi",
    "Role",
    "Token",
    "configuration_router",
    "create_token",
    "revoke_token",
]
