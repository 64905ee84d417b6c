"""`explain`: the value of each field of a settings object, and where it came from."""

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from openfeature.evaluation_context import EvaluationContextAttribute

from windsock.nested import FieldPath, at, says
from windsock.provenance.explanation import Explanation, Provenance, reason_of
from windsock.settings.declaration import Declaration
from windsock.settings.layers import MergedLayers, Origin, Refusal
from windsock.settings.process import process
from windsock.settings.resolution import Resolution
from windsock.settings.resolver import config_name
from windsock.settings.settings import Settings
from windsock.settings.views import key_of, served_of
from windsock.text import MASK

if TYPE_CHECKING:
    from windsock.settings.features import Feature


def explain(
    settings: "Settings | Feature[Any]",
    targeting_key: object = None,
    /,
    **attributes: EvaluationContextAttribute,
) -> Explanation:
    """Explain where each value of a settings object, or the value of a feature, came from.

    ::

        print(windsock.explain(Teacher.for_user("ann")))
        print(windsock.explain(new_checkout, "ann", tier="pro"))

    Args:
        settings: The result of `Settings.for_user` or `Settings.live`, or a feature.
        targeting_key: The user's id, for a feature.
        attributes: User attributes for targeting rules, for a feature.

    Raises:
        TypeError: The argument is an instance created by calling the class, which wasn't resolved; it's
            neither settings nor a feature; or a user was given with settings, which already have one.
    """
    if not isinstance(settings, Settings):
        from windsock.provenance.features import explained  # noqa: PLC0415 - asked by people

        return explained(settings, targeting_key, attributes)
    if targeting_key is not None or attributes:
        name = type(settings).__name__
        raise TypeError(f"these settings already have a user: write explain({name}.for_user(user_id, …))")
    served = served_of(settings)
    if served is None:
        name = type(settings).__name__
        raise TypeError(
            f"{name}(…) is an ordinary instance; explain what {name}.for_user(…) or {name}.live() returns"
        )
    resolution, serving = served.resolution, served.serving
    declaration = type(settings).__windsock__.declaration
    return Explanation(
        name=type(settings).__name__,
        flag=declaration.flag,
        user=key_of(settings),
        environment=process.evaluating().environment,
        revision=serving.revision if serving else "",
        age=serving.age if serving else 0.0,
        config_id=resolution.config_id,
        config_name=_config_name(resolution),
        reasons=_reasons(resolution),
        fields=tuple(_provenance(declaration, resolution.merged)),
        refused=tuple(_refused(refusal) for refusal in resolution.merged.refusals),
        excluded=resolution.excluded,
    )


def _reasons(resolution: Resolution) -> dict[str, str]:
    return {outcome.flag_key: reason_of(outcome) for outcome in resolution.outcomes}


def _provenance(declaration: Declaration, merged: MergedLayers) -> list[Provenance]:
    shown = declaration.shown(merged.values)
    return [
        Provenance(
            field=".".join(path),
            value=MASK if declaration.is_secret(path) else at(shown, path),
            layer=origin.layer,
            flag=origin.flag,
            variant=origin.variant,
            config_id=origin.config_id,
            variable=origin.variable(path),
            shadowed=_below(merged, path, origin),
        )
        for path, origin in merged.leaves().items()
    ]


def _below(merged: MergedLayers, path: FieldPath, origin: Origin) -> tuple[str, ...]:
    weaker = takewhile(lambda layer: layer.origin is not origin, merged.applied[1:])
    return tuple(reversed([layer.origin.layer for layer in weaker if says(layer.values, path)]))


def _config_name(resolution: Resolution) -> str | None:
    if resolution.config_id is None:
        return None
    names = (config_name(outcome, resolution.config_id) for outcome in resolution.outcomes)
    return next((name for name in names if name is not None), None)


def _refused(refusal: Refusal) -> str:
    return f"{'.'.join(refusal.path)} from {refusal.source}: {refusal.message}"
