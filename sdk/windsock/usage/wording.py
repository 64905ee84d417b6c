"""Describe a row of ``usage_logs`` in words."""

from collections.abc import Iterator, Mapping

from windsock.usage.record import UsageRecord


def values_read(row: UsageRecord) -> Iterator[str]:
    """The fields read, as ``name=value``."""
    for name, value in row.values.items():
        yield f"{name}={value}"


def values_healed(row: UsageRecord) -> Iterator[str]:
    """The fields that were healed, and how."""
    return map(healed_words, row.healed)


def healed_words(healed: Mapping[str, object]) -> str:
    """One healed field, as ``temperature=9 failed, fell to base``."""
    field, value, layer = (healed.get(key, "?") for key in ("field", "failed_value", "fell_to"))
    return f"{field}={value} failed, fell to {layer}"


def ended(row: UsageRecord) -> str:
    """Say what was healed, and which error ended the request, if any."""
    return "; ".join(filter(None, [*values_healed(row), row.error_class and f"ended in {row.error_class}"]))


def tokens(row: UsageRecord) -> str:
    """The tokens sent and received, as ``120+14``."""
    if row.input_tokens is None and row.output_tokens is None:
        return "-"
    return f"{row.input_tokens or 0}+{row.output_tokens or 0}"
