"""What `explain` returns."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from windsock.evaluator.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one value came from.

    Attributes:
        field: The field, with nested keys after dots: ``retrieval.top_k``.
        value: The value in effect; masked if the field is secret.
        layer: ``default``, ``base``, ``.env``, ``environment``, ``experiment`` or ``profile``.
        flag: Key of the flag that held it, or None.
        variant: Name of the variant that held it, or None.
        config_id: UUID of the configuration, if the layer is the user's profile.
        variable: The environment variable, if the layer is the environment or ``.env``.
        shadowed: Weaker layers with a different value, strongest first.
    """

    field: str
    value: object
    layer: str
    flag: str | None
    variant: str | None
    config_id: str | None
    variable: str | None
    shadowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every value of a settings object and where it came from; ``print`` shows it as a table.

    Attributes:
        name: The settings class.
        flag: Key of its base flag.
        user: The targeting key, or None for the deployment's values.
        environment: The environment that base flags target.
        revision: Revision of the flag set; empty if the provider doesn't report it.
        age: Seconds since that set came into use.
        config_id: UUID of the user's assigned configuration, whether or not it sets a field.
        config_name: That configuration's name; None if the flags don't contain it.
        reasons: OpenFeature's reason for each evaluated flag, by key.
        fields: One entry per field, or per leaf of nested fields, in field order.
        refused: Rejected values, one message each.
        excluded: Whether the profile sets a field of the running experiment, which excludes the user.
    """

    name: str
    flag: str
    user: str | None
    environment: str
    revision: str
    age: float
    config_id: str | None
    config_name: str | None
    reasons: Mapping[str, str]
    fields: tuple[Provenance, ...]
    refused: tuple[str, ...]
    excluded: bool

    def __getitem__(self, field: str) -> Provenance:
        """The entry for one field: ``explain(teacher)["temperature"]``."""
        try:
            return next(each for each in self.fields if each.field == field)
        except StopIteration:
            raise KeyError(field) from None

    def to_dict(self) -> dict[str, object]:
        """The explanation as plain data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        from windsock.provenance.wording import text  # noqa: PLC0415 - for people only

        return text(self)

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        from windsock.provenance.wording import html  # noqa: PLC0415 - for people only

        return html(self)


def reason_of(outcome: Outcome) -> str:
    """OpenFeature's reason for an evaluation, with the error code, if any."""
    return outcome.reason if outcome.error_code is None else f"{outcome.reason}: {outcome.error_code}"
