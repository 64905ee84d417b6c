"""The service of the ad learning system: its configuration over HTTP, and the check of one ad."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import openai
import psycopg
from fastapi import FastAPI, HTTPException, Query, status
from pydantic import BaseModel

import windsock
from windsock.api import Api, configuration_router
from windsock.errors import ConfigurationError
from windsock.runtime import Health

from . import config_loader, worker
from .indexing import SimilarWinner, find_similar
from .settings import Learning
from .winners import is_winner

logger = logging.getLogger("ad_learning")


class Ad(BaseModel):
    """What is asked about an ad; without a campaign the thresholds of the deployment count."""

    ctr: float
    roas: float
    hours_live: int
    impressions: int
    campaign: str | None = None
    account: str | None = None


def create_app(database_url: str | None = None) -> FastAPI:
    """Make the service.

    Args:
        database_url: Where tokens, the audit and the ads are. Default: ``DATABASE_URL``.

    Raises:
        ConfigurationError: No database is named.
        FileNotFoundError: The flag file is nowhere.
    """
    url = database_url or config_loader.database_url()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        config_loader.start()
        yield
        windsock.stop()

    app = FastAPI(title="ad learning", lifespan=lifespan)
    api = Api(Learning, config_loader.find_config(), url, path="/api/config/learning")
    app.include_router(configuration_router(api))

    @app.get("/winner")
    def winner(ad: Annotated[Ad, Query()]) -> dict[str, bool]:
        """Tell whether an ad with these numbers is a winner, by the thresholds of its campaign."""
        with windsock.request():  # which records what was decided by, and exposes the campaign to its arm
            settings = config_loader.for_campaign(ad.campaign, ad.account)
            return {"winner": is_winner(ad.ctr, ad.roas, ad.hours_live, ad.impressions, settings)}

    @app.get("/winners/similar")
    async def similar_winners(text: str) -> list[SimilarWinner]:
        """Find the indexed winners that are most like a campaign, a video, attributes."""
        try:
            seconds = Learning.live().workers.request_seconds
            async with worker.connected(url, seconds=seconds) as connection:
                return await find_similar(connection, text)
        except (ConfigurationError, openai.OpenAIError, psycopg.Error) as error:
            logger.error("similar winners cannot be found: %s", worker.reason(error))  # noqa: TRY400 - it says it all
            known = isinstance(error, ConfigurationError)
            said = str(error) if known else "similar winners cannot be found now; the service's log says why"
            raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, said) from error

    @app.get("/health")
    def health() -> Health:
        """Tell what serves; a variable that overrides the flag file is named."""
        return windsock.health()

    return app
