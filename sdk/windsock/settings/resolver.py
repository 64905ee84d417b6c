"""Resolve settings for a class and a user: evaluate three flags, lay the layers, cache the result."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_settings import BaseSettings

from windsock.client.evaluation import Evaluation, missing
from windsock.counts import FALLBACKS
from windsock.evaluator.outcome import Outcome, Rule
from windsock.flag_names import NO_CHANGE, OVERRIDE
from windsock.logs import get_logger
from windsock.providers.base import Serving
from windsock.settings import sources
from windsock.settings.arms import HAS_PROFILE, arm_fields, arm_of, contaminated
from windsock.settings.declaration import Declaration
from windsock.settings.layers import Layer, Origin, Refusal, masked
from windsock.settings.laying import merge_layers
from windsock.settings.place import ValueKey, Withdrawn, fingerprint
from windsock.settings.prepared import Prepared
from windsock.settings.process import process
from windsock.settings.resolution import Outcomes, Resolution, ServedResolution
from windsock.text import MASK, short
from windsock.usage.request import _current

logger = get_logger("windsock.settings")

WITHDRAWN = "withdrawn, because it failed in use; see `windsock quarantine list`"

LAST_GOOD = "last good"
"""The layer of a value that worked before the failing one."""

_NOBODYS = frozenset({NO_CHANGE, OVERRIDE})
"""Variants of a profile flag that don't name a configuration."""

_JSON_MAX = 16_384
_CACHE_MAX = 65_536
_LOGGED_MAX = 10_000

_NONE: Mapping[str, Rule] = {}


class _Cache:
    """The settings resolved since something other than the flags last changed."""

    __slots__ = ("by_content", "by_outcomes", "epoch")

    def __init__(self, epoch: object) -> None:
        self.epoch = epoch
        self.by_outcomes: dict[Outcomes, ServedResolution] = {}
        self.by_content: dict[tuple[object, ...], Resolution] = {}


class Resolver:
    """Resolves one settings class for any user; settings are validated once per combination of variants."""

    def __init__(self, settings_class: type[BaseSettings], declaration: Declaration) -> None:
        self.declaration = declaration
        self._settings_class = settings_class
        self.flags = (declaration.flag, declaration.experiment_flag, declaration.profile_flag)
        self._missing = {key: missing(key) for key in self.flags}  # one each: the cache compares by identity
        self._declared = dict(zip(("base", "experiment", "profile"), self.flags, strict=True))
        self._process_layers: tuple[Layer, ...] | None = None
        self._cache = _Cache(None)
        self._prepared = self._prepare(_NONE, None, "")
        self._logged: set[tuple[object, ...]] = set()
        process.readers[self] = None

    def reload(self) -> None:
        """Read the environment again."""
        found = sources.read(self._settings_class, *self._own_arguments(), for_views=True)
        self._process_layers = found.layers

    def _own_arguments(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The options and values that the class's own ``__init__`` passes on, if it has one."""
        if getattr(self._settings_class.__init__, "__wrapped__", None) is BaseSettings.__init__:
            return {}, {}
        from windsock.settings.construction import passed_on  # noqa: PLC0415 - as below

        passed = passed_on(self._settings_class)
        return passed.options, passed.values

    def construct(self, instance: BaseSettings, arguments: dict[str, Any]) -> None:
        """Do what ``BaseSettings.__init__`` does, but drop invalid values from variables and files.

        Args:
            instance: The new instance.
            arguments: Those of the call.
        """
        from windsock.settings.construction import construct  # noqa: PLC0415 - only where the class is called

        self._log(construct(self.declaration, instance, arguments))

    def resolve(self, targeting_key: str | None, attributes: dict[str, Any]) -> ServedResolution:
        """Settings for one user or none, through OpenFeature; `attributes` is completed in place."""
        evaluation = process.evaluation or process.evaluating()
        provider = evaluation.alone()
        if provider is None or "environment" in attributes:
            return self._resolved(evaluation, targeting_key, attributes)
        attributes["environment"] = environment = evaluation.environment
        if targeting_key:
            attributes["targetingKey"] = targeting_key
        request = _current.get()
        if request is not None:
            provider = request.pinned(provider)
        serving, compiled, prepared = provider.serving, provider.compiled, self._prepared
        if (
            prepared.serving is not serving
            or prepared.compiled is not compiled
            or prepared.epoch is not process.epoch
            or prepared.environment is not environment
        ):
            prepared = self._prepared = self._prepare(compiled, serving, environment)
        choose = prepared.choose  # a variable, because Python calls a slot's function slower in one step
        try:
            chosen = choose(attributes)
        except Exception:  # noqa: BLE001 - the context does not suit a rule: its failure becomes an outcome
            return self._combined(self._each_guarded(compiled, attributes), compiled, serving)
        served = prepared.served.get(chosen)
        if served is None:
            served = self._combined(prepared.outcomes(chosen), compiled, serving)
            prepared.keep(chosen, served)
        return served

    def _resolved(
        self, evaluation: Evaluation, targeting_key: str | None, attributes: dict[str, Any]
    ) -> ServedResolution:
        """Do the same if hooks, other contexts or a provider that isn't ours are involved."""
        base, experiment, profile = self.flags
        direct = evaluation.provider()
        provider = direct or evaluation.in_process()
        if provider is not None and (request := _current.get()) is not None:
            provider = request.pinned(provider)
        serving, compiled = (None, _NONE) if provider is None else (provider.serving, provider.compiled)
        if direct is None:
            outcomes = (
                evaluation.object(base, targeting_key, attributes),
                evaluation.overlay(experiment, targeting_key, attributes),
                evaluation.overlay(profile, targeting_key, attributes),
            )
            return self._combined(outcomes, _NONE, serving)
        outcomes = self._each_guarded(compiled, evaluation.context(targeting_key, attributes))
        return self._combined(outcomes, compiled, serving)

    def _prepare(self, compiled: Mapping[str, Rule], serving: Serving | None, environment: str) -> Prepared:
        flags = [compiled.get(key) or self._missing[key] for key in self.flags]
        return Prepared(compiled, serving, environment, process.epoch, flags)

    def resolve_with(self, flags: Mapping[str, Rule], context: Mapping[str, Any]) -> Resolution:
        """Settings by flags other than the process's own, such as those of another time.

        Args:
            flags: The flags by key; if one is missing, the layers below apply.
            context: The attributes, with ``targetingKey`` and ``environment``.
        """
        return self._combined(self._each_guarded(flags, context), flags, None).resolution

    def _each_guarded(self, flags: Mapping[str, Rule], context: Mapping[str, Any]) -> Outcomes:
        """Evaluate the three flags; a failing rule yields an error outcome."""
        base, experiment, profile = self.flags
        return (
            flag.evaluate(context) if (flag := flags.get(base)) else self._missing[base],
            flag.evaluate(context) if (flag := flags.get(experiment)) else self._missing[experiment],
            flag.evaluate(context) if (flag := flags.get(profile)) else self._missing[profile],
        )

    async def aresolve(self, targeting_key: str | None, attributes: dict[str, Any]) -> ServedResolution:
        """Do the same without blocking the event loop, if the provider has an asynchronous call."""
        evaluation = process.evaluating()
        if evaluation.in_process() is not None:  # nothing to await
            return self.resolve(targeting_key, attributes)
        outcomes = await evaluation.aobjects(self.flags, targeting_key, attributes)
        return self._combined(outcomes, _NONE, None)

    def place(self, origin: Origin, field_name: str) -> ValueKey | None:
        """The place of a field's value, if it comes from a flag's variant."""
        flag = self._declared.get(origin.layer)
        return None if flag is None or origin.variant is None else (flag, origin.variant, field_name)

    def json_of(self, field_name: str, value: object) -> str | None:
        """Serialize a value for people and other processes; None if it's secret or too long."""
        if self.declaration.is_secret((field_name,)):
            return None
        text = json.dumps(masked(value), ensure_ascii=False, default=repr)
        return text if len(text) <= _JSON_MAX else None

    def shadowed(self) -> list[str]:
        """Fields set by the base flag and overridden by the process, as ``flag.field``."""
        try:
            applied = self.resolve(None, {}).resolution.merged.applied
        except (Exception, SystemExit):  # noqa: BLE001 - a required field is missing, or a validator raises; a reader is told
            return []
        base = {name for layer in applied if layer.origin.layer == "base" for name in layer.values}
        above = {name for layer in self.process_layers() for name in layer.values}
        return [f"{self.declaration.flag}.{name}" for name in self.declaration.fields if name in base & above]

    def process_layers(self) -> tuple[Layer, ...]:
        """The layers of `.env` and the environment."""
        if self._process_layers is None:
            self.reload()
        return self._process_layers or ()

    def _combined(
        self, outcomes: Outcomes, compiled: Mapping[str, Rule], serving: Serving | None
    ) -> ServedResolution:
        """Find or resolve the settings for this combination of variants.

        A flag's outcomes are the same objects until the flag changes, so changes elsewhere in the set cost
        nothing here. Entries left over from changed flags go when the full cache is dropped.
        """
        cache = self._cache  # what another thread resolves in an older epoch goes into that epoch's cache
        if cache.epoch is not process.epoch:
            cache = self._cache = _Cache(process.epoch)
        found = cache.by_outcomes.get(outcomes)
        if found is None:
            if len(cache.by_outcomes) >= _CACHE_MAX:
                cache = self._cache = _Cache(cache.epoch)
            resolution = self._same_or_new(outcomes, compiled, cache)
            found = cache.by_outcomes[outcomes] = ServedResolution(resolution, serving)
        elif found.serving is not serving:  # another flag of the set has changed, or another set has it
            found = cache.by_outcomes[outcomes] = ServedResolution(found.resolution, serving)
        return found

    def _same_or_new(self, outcomes: Outcomes, compiled: Mapping[str, Rule], cache: "_Cache") -> Resolution:
        """Validate settings once per content: a profile is the same in every shard, after any edit."""
        _, experiment, profile = outcomes
        arms = arm_fields(experiment, compiled)
        content = (*((each.flag_key, each.variant, each.reason) for each in outcomes[:2]), profile.variant)
        values = json.dumps([each.value for each in outcomes], sort_keys=True, default=repr)
        key = (content, profile.reason, arms, experiment.flag_metadata.get("experiment"), values)
        found = cache.by_content.get(key)
        if found is None:
            found = cache.by_content[key] = self._make(outcomes, arms)
        return found

    def _make(self, outcomes: Outcomes, arms: frozenset[str] | None) -> Resolution:
        found, excluded = self._layers(*outcomes, arms)
        return self.resolve_layers(outcomes, arms, found, process.withdrawn, excluded=excluded)

    def resolve_layers(
        self,
        outcomes: Outcomes,
        arms: frozenset[str] | None,
        found: Iterable[Layer],
        withdrawn: Withdrawn,
        *,
        excluded: bool,
    ) -> Resolution:
        """Lay the given layers over the code defaults, without withdrawn values."""
        base, experiment, profile = outcomes
        layers, withdrawals = self._serving(found, withdrawn)
        merged = merge_layers(self.declaration, layers)
        merged = merged._replace(refusals=(*merged.refusals, *withdrawals))
        self._log(merged.refusals)
        # healing omits values from one call; withdrawn values are omitted from every call
        lost = [each.path[0] for each in withdrawals if each.origin.layer == "experiment"]
        closed = contaminated(lost) if lost and withdrawn is process.withdrawn else None
        contributed = {layer.origin.layer: layer.origin for layer in merged.applied}
        deciding = (
            profile if "profile" in contributed else experiment if "experiment" in contributed else base
        )
        return Resolution(
            values=merged.values,
            merged=merged,
            outcomes=outcomes,
            deciding=deciding,
            config_id=_assigned(profile),
            excluded=excluded,
            arms=arms,
            arm=None
            if _overridden(outcomes)
            else arm_of(experiment, excluded=HAS_PROFILE if _assigned(profile) else closed),
            layers=tuple(found),
        )

    def _layers(
        self, base: Outcome, experiment: Outcome, profile: Outcome, arms: frozenset[str] | None
    ) -> tuple[list[Layer], bool]:
        """The layers above the code defaults, weakest first, and whether the user left the experiment."""
        profile_layer = self._flag_layer("profile", profile)
        own_arm = experiment.value if isinstance(experiment.value, Mapping) else {}
        in_question = own_arm.keys() if arms is None else arms
        excluded = any(in_question & layer.values.keys() for layer in profile_layer)
        excluded = excluded or _overridden((base, experiment, profile))
        experiment_layer = [] if excluded else self._flag_layer("experiment", experiment)
        base_layer = self._flag_layer("base", base)
        return [*base_layer, *self.process_layers(), *experiment_layer, *profile_layer], excluded

    def _flag_layer(self, layer: str, outcome: Outcome) -> list[Layer]:
        """One flag's layer; empty if the flag serves nothing, or nothing that settings can use."""
        if outcome.value is None:
            return []
        if not isinstance(outcome.value, Mapping):
            self._log_once((outcome.flag_key, outcome.variant),
                "flag %r variant %r is not an object; give it one key per field. The layers below serve.",
                outcome.flag_key, outcome.variant,
            )  # fmt: skip
            return []
        config_id = _assigned(outcome) if layer == "profile" and outcome.value else None
        name = config_name(outcome, config_id) if config_id else None
        return [Layer(Origin(layer, outcome.flag_key, outcome.variant, config_id, name), outcome.value)]

    def _serving(self, found: Iterable[Layer], withdrawn: Withdrawn) -> tuple[list[Layer], list[Refusal]]:
        """Drop the withdrawn values, and report which they were."""
        if not withdrawn:
            return list(found), []
        layers, refusals = [], []
        for layer in found:
            keys = ((name, self.place(layer.origin, name)) for name in layer.values)
            gone = [
                name for name, key in keys if key and withdrawn.get(key) == fingerprint(layer.values[name])
            ]
            kept = {name: value for name, value in layer.values.items() if name not in gone}
            layers.append(Layer(layer.origin, kept))
            refusals += [self._withdrawal(layer, name) for name in gone]
        return layers, refusals

    def _withdrawal(self, layer: Layer, name: str) -> Refusal:
        value = MASK if self.declaration.is_secret((name,)) else masked(layer.values[name])
        return Refusal((name,), layer.origin, value, WITHDRAWN)

    def _log(self, refusals: tuple[Refusal, ...]) -> None:
        for refusal in refusals:
            path = ".".join(refusal.path)
            field = (
                refusal.path[0]
                if refusal.path and refusal.path[0] in self.declaration.fields
                else "(unknown)"
            )
            FALLBACKS[self.declaration.flag, field] += 1
            shown = short(refusal.value)
            self._log_once((refusal.origin.layer, refusal.origin.variant, path, shown, refusal.message),
                "%s.%s: %s gives %s, refused, so the layer below serves: %s",
                self._settings_class.__name__, path, refusal.source, shown, refusal.message,
            )  # fmt: skip

    def _log_once(self, key: tuple[object, ...], message: str, *arguments: object) -> None:
        if key not in self._logged:
            if len(self._logged) >= _LOGGED_MAX:
                self._logged.clear()
            self._logged.add(key)
            logger.error(message, *arguments)


def _overridden(outcomes: Outcomes) -> bool:
    """Whether a test forces any of these values."""
    return any(outcome.variant == OVERRIDE for outcome in outcomes)


def config_name(outcome: Outcome, config_id: str) -> str | None:
    """A configuration's name, which the mirror writes into the metadata of the profile's flag."""
    name = outcome.flag_metadata.get(f"config.{config_id}")
    return name if isinstance(name, str) else None


def _assigned(profile: Outcome) -> str | None:
    """The id of the user's configuration, which is its variant's name; a default assigns nothing."""
    assigns = isinstance(profile.value, Mapping) and profile.reason != "DEFAULT"
    return profile.variant if assigns and profile.variant not in _NOBODYS else None
