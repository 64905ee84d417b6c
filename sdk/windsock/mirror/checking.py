"""Check whether a configuration fits the settings classes that will read it."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from windsock.errors import ConfigurationError
from windsock.mirror.documents import Profile
from windsock.mirror.rows import HeldBackError
from windsock.settings.layers import Layer, Origin
from windsock.settings.laying import resolve
from windsock.settings.settings import Settings


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
                    for refusal in resolve(declaration, [layer], lenient=True).refusals
                ]
        if found and self._hold_back:
            raise HeldBackError("; ".join(found))
        return "; ".join(found)
