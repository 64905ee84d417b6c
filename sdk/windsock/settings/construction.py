"""``Teacher(...)``: do what `BaseSettings.__init__` does, ignoring invalid variables and file entries."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pydantic_settings import BaseSettings

from windsock.logs import get_logger
from windsock.settings import sources
from windsock.settings.declaration import Declaration
from windsock.settings.layers import Refusal
from windsock.settings.laying import merge_layers
from windsock.settings.validation import ARGUMENTS, COMMAND_LINE, LayerValidator

logger = get_logger("windsock.settings")


@dataclass(slots=True)
class Passed:
    """What a class's own ``__init__`` passes on to `BaseSettings.__init__`.

    Attributes:
        settings_class: The class.
        options: The keyword arguments in `sources.OPTIONS`.
        values: The other keyword arguments.
    """

    settings_class: type[BaseSettings]
    options: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


_asking: ContextVar[Passed | None] = ContextVar("windsock_passed", default=None)


def passed_on(settings_class: type[BaseSettings]) -> Passed:
    """Find out what a class's own ``__init__`` passes on."""
    passed = Passed(settings_class)
    token = _asking.set(passed)
    try:
        settings_class()
    except Exception as error:  # noqa: BLE001 - whatever the class's own code raises
        logger.warning("%s() failed: %s", settings_class.__name__, type(error).__name__)
    finally:
        _asking.reset(token)
    return passed


def construct(
    declaration: Declaration, instance: BaseSettings, arguments: dict[str, Any]
) -> tuple[Refusal, ...]:
    """Validate values into a new instance.

    Args:
        declaration: The class's declaration.
        instance: The instance.
        arguments: Those of the call.

    Returns:
        The values from variables or files that were invalid and ignored.

    Raises:
        Exception: What pydantic or a validator raised about an argument or the command line.
    """
    settings_class = type(instance)
    options = {name: arguments[name] for name in sources.OPTIONS & arguments.keys()}
    values = {name: value for name, value in arguments.items() if name not in options}
    passed = _asking.get()
    if passed is not None and passed.settings_class is settings_class:
        passed.options, passed.values = options, values
    found = sources.read(settings_class, options, values)
    validator = LayerValidator(declaration, found.defaults)
    if validator.validate(found.layers, onto=instance).instance is not None:
        return ()
    merged = merge_layers(declaration, found.layers, found.defaults, strict=(ARGUMENTS, COMMAND_LINE))
    result = validator.validate(merged.applied[1:], onto=instance)
    if result.error is not None:
        raise result.error
    return merged.refusals
