"""Check whether a configuration fits the settings classes that will read it."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from windsock.errors import ConfigurationError
from windsock.mirror.documents import Profile
from windsock.mirror.rows import ConfigurationRow, HeldBackError, read_profile, read_settings
from windsock.settings.declaration import Declaration
from windsock.settings.flag_input import LONG_KEYS
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import merge_layers
from windsock.settings.settings import Settings
from windsock.text import did_you_mean


def faults(
    declarations: Sequence[Declaration], name: str, settings: Mapping[str, object]
) -> Iterator[tuple[str, str]]:
    """Why a profile couldn't be served as it is: flagd's limits, unknown fields, and values a class refuses.

    Args:
        declarations: Every class that the profile may set.
        name: The profile.
        settings: Its content.

    Yields:
        The field, empty for the whole profile, and what is wrong with it.
    """
    text = json.dumps(settings)
    row = ConfigurationRow("", name, is_active=True, settings=text, size=len(text))
    fields = {each.flag: each.fields for each in declarations}
    try:
        read_profile(row, read_settings(row), tuple(fields), fields)
    except HeldBackError as error:
        if settings:
            yield "", str(error)
        if LONG_KEYS in str(error):  # the classes would say it again
            return
    for each in declarations:
        part = part_of(settings, each, declarations)
        found = list(each.unknown(part))
        layer = Layer(Origin("profile", each.profile_flag, name), part)
        found += [
            (each.path, each.message) for each in (merge_layers(each, [layer]).refusals if part else ())
        ]
        for path, message in dict.fromkeys(found):
            yield ".".join(path), message


def strays(declarations: Sequence[Declaration], settings: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Keys of a profile that belong to none of several classes; of one class, they are its unknown fields."""
    known = [name for each in declarations for name in (each.flag, *each.fields)]
    for key in settings if len(declarations) > 1 else ():
        if key not in known:
            yield key, f"no class named here has such a field{did_you_mean(key, known)}"


def part_of(
    settings: Mapping[str, object], declaration: Declaration, declarations: Sequence[Declaration]
) -> Mapping[str, object]:
    """A profile's settings for one of the classes, split as the mirror does it."""
    if len(declarations) == 1:
        return settings
    flags = {each.flag for each in declarations}
    nested = settings.get(declaration.flag)
    beside = {key: value for key, value in settings.items() if key in declaration.fields and key not in flags}
    return {**beside, **(nested if isinstance(nested, Mapping) else {})}


class Fitting:
    """Checks profiles against settings classes (keys, types and bounds), and finds the class of a key.

    Args:
        classes: The settings classes; a flag without a class isn't checked.
        flags: The mirrored flags.
        hold_back: Don't publish a profile that doesn't fit, instead of only reporting it.

    Raises:
        ConfigurationError: A class's flag is not mirrored.
    """

    def __init__(self, classes: Sequence[type[Settings]], flags: Sequence[str], *, hold_back: bool) -> None:
        self._hold_back = hold_back
        self._declarations = {
            each.__windsock__.declaration.flag: each.__windsock__.declaration for each in classes
        }
        for flag, declaration in self._declarations.items():
            if flag not in flags:
                name = declaration.settings_class.__name__
                raise ConfigurationError(
                    f"{name} reads the flag {flag!r}, which is not mirrored: add --flag {flag}"
                )

    @property
    def fields(self) -> Mapping[str, Collection[str]]:
        """The fields of each class, by its flag."""
        return {
            flag: declaration.settings_class.model_fields for flag, declaration in self._declarations.items()
        }

    def check(self, config_id: str, profile: Profile, strays: Iterable[str]) -> str:
        """Describe what the classes reject in a profile, without its values; empty if it fits.

        Args:
            config_id: The configuration.
            profile: The profile to publish.
            strays: Messages about keys that belong to no class.

        Raises:
            HeldBackError: The profile doesn't fit and should be held back.
        """
        found = list(strays)
        for flag, text in profile.settings.items():
            declaration = self._declarations.get(flag)
            if declaration is not None:
                layer = Layer(Origin("profile", declaration.profile_flag, config_id), json.loads(text))
                found += [
                    f"{declaration.settings_class.__name__}.{'.'.join(refusal.path)}: {refusal.message}"
                    for refusal in merge_layers(declaration, [layer], lenient=True).refusals
                ]
        if found and self._hold_back:
            raise HeldBackError("; ".join(found))
        return "; ".join(found)
