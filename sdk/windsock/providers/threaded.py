"""Asynchronous evaluation by threads, for a provider whose evaluations wait for an answer."""

import asyncio
import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType

from windsock.providers.base import ServingProvider

T = TypeVar("T")
ObjectValue = Sequence[FlagValueType] | Mapping[str, FlagValueType]

_THREADS: Final = 32
"""Maximum concurrent asynchronous evaluations; more wait."""


class ThreadedProvider(ServingProvider):
    """A provider whose asynchronous evaluations are its synchronous ones, in threads."""

    _pool: ThreadPoolExecutor | None = None

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 - OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Resolve a boolean flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_boolean_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Resolve a string flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_string_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Resolve an integer flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_integer_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Resolve a float flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_float_details(flag_key, default_value, evaluation_context)
        )

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: ObjectValue,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[ObjectValue]:
        """Resolve an object flag in a thread."""
        return await self._in_thread(
            lambda: self.resolve_object_details(flag_key, default_value, evaluation_context)
        )

    def _start_threads(self) -> None:
        """Allow evaluations in threads; each thread begins when it is needed."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="windsock-remote")

    def _stop_threads(self) -> None:
        """Cancel evaluations that wait for a thread, and wait for the others to end."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        if self._pool is None:
            return call()  # shut down: raises immediately
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, call)
