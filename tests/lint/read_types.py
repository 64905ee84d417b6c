"""What a variant gives that is read as another type: the table of docs/portable-rules.md, which a test measures."""

from typing import Any, Final, NamedTuple

MISMATCH: Final = "type mismatch"


class Read(NamedTuple):
    """One variant, the type that is asked for, and what each way to it gives.

    Attributes:
        flag: The flag but for its key.
        asked: The type, as in OpenFeature's ``get_…_details``.
        windsock: windsock's evaluator.
        core: The Python core.
        grpc: The flagd server over gRPC, by its Python provider.
        ofrep: The flagd server over OFREP, by OFREP's Python provider.
    """

    flag: dict[str, Any]
    asked: str
    windsock: str
    core: str
    grpc: str
    ofrep: str


def _value(value: Any, **more: Any) -> dict[str, Any]:
    return {"state": "ENABLED", "variants": {"it": value}, "defaultVariant": "it", **more}


READS: Final = (
    Read(_value(1), "float", "1.0", "1.0", "1.0", MISMATCH),
    Read(_value(1.0), "float", "1.0", "1.0", "1.0", MISMATCH),
    Read(_value(1.0), "integer", "1", MISMATCH, "1", "1"),
    Read(_value(1.5), "integer", MISMATCH, MISMATCH, "1", MISMATCH),
    Read(
        _value(2**53 + 1), "integer",
        "9007199254740993", "9007199254740993", "9007199254740992", "9007199254740992",
    ),
    Read(_value(value=True), "integer", MISMATCH, MISMATCH, MISMATCH, "True"),
    Read(_value(value=True), "float", MISMATCH, "1.0", MISMATCH, MISMATCH),
    Read(_value({"a": 1}), "object", "{'a': 1}", "{'a': 1}", "{'a': 1.0}", "{'a': 1}"),
    Read(_value([1]), "object", "[1]", "[1]", MISMATCH, "[1]"),
    Read(_value("x", state="DISABLED"), "string", "code default", "code default", "code default", "general error"),
    Read(_value("x", defaultVariant=None), "string", "code default", "code default", "code default", "general error"),
)  # fmt: skip
