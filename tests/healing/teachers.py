"""A settings class, a provider that knows a few models, and the flags that misspell one."""

from pydantic import Field, SecretStr
from tests.flagfiles import profile_flag

import windsock

CONFIG = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0001"
OTHER = "3f0c2f5e-3a53-4a3f-9d6c-0b6f6f6d0002"
TYPO = "gpt-4o-typo"


class Teacher(windsock.Settings, flag="teacher"):
    retrieval_top_k: int = Field(10, ge=1, le=200)
    reasoning_model: str = "gpt-4o-mini"
    temperature: float = 0.7
    api_key: SecretStr = SecretStr("default-key")


class StatusError(Exception):
    """As openai and anthropic raise it."""

    def __init__(self, status, message, *, code=None, param=None, body=None):
        super().__init__(message)
        self.status_code = status
        self.code = code
        self.param = param
        self.body = body


def not_found(model):
    message = f"The model `{model}` does not exist or you do not have access to it."
    return StatusError(404, message, code="model_not_found")


class Provider:
    """Knows some models, can be down, and remembers who asked for what."""

    def __init__(self, *models):
        self.models = models or ("gpt-4o", "gpt-4o-mini")
        self.down = False
        self.asked = []

    def __call__(self, settings):
        model = settings.reasoning_model
        self.asked.append(model)
        if self.down:
            raise StatusError(503, "overloaded")
        if model not in self.models:
            raise not_found(model)
        return model


def profiles(users, config=CONFIG, **settings):
    """The profile flag that gives these users these settings."""
    return {"teacher.profile": profile_flag({config: settings}, dict.fromkeys(users, config))}
