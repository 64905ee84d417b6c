"""Features: boolean flags with a code default."""

import logging
import os

from openfeature.evaluation_context import EvaluationContextAttribute
from pydantic import TypeAdapter, ValidationError

from windsock.errors import DeclarationError
from windsock.resolution import process

logger = logging.getLogger("windsock.settings")

_BOOL = TypeAdapter(bool)


class Feature:
    """A boolean flag; calling it gives whether it is on. Made by `feature`."""

    __slots__ = ("__weakref__", "_forced", "_read", "default", "env", "key")

    def __init__(self, key: str, *, default: bool, env: str | None) -> None:
        self.key = key
        self.default = default
        self.env = env
        self._forced: bool | None = None
        self._read = False
        process.readers.add(self)

    def __call__(self, targeting_key: object = None, /, **attributes: EvaluationContextAttribute) -> bool:
        """Whether the feature is on, for one user or (without one) for the deployment.

        Args:
            targeting_key: The user's id.
            attributes: What targeting rules may ask of the user.
        """
        if not self._read:
            self._forced = self._read_environment()
        if self._forced is not None:
            return self._forced
        key = targeting_key if type(targeting_key) is str or targeting_key is None else str(targeting_key)
        evaluation = process.evaluation or process.evaluating()
        provider = evaluation.provider()
        if provider is None:
            return evaluation.client.get_boolean_value(
                self.key, self.default, evaluation.invocation(key, attributes)
            )
        flag = provider.compiled.get(self.key)
        if flag is None:
            return self.default
        value = (flag.constant or flag.evaluate(evaluation.context(key, attributes))).value
        return value if type(value) is bool else self.default

    def reload(self) -> None:
        """Read the environment again."""
        self._forced = self._read_environment()

    def _read_environment(self) -> bool | None:
        self._read = True
        raw = os.environ.get(self.env, "") if self.env else ""
        if not raw:
            return None
        try:
            return _BOOL.validate_python(raw)
        except ValidationError:
            logger.warning(
                "%s=%r is no boolean for feature %r: use true or false. The flag decides.",
                self.env,
                raw,
                self.key,
            )
            return None

    def __repr__(self) -> str:
        return f"feature({self.key!r}, default={self.default})"


def feature(key: str, *, default: bool, env: str | None = None) -> Feature:
    """Declare a feature.

    ::

        rag = windsock.feature("rag_auto_indexing", default=False)
        if rag(user_id): ...

    Args:
        key: The flag's key.
        default: What it is where no flag says otherwise.
        env: An environment variable that decides before the flag does, where it is set and not empty.

    Raises:
        DeclarationError: The default is no bool.
    """
    if type(default) is not bool:
        raise DeclarationError(f"feature {key!r}: the default must be True or False, not {default!r}")
    return Feature(key, default=default, env=env)
