"""`override`: values that apply inside a `with` block, in this task or thread only.

An OpenFeature hook replaces evaluation results. So features, settings and plain OpenFeature clients see the
same values, whatever the provider and however often the application calls `windsock.start`.
"""

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from openfeature import api, hook
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagType, FlagValueType, Reason
from openfeature.hook import Hook, HookContext, HookHints

from windsock.client.hooks import AnswersMissing
from windsock.errors import OverrideError
from windsock.evaluator.outcome import copy_json
from windsock.flag_names import OVERRIDE, class_flag
from windsock.nested import overlay
from windsock.settings import Settings
from windsock.settings.feature_values import DeclaredFeature, plain
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers
from windsock.settings.process import process
from windsock.settings.resolver import Resolver
from windsock.settings.shapes import fields_of
from windsock.settings.views import is_view, key_of
from windsock.text import did_you_mean
from windsock.usage.request import overridden

_TYPES: Final[Mapping[FlagType, tuple[type, ...]]] = {
    FlagType.BOOLEAN: (bool,),
    FlagType.STRING: (str,),
    FlagType.INTEGER: (int,),
    FlagType.FLOAT: (int, float),
    FlagType.OBJECT: (dict, list),
}


Forced = (
    Mapping[str, object]
    | Mapping[type[Settings], Mapping[str, object]]
    | Mapping[type[Settings] | str, object]
)
"""Values by flag key, fields by settings class, or both."""


@dataclass(frozen=True, slots=True)
class _Override:
    """Values by flag key, for everyone or for one user.

    Attributes:
        laid: Whether they're laid over the flag's own value.
        evaluated: The keys that code has evaluated.
    """

    values: Mapping[str, Any]
    laid: bool
    user: str | None
    evaluated: set[str] = dataclasses.field(default_factory=set)


_in_force: ContextVar[tuple[_Override, ...]] = ContextVar("windsock_overrides", default=())
_strict = False
_lock = threading.Lock()
_holders = 0


class _Replacing(AnswersMissing):
    """Writes the current context's overrides into an evaluation's result, as its last stage."""

    def finally_after(
        self,
        hook_context: HookContext,
        details: FlagEvaluationDetails[FlagValueType],
        hints: HookHints,  # noqa: ARG002 - the hook's signature
    ) -> None:
        for each in _in_force.get():
            if hook_context.flag_key in each.values and each.user in {
                None,
                hook_context.evaluation_context.targeting_key,
            }:
                each.evaluated.add(hook_context.flag_key)
                _replace(details, each.values[hook_context.flag_key], hook_context.flag_type, laid=each.laid)


_hook: Final = _Replacing()


@contextmanager
def override(
    target: type[Settings] | Settings | Forced,
    values: Mapping[str, object] | None = None,
    /,
    **fields: object,
) -> Iterator[None]:
    """Force values inside a ``with`` block.

    ::

        with windsock.testing.override(Teacher, retrieval_top_k=25): ...
        with windsock.testing.override(Teacher.for_user("ada"), temperature=0.1): ...
        with windsock.testing.override({"checkout.v2": True}): ...
        with windsock.testing.override(windsock.testing.profile("experimental_v1")): ...

    They apply to this context and the tasks started in it; other tasks and threads never see them. Blocks
    can be nested; the inner one wins. Unnamed fields keep their values. A view created before the block keeps
    its values; `Settings.live` changes. Usage recorded under an override has the variant ``override``, events
    have the attribute ``windsock.override``, and experiments count neither.

    Args:
        target: A settings class, for everyone; the result of `Settings.for_user`, for that user; or a mapping
            with values by flag key, for features and other flags, and with fields by settings class.
        values: Fields as a mapping: ``{"retrieval": {"top_k": 5}}``.
        **fields: Fields of the settings class. A class alone is an error; ``{}`` forces nothing.

    Raises:
        OverrideError: A field or flag is neither declared nor loaded, a value doesn't fit, or none is there;
            at the end of the block, with pytest's ``--flags-strict``, no code evaluated a flag.
    """
    if isinstance(target, Mapping):
        if values or fields:
            raise OverrideError(
                "a mapping of flags takes no further values: put all of them into the mapping"
            )
        overrides = _of_mapping(target)
    else:
        overrides = _of_settings(target, {**_mapping(target, values or {}), **fields})
        if values is None and not fields:
            raise OverrideError(_forces_nothing(target))
    with _hooked():
        token, marking = _in_force.set((*_in_force.get(), *overrides)), overridden.set(True)
        try:
            yield
        finally:
            overridden.reset(marking)
            _in_force.reset(token)
    if _strict:
        _check_evaluated(overrides)


def be_strict() -> None:
    """From now on, reject overrides that no code evaluates."""
    global _strict  # noqa: PLW0603 - one run of tests is strict or isn't
    _strict = True


def active() -> bool:
    """Whether any override applies in this context."""
    return bool(_in_force.get())


def _check_evaluated(overrides: Sequence[_Override]) -> None:
    evaluated = {class_flag(key) for each in overrides for key in each.evaluated}
    if unused := sorted({class_flag(key) for each in overrides for key in each.values} - evaluated):
        raise OverrideError(
            f"no code asked for {', '.join(map(repr, unused))} while it was overridden (--flags-strict):"
            " remove the override, or let the test reach the code that reads it"
        )


def _of_mapping(target: Mapping[Any, Any]) -> list[_Override]:
    flags = {key: value for key, value in target.items() if not isinstance(key, type)}
    overrides = [
        each
        for key, fields in target.items()
        if isinstance(key, type)
        for each in _of_settings(key, _mapping(key, fields))
    ]
    return [*overrides, _of_flags(flags)] if flags else overrides


def _mapping(target: type[Settings] | Settings, fields: object) -> Mapping[str, object]:
    if isinstance(fields, Mapping):
        return fields
    name, field = _example(target)
    raise OverrideError(f"{fields!r} has no field of {name}: write {{{field!r}: {fields!r}}}")


def _of_settings(target: type[Settings] | Settings, fields: Mapping[str, object]) -> list[_Override]:
    settings_class = target if isinstance(target, type) else type(target)
    if not issubclass(settings_class, Settings):
        raise OverrideError(
            f"{target!r} isn't a settings class; override a feature or another flag with {{KEY: value}}"
        )
    declaration = settings_class.__windsock__.declaration
    name = settings_class.__name__
    for field in fields:
        if field not in declaration.fields:
            raise OverrideError(f"{name} has no field {field!r}{did_you_mean(field, declaration.fields)}")
    declared = fields_of(settings_class)
    fixed = {field: value for field, value in fields.items() if declared[field].fixed}
    tuned = {field: value for field, value in fields.items() if field not in fixed}
    layers = [
        Layer(Origin("base", declaration.flag, OVERRIDE), fixed),
        Layer(Origin("profile", declaration.profile_flag, OVERRIDE), tuned),
    ]
    for refusal in merge_layers(declaration, layers).refusals:
        raise OverrideError(f"{name}.{'.'.join(refusal.path)} cannot be {refusal.value!r}: {refusal.message}")
    for layer in settings_class.__windsock__.process_layers():
        for field in fixed.keys() & layer.values.keys():
            raise OverrideError(
                f"{name}.{field} is set by {layer.origin.variable((field,)) or layer.origin}, which wins over"
                " a base value; change it there, with pytest's monkeypatch.setenv for instance"
            )
    user = None if isinstance(target, type) else _user(target)
    plain = {declaration.flag: fixed, declaration.profile_flag: tuned}
    return [_Override({flag: value for flag, value in plain.items() if value}, laid=True, user=user)]


def _forces_nothing(target: type[Settings] | Settings) -> str:
    name, field = _example(target)
    return f"no value for {name} to force: name a field, as in override({name}, {field}=...)"


def _example(target: type[Settings] | Settings) -> tuple[str, str]:
    """The name of a class, and one of its fields."""
    settings_class = target if isinstance(target, type) else type(target)
    resolver = getattr(settings_class, "__windsock__", None)
    return settings_class.__name__, next(iter(resolver.declaration.fields), "field") if resolver else "field"


def _user(settings: Settings) -> str | None:
    if not is_view(settings):
        name = type(settings).__name__
        raise OverrideError(
            f"{name}(…) is an ordinary instance; override {name}, or what {name}.for_user(…) returned"
        )
    return key_of(settings)


def _of_flags(values: Mapping[Any, object]) -> _Override:
    features = {each.key: each for each in process.readers if isinstance(each, DeclaredFeature)}
    provider = process.evaluating().in_process()
    loaded = provider.compiled if provider is not None else {}
    known = sorted({*features, *loaded})
    for key, value in values.items():
        if not isinstance(key, str):
            named = getattr(getattr(key, "declared", None), "key", "checkout")
            raise OverrideError(f"{key!r} isn't a flag's key: write {{{named!r}: {value!r}}}")
        if key not in features and key not in loaded:
            raise OverrideError(
                f"flag {key!r} is neither declared in imported code nor loaded{_instead(key, known)}"
            )
        if key in features and features[key].fitting(plain(value)) is None:
            raise OverrideError(f"feature {key!r} cannot be {value!r}: it is {features[key].words}")
        if key in features and features[key].value() is not None:
            raise OverrideError(
                f"feature {key!r} is decided by an environment variable, which wins; unset it in the test,"
                " with pytest's monkeypatch.delenv for instance"
            )
        if key not in features and type(value) not in (kinds := _kinds(loaded[key].flag.variants.values())):
            expected = " or ".join(sorted(kind.__name__ for kind in kinds))
            raise OverrideError(f"flag {key!r} cannot be {value!r}: its variants are {expected}")
    return _Override({key: plain(value) for key, value in values.items()}, laid=False, user=None)


def _instead(key: str, known: Sequence[str]) -> str:
    for each in process.readers:
        if isinstance(each, Resolver) and each.declaration.flag == key:
            name = each.declaration.settings_class.__name__
            return f"; {name} reads it: override {name}, the class"
    return did_you_mean(key, known)


def _kinds(variants: Any) -> set[type]:
    kinds = {type(value) for value in variants}
    return kinds | {int, float} if kinds & {int, float} else kinds


def _replace(details: FlagEvaluationDetails[Any], value: Any, kind: FlagType, *, laid: bool) -> None:
    fits = isinstance(value, _TYPES[kind]) and (kind is FlagType.BOOLEAN or not isinstance(value, bool))
    if not fits:
        return  # requested as another type: the client's own result stands
    if laid and details.error_code is None and isinstance(details.value, dict):
        value = overlay(details.value, value)
    details.value = copy_json(value)
    details.variant, details.reason = OVERRIDE, Reason.STATIC
    details.error_code = details.error_message = None


@contextmanager
def _hooked() -> Iterator[None]:
    """Keep the hook registered while any override is in force in the process, so its last stage runs last."""
    global _holders  # noqa: PLW0603 - counts what one registration serves
    with _lock:
        _holders += 1
        if _holders == 1:
            _register([_hook, *hook.get_hooks()])
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _register([each for each in hook.get_hooks() if each is not _hook])


def _register(hooks: list[Hook]) -> None:
    api.clear_hooks()
    api.add_hooks(hooks)
