"""`Settings`: the base class for a service's typed settings, and the views that users get."""

import re
from collections.abc import Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from openfeature.evaluation_context import EvaluationContextAttribute
from pydantic import BaseModel, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from windsock.client.evaluation import key_text
from windsock.errors import DeclarationError
from windsock.flag_names import default_flag
from windsock.settings.declaration import Declaration
from windsock.settings.descriptors import CachedProperty, FieldReader, cached_properties
from windsock.settings.handing import own
from windsock.settings.resolution import ServedResolution
from windsock.settings.resolver import Resolver
from windsock.settings.serializing import serialize_whole
from windsock.settings.views import is_view, register, served_of
from windsock.usage.request import _current, _writer

S = TypeVar("S", bound="Settings")


class _Prefix(str):
    """An environment variable prefix chosen by windsock, not by the class."""

    __slots__ = ()

    @classmethod
    def of(cls, flag: str) -> Self:
        """The prefix for a flag's settings: ``chat.answers`` reads ``CHAT_ANSWERS_…``."""
        return cls(f"{re.sub(r'[^A-Za-z0-9]', '_', flag)}_".upper())


class Settings(BaseSettings):
    """A service's settings: declared once, with code defaults, and tuned from outside.

    ::

        class Teacher(windsock.Settings, flag="teacher"):
            retrieval_top_k: int = Field(10, ge=1, le=200)
            reasoning_model: str = Field("gpt-4o-mini", validation_alias="OPENAI_CHAT_MODEL")

    With ``flag=``, environment variables are named ``<FLAG>_<FIELD>`` (nested fields after ``__``), unless
    the class sets an ``env_prefix`` or the field a ``validation_alias``. Without it, pydantic-settings' own
    rules apply and the flag is named after the class (``AuraSettings`` → ``aura``), so migrating a class
    takes only a new base class.

    ``Teacher(...)`` creates an ordinary instance as pydantic-settings does, except that an invalid value in
    the environment or a file is logged and the layer below applies. Arguments must be valid. `for_user` and
    `live` return values decided by flags and profiles; these are read-only.

    Raises:
        DeclarationError: On class creation, if a field lacks a default or hides a method, or a class keyword
            is unknown.
    """

    # If a recorded request or a heal must know what is read, a view's attributes start empty: reading a
    # field goes through `Field`, which keeps the value in the view's `__dict__`. Otherwise they start with
    # all shareable values, and reading one is an ordinary attribute read.
    #
    # Only views have the slots: its values (None: always those in force), its targeting key, and, if a
    # healed call received it, what failed in it.
    __slots__ = ("_windsock_healed", "_windsock_key", "_windsock_served")

    __windsock_flag__: ClassVar[str] = ""
    __windsock_named__: ClassVar[bool] = False
    __windsock__: ClassVar[Resolver]
    __windsock_live__: ClassVar[Any]

    model_config = SettingsConfigDict(
        env_prefix=_Prefix(), env_file=".env", env_nested_delimiter="__", env_ignore_empty=True
    )

    def __init_subclass__(cls, flag: str | None = None, **kwargs: Any) -> None:
        try:
            super().__init_subclass__(**kwargs)
        except TypeError as error:
            from windsock.settings.class_keywords import refuse  # noqa: PLC0415 - for a mistake only

            refuse(cls.__name__, kwargs, error)
        if flag is not None or "[" not in cls.__name__:  # `Knob[int]` shares the flag of `Knob`
            cls.__windsock_flag__ = flag or default_flag(cls.__name__)
        if flag is not None:
            cls.__windsock_named__ = True
            if isinstance(cls.model_config.get("env_prefix"), _Prefix):
                cls.model_config = SettingsConfigDict({**cls.model_config, "env_prefix": _Prefix.of(flag)})
        cls.__windsock__ = cast("Resolver", _Unfinished(cls))
        cls.__windsock_live__ = None

    @classmethod
    def __pydantic_on_complete__(cls) -> None:
        """Check the declaration once pydantic has built the class; put a `FieldReader` before each field."""
        super().__pydantic_on_complete__()
        if cls.__windsock_flag__:
            cls.__windsock__ = Resolver(cls, Declaration(cls, cls.__windsock_flag__))
            for name in cls.model_fields:
                setattr(cls, name, FieldReader(name))
            for name, cached in cached_properties(cls).items():
                setattr(cls, name, CachedProperty(name, cached))
            cls.__windsock_live__ = new_view(cls, None, None)

    if not TYPE_CHECKING:

        @wraps(BaseSettings.__init__)
        def __init__(self, **values: Any) -> None:
            if "_build_sources" in values or not type(self).__windsock_flag__:
                super().__init__(**values)
            else:
                type(self).__windsock__.construct(self, values)

    @classmethod
    def for_user(cls, targeting_key: object, /, **attributes: EvaluationContextAttribute) -> Self:
        """The settings in force for one user: read-only, always valid, in one to two microseconds.

        Args:
            targeting_key: The user's id as flags and profiles know it; UUIDs and integers are converted to
                text. Ids are compared as text: a UUID in capitals is another user. None or "" means no user:
                the deployment's values.
            attributes: User attributes for targeting rules: ``tier="pro"``.

        Returns:
            A view; its values are shared by all users with the same variants.
        """
        key = targeting_key if type(targeting_key) is str else key_text(targeting_key)
        view = _new_object(cls)
        served = view.__windsock__.resolve(key, attributes)  # on the view: pydantic's metaclass is slow
        _set_served(view, served)
        _set_key(view, key)
        if not _writer or _current.get() is None:
            _set_attributes(view, served.resolution.shared.copy())
        else:
            register(view, attributes)
        return view

    @classmethod
    async def afor_user(cls, targeting_key: object, /, **attributes: EvaluationContextAttribute) -> Self:
        """Do what `for_user` does without blocking the event loop, if a remote flagd evaluates."""
        key = key_text(targeting_key)
        view = new_view(cls, await cls.__windsock__.aresolve(key, attributes), key)
        register(view, attributes)
        return view

    @classmethod
    def live(cls) -> Self:
        """The object whose attributes always return the values in force for the whole deployment.

        Code that uses it, such as ``settings = Teacher.live()`` at module level, hot-swaps without changes.
        """
        if cls.__windsock_live__ is None:
            _finish(cls)
        return cast("Self", cls.__windsock_live__)

    # pydantic reads `__dict__` wherever it handles a whole model; views are replaced by their whole instance
    # there

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Build pydantic's schema; serializers get the whole instance, even for nested views."""
        schema = handler(source)
        if cls.__windsock_flag__:
            serialize_whole(handler.resolve_ref_schema(schema), whole)
        return schema

    def __repr_args__(self) -> Any:
        return BaseSettings.__repr_args__(whole(self))

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        from windsock.settings.notebook import settings_table  # noqa: PLC0415 - for notebooks only

        return settings_table(self)

    def __iter__(self) -> Generator[tuple[str, Any], None, None]:  # noqa: PYI058 - pydantic's signature
        return BaseSettings.__iter__(_detached(self))

    def __eq__(self, other: object) -> bool:
        return BaseSettings.__eq__(whole(self), whole(other) if isinstance(other, Settings) else other)

    def __hash__(self) -> int:
        if not is_view(self) and not type(self).model_config.get("frozen"):
            raise TypeError(f"unhashable type: {type(self).__name__!r}")  # as pydantic declares it
        return hash((type(self), *(whole(self).__dict__[name] for name in type(self).model_fields)))

    def __getstate__(self) -> dict[Any, Any]:
        return BaseSettings.__getstate__(whole(self))

    def __copy__(self) -> Self:
        return _detached(self) if is_view(self) else BaseSettings.__copy__(self)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return BaseSettings.__deepcopy__(whole(self), memo)

    if not TYPE_CHECKING:

        def model_dump(self, **options: Any) -> dict[str, Any]:
            """Do what pydantic does; errors for a required field without a value propagate unchanged."""
            return BaseSettings.model_dump(whole(self), **options)

        def model_dump_json(self, **options: Any) -> str:
            """Do what pydantic does; see `model_dump`."""
            return BaseSettings.model_dump_json(whole(self), **options)

        def __getattr__(self, name: str) -> Any:
            """Take private attributes and pydantic's bookkeeping from the whole instance."""
            if name in Settings.__slots__ or not is_view(self):
                return super().__getattr__(name)
            own_private = {"__pydantic_private__", *type(self).__private_attributes__}
            if name in own_private and self is not type(self).__windsock_live__:
                return _own_private(self, name)
            return getattr(whole(self), name)

        def __setattr__(self, name: str, value: Any) -> None:
            if not is_view(self):
                super().__setattr__(name, value)
            elif name in type(self).__private_attributes__:
                self.__pydantic_private__[name] = value
            else:
                raise _frozen(self, name, value)

        def __delattr__(self, name: str) -> None:
            if is_view(self):
                raise _frozen(self, name, None)
            super().__delattr__(name)


class _Unfinished:
    """The resolver of a class with undefined forward references; completes the class at first use."""

    def __init__(self, settings_class: type[Settings]) -> None:
        self._settings_class = settings_class

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python calls this on every attribute of a new class
            raise AttributeError(name)
        return getattr(_finish(self._settings_class), name)


def _finish(settings_class: type[Settings]) -> Resolver:
    """Let pydantic complete a class once its forward references are defined."""
    settings_class.model_rebuild()
    if settings_class.__windsock_live__ is None:
        raise DeclarationError(
            f"{settings_class.__name__} names a type that isn't defined yet; call its `model_rebuild()`"
        )
    return settings_class.__windsock__


_new_object = object.__new__
_set_served = Settings.__dict__["_windsock_served"].__set__
_set_key = Settings.__dict__["_windsock_key"].__set__
_set_attributes = BaseModel.__dict__["__dict__"].__set__


def new_view(settings_class: type[S], served: ServedResolution | None, key: str | None) -> S:
    """Create a view without running pydantic: its values were validated when they were resolved.

    Args:
        settings_class: The view's class.
        served: Its values; None for the values in force at each read.
        key: The targeting key of its user, if any.
    """
    view = _new_object(settings_class)
    _set_served(view, served)
    _set_key(view, key)
    return view


def whole(settings: S) -> S:
    """The validated instance behind a view, with all fields read; an ordinary instance is returned as is."""
    served = served_of(settings)
    if served is None:
        return settings
    resolution = served.resolution
    if settings is not type(settings).__windsock_live__:
        for name in resolution.values:
            getattr(settings, name)
    return cast("S", resolution.merged.instance)  # made by this class's Declaration


def _detached(settings: S) -> S:
    """Copy a view to an ordinary instance that shares nothing with other users."""
    instance = whole(settings)
    copied = BaseSettings.__copy__(instance)
    copied.__dict__.update({name: own(value) for name, value in instance.__dict__.items()})
    return copied


def _own_private(settings: Settings, name: str) -> Any:
    """A view's private attribute, copied from the shared instance on first use."""
    try:
        private: dict[str, Any] = object.__getattribute__(settings, "__pydantic_private__")
    except AttributeError:
        private = {key: own(value) for key, value in (whole(settings).__pydantic_private__ or {}).items()}
        object.__setattr__(settings, "__pydantic_private__", private)
    if name == "__pydantic_private__":
        return private
    if name in private:
        return private[name]
    raise AttributeError(f"{type(settings).__name__!r} object has no attribute {name!r}")


def _frozen(settings: Settings, name: str, value: object) -> ValidationError:
    problem = InitErrorDetails(type="frozen_instance", loc=(name,), input=value)
    return ValidationError.from_exception_data(type(settings).__name__, [problem])
