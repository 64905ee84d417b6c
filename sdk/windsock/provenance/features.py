"""`explain` for a feature: its value for a user, and where it came from."""

from typing import Any

from openfeature.exception import ErrorCode

from windsock.client.evaluation import key_text
from windsock.evaluator.outcome import Outcome
from windsock.provenance.explanation import Explanation, Provenance, reason_of
from windsock.settings.feature_values import DeclaredFeature, plain
from windsock.settings.process import process
from windsock.text import short


def explained(target: object, user: object, attributes: dict[str, Any]) -> Explanation:
    """Explain where a feature's value came from; see `explain`.

    Raises:
        TypeError: The object isn't a feature.
    """
    feature = getattr(target, "declared", None)
    if not isinstance(feature, DeclaredFeature):
        given = f"the class {target.__name__!r}" if isinstance(target, type) else repr(type(target).__name__)
        raise TypeError(f"explain takes what `for_user` or `live` returned, or a feature; got {given}")
    evaluation = process.evaluating()
    environment, provider = evaluation.environment, evaluation.provider()
    details = evaluation.details(feature.kind, feature.key, feature.plain_default, user, attributes)
    outcome, forced = evaluation.outcome(details), feature.value()
    return Explanation(
        name=f"feature {feature.key}",
        flag=feature.key,
        user=key_text(user) or None,
        environment=environment,
        revision=provider.serving.revision if provider else "",
        age=provider.serving.age if provider else 0.0,
        config_id=None,
        config_name=None,
        reasons={feature.key: reason_of(outcome)},
        fields=(_feature_provenance(feature, outcome, forced),),
        refused=_refused_of(feature, outcome),
        excluded=False,
    )


def _feature_provenance(feature: DeclaredFeature[Any], outcome: Outcome, forced: object) -> Provenance:
    served = feature.fitting(outcome.value)
    layer = "environment" if forced is not None else "default" if served is None else "flag"
    value = {"environment": forced, "default": feature.default, "flag": served}[layer]
    return Provenance(
        field=feature.key,
        value=plain(value),
        layer=layer,
        flag=feature.key if layer == "flag" else None,
        variant=outcome.variant if layer == "flag" else None,
        config_id=None,
        variable=feature.variable if layer == "environment" else None,
        shadowed=("flag",) if layer == "environment" and served is not None else (),
    )


def _refused_of(feature: DeclaredFeature[Any], outcome: Outcome) -> tuple[str, ...]:
    if outcome.value is not None and feature.fitting(outcome.value) is None:
        source = f"{feature.key} from flag {outcome.flag_key}/{outcome.variant}"
        return (f"{source}: {short(outcome.value)} is not {feature.words}",)
    message = outcome.error_message if outcome.error_code is not ErrorCode.FLAG_NOT_FOUND else None
    return () if message is None else (message,)
