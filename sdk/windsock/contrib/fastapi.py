"""FastAPI: the requesting user's settings as a dependency. The middleware and lifespan are in `asgi`."""

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, params

from windsock.settings import Settings

S = TypeVar("S", bound=Settings)


def for_user(settings_class: type[S], user: Callable[..., object]) -> params.Depends:
    """Make a dependency that returns a class's settings for the requesting user.

    ::

        UserTeacher = Annotated[Teacher, for_user(Teacher, current_user_id)]


        @app.get("/answer")
        def answer(teacher: UserTeacher) -> str: ...

    Args:
        settings_class: The settings class.
        user: The dependency that returns the user's id, or None for no user; it may have dependencies.
    """

    async def settings(key: Annotated[object, Depends(user)]) -> S:
        return await settings_class.afor_user(key)

    dependency: params.Depends = Depends(settings)
    return dependency
