"""`Settings`: the base class of a service's typed settings, and the views that users get of it."""

import re
from collections.abc import Generator, Mapping
from copy import deepcopy
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from uuid import UUID

from openfeature.evaluation_context import EvaluationContextAttribute
from pydantic import SecretBytes, SecretStr, SerializerFunctionWrapHandler, model_serializer
from pydantic_settings import BaseSettings, SettingsConfigDict

from windsock.flag_names import default_flag
from windsock.nested import overlay
from windsock.settings.declaration import Declaration
from windsock.settings.layers import resolve
from windsock.settings.process import process
from windsock.settings.resolution import Given, Resolver
from windsock.usage.data import Healed, Use
from windsock.usage.request import _current, current_request

S = TypeVar("S", bound="Settings")

_IMMUTABLE = frozenset({bool, int, float, str, bytes, type(None), Decimal, UUID, SecretStr, SecretBytes})

Fallen = tuple[Given, tuple[Healed, ...]]
"""The values that a view fell to when it was healed, and what failed before them and is not recorded yet."""

View = tuple[Given | None, str | None, tuple[Healed, ...], Fallen | None]
"""What a view knows: its values (None: those in force), the targeting key, what was healed in it, and what it
fell to."""


class Settings(BaseSettings):
    """Settings of a service: declared once, with code defaults, and tuned from outside.

    ::

        class Teacher(windsock.Settings, flag="teacher"):
            retrieval_top_k: int = Field(10, ge=1, le=200)
            reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")

    With ``flag=``, environment variables are ``<FLAG>_<FIELD>`` (nested fields after ``__``) unless the
    class sets an ``env_prefix``, or the field's ``validation_alias``. Without it, pydantic-settings' own
    rules stay and the flag is named after the class (``AuraSettings`` → ``aura``): a class is carried over
    by changing its base.

    ``Teacher(...)`` is an ordinary instance: code defaults, ``.env``, environment, then the arguments, which
    must be valid. `for_user` and `live` give the values that flags and profiles decide.

    Raises:
        DeclarationError: When the class is made: a field without a default, or one that hides a method.
    """

    # A view's attributes start empty: reading a field goes through `_Field`, which keeps the value in the
    # view's `__dict__`. So a second read is an ordinary attribute read, and `__dict__` tells which fields
    # were read.
    __slots__ = ("_windsock_view",)
    if TYPE_CHECKING:
        _windsock_view: View

    __windsock_flag__: ClassVar[str] = ""
    __windsock__: ClassVar[Resolver]
    __windsock_live__: ClassVar[Any]

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_nested_delimiter="__", env_ignore_empty=True, validate_default=True
    )

    def __init_subclass__(cls, flag: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        inherited = _prefix(cls.__windsock_flag__)
        cls.__windsock_flag__ = flag or default_flag(cls.__name__)
        if flag is not None and cls.model_config.get("env_prefix", "") in {"", inherited}:
            cls.model_config = SettingsConfigDict({**cls.model_config, "env_prefix": _prefix(flag)})

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        """Check the declaration once pydantic has made the class, and put a `_Field` before each field."""
        super().__pydantic_on_complete__()
        if cls.__windsock_flag__:
            cls.__windsock__ = Resolver(cls, Declaration(cls, cls.__windsock_flag__))
            for name in cls.model_fields:
                setattr(cls, name, _Field(name))
            cls.__windsock_live__ = new_view(cls, (None, None, (), None))

    def __init__(self, **values: Any) -> None:
        resolver = type(self).__windsock__
        below = resolve(resolver.declaration, resolver.process_layers()).data()
        type(self).__pydantic_validator__.validate_python(
            overlay(below, resolver.declaration.by_field_name(values)),
            self_instance=self,
            by_name=True,
            by_alias=False,
        )

    @classmethod
    def for_user(cls, targeting_key: object, /, **attributes: EvaluationContextAttribute) -> Self:
        """Give the settings in force for one user: frozen, always valid, in one to two microseconds.

        Args:
            targeting_key: The user's id as flags and profiles know it; a UUID or an integer is taken as its
                text. None or "" stands for nobody: the values of the deployment.
            attributes: What targeting rules may ask of the user: ``tier="pro"``.

        Returns:
            A view; its values are shared with every user of the same variants.
        """
        key = targeting_key if type(targeting_key) is str else _key(targeting_key)
        view = object.__new__(cls)
        _set_view(view, (cls.__windsock__.resolve(key, attributes), key, (), None))
        if _current.get() is not None:
            _register(view)
        return view

    @classmethod
    async def afor_user(cls, targeting_key: object, /, **attributes: EvaluationContextAttribute) -> Self:
        """Do what `for_user` does without blocking the event loop, where a remote flagd evaluates."""
        key = _key(targeting_key)
        view = new_view(cls, (await cls.__windsock__.aresolve(key, attributes), key, (), None))
        _register(view)
        return view

    @classmethod
    def live(cls) -> Self:
        """Give the one object whose attributes always read the values in force for the whole deployment.

        Code that holds it, ``settings = Teacher.live()`` at module level, hot-swaps without a change.
        """
        live: Self = cls.__windsock_live__
        return live

    # pydantic reads `__dict__` wherever it treats a model as a whole; a view is replaced by its whole
    # instance there

    @model_serializer(mode="wrap")
    def _windsock_serialize(self, handler: SerializerFunctionWrapHandler) -> Any:
        return handler(whole(self))

    def __repr_args__(self) -> Any:
        return BaseSettings.__repr_args__(whole(self))

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:  # noqa: PYI058 - pydantic's signature
        return BaseSettings.__iter__(deepcopy(whole(self)))

    def __eq__(self, other: object) -> bool:
        return BaseSettings.__eq__(whole(self), whole(other) if isinstance(other, Settings) else other)

    def __hash__(self) -> int:
        return hash((type(self), *whole(self).__dict__.values()))

    def __getstate__(self) -> dict[Any, Any]:
        return BaseSettings.__getstate__(whole(self))

    def __copy__(self) -> Self:
        return BaseSettings.__deepcopy__(whole(self))

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return BaseSettings.__deepcopy__(whole(self), memo)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Private attributes and pydantic's own bookkeeping are those of the whole instance."""
            if (instance := whole(self)) is not self:
                return getattr(instance, name)
            return super().__getattr__(name)


class _Field:
    """Stands before a field of a settings class: reads it from a view the first time.

    Not a data descriptor, so that an ordinary instance, and a view that has read the field, never come here.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Settings | None, owner: type[Settings]) -> Any:
        if instance is None or (view := view_of(instance)) is None:
            raise AttributeError(f"{owner.__name__!r} has no attribute {self.name!r}")
        given = view[0] or owner.__windsock__.resolve(None, {})
        value = given[0].values[self.name]
        if type(value) not in _IMMUTABLE:
            value = deepcopy(value)  # the value is every user's; a list that one of them appends to is not
        if view[0] is not None:
            instance.__dict__[self.name] = value
        return value


_slot = Settings.__dict__["_windsock_view"]
_set_view = _slot.__set__
_get_view = _slot.__get__


def new_view(settings_class: type[S], view: View) -> S:
    """Make a view without running pydantic: its values were validated when they were resolved."""
    made = object.__new__(settings_class)
    _set_view(made, view)
    return made


def view_of(settings: Settings) -> View | None:
    """What a view knows; None for an ordinary instance."""
    try:
        view: View = _get_view(settings)
    except AttributeError:
        return None
    return view


def given_of(settings: Settings) -> Given | None:
    """The values behind a view, for the live view those in force; None for an ordinary instance."""
    view = view_of(settings)
    if view is None:
        return None
    return view[0] or type(settings).__windsock__.resolve(None, {})


def set_fallen(settings: Settings, fallen: Fallen) -> None:
    """Remember what a view fell to; the live view remembers it for the request that is under way."""
    if settings is not type(settings).__windsock_live__:
        before, key, healed, _ = _get_view(settings)
        _set_view(settings, (before, key, healed, fallen))
    elif (request := current_request()) is not None:
        request.notes[type(settings)] = fallen


def set_healed(settings: Settings, healed: tuple[Healed, ...]) -> None:
    """Let a view tell what was healed in it."""
    given, key, _, fallen = _get_view(settings)
    _set_view(settings, (given, key, healed, fallen))


def whole(settings: S) -> S:
    """The validated instance behind a view, all of its fields read; an ordinary instance is itself."""
    given = given_of(settings)
    if given is None:
        return settings
    resolution = given[0]
    if settings is not type(settings).__windsock_live__:
        for name in resolution.values:
            getattr(settings, name)
    instance: S = resolution.resolved.instance  # type: ignore[assignment]  # made by this class's Declaration
    return instance


def fields_read(settings: Settings) -> list[str]:
    """The fields of a view that were read so far, in field order."""
    return [name for name in type(settings).model_fields if name in settings.__dict__]


class Trace:
    """Tells the request that a view was made in what the view was used for.

    Attributes:
        instead: Values to tell of, in place of those that were read.
    """

    __slots__ = ("_settings", "instead")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.instead: Mapping[str, object] = {}

    def use(self) -> Use:
        """Give the values that were read so far and where they came from."""
        settings = self._settings
        (resolution, serving), key, healed, _ = _get_view(settings)
        declaration = type(settings).__windsock__.declaration
        read = {name: self.instead.get(name, settings.__dict__[name]) for name in fields_read(settings)}
        experiment, arm = resolution.exposed(read) or (None, None)
        return Use(
            flag=declaration.flag,
            variant=resolution.deciding.variant,
            config_id=resolution.config_id,
            revision=serving.revision if serving else None,
            reason=resolution.deciding.reason,
            environment=process.evaluating().environment,
            user_id=key,
            values=declaration.shown(read),
            healed=healed,
            experiment=experiment,
            arm=arm,
        )


def _register(view: Settings) -> None:
    """Let the request that is under way, if any, know of a view that was made in it."""
    request = current_request()
    if request is not None:
        request.record(Trace(view))


def _key(targeting_key: object) -> str | None:
    return None if targeting_key is None else str(targeting_key)


def _prefix(flag: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9]', '_', flag)}_".upper() if flag else ""
