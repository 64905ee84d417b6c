"""Make every call through an OpenFeature client, for SDK versions whose private names we don't know."""

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from windsock.client.internals import DirectPath, P


class ClientPath(DirectPath[P]):
    """A path without a bypass.

    Args:
        client: The client.
    """

    __slots__ = ()

    def __init__(self, client: OpenFeatureClient) -> None:
        self._client = client

    def provider(self) -> P | None:
        """Return None: no provider may be called directly."""
        return None

    alone = in_process = provider

    def outer(self) -> EvaluationContext | None:
        """The contexts, merged."""
        return api.get_evaluation_context().merge(api.get_transaction_context()).merge(self._client.context)
