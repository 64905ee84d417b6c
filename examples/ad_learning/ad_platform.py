"""The ad platform: Meta's Marketing API through Meta's own client, and what each of its refusals asks for.

Budgets are whole numbers of the currency's smallest unit, as the API has them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import requests
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.campaign import Campaign
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookError, FacebookRequestError
from facebook_business.session import FacebookSession
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from .settings import Learning

# Codes: https://developers.facebook.com/docs/marketing-api/error-reference and …/overview/rate-limiting
_BAD_TOKEN: Final = {102, 104, 190}
_TOO_OFTEN: Final = {4, 17, 32, 368, 613, *range(80_000, 80_015)}
_TRY_AGAIN: Final = {1, 2}
_BUDGET: Final = Campaign.Field.daily_budget
_USAGE_HEADER: Final = "x-business-use-case-usage"
"""Where the platform says how long to ask for nothing."""


class PlatformError(Exception):
    """The ad platform did not do what it was asked."""


class PauseError(PlatformError):
    """Nobody may ask for anything for a while: too many calls, or a token that is not valid.

    Attributes:
        seconds: How long, where the platform says so.
    """

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class UnsureError(PlatformError):
    """No answer, or an internal error: it may have been done or not, and may be asked for again."""


class RefusedError(PlatformError):
    """The platform will not do this, however often it is asked."""


class Access(BaseSettings):
    """Where the ad platform is and who asks: for the deployment to say, never a flag."""

    model_config = SettingsConfigDict(
        env_prefix="AD_PLATFORM_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    base_url: str = "https://graph.facebook.com"
    access_token: SecretStr = SecretStr("")
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What the platform counts of one ad, since it began.

    Attributes:
        spend: In the account's currency.
        revenue: Value of the purchases that the platform traces to the ad; likewise.
    """

    ad_id: str
    impressions: int
    clicks: int
    spend: Decimal
    revenue: Decimal


class AdPlatform:
    """One account of the platform.

    Args:
        access: Where it is. Default: what the environment says.
    """

    def __init__(self, access: Access | None = None) -> None:
        self._access = access or Access()
        self._session = FacebookSession(access_token=self._access.access_token.get_secret_value())
        self._session.GRAPH = self._access.base_url.rstrip("/")

    @property
    def account_id(self) -> str:
        """The account to read reports of, as ``act_123``; empty where none is set, or no token."""
        named = self._access.account_id and self._access.access_token.get_secret_value()
        return f"act_{self._access.account_id.removeprefix('act_')}" if named else ""

    def daily_budget(self, campaign_id: str) -> int:
        """Read a campaign's budget for a day.

        Raises:
            PlatformError: It cannot be read; a campaign without such a budget is refused.
        """
        with self._asking() as api:
            found = api.call("GET", (campaign_id,), {"fields": _BUDGET}).json()
            if found["id"] and _BUDGET not in found:
                raise RefusedError(f"campaign {campaign_id} has no daily budget")
            return int(found[_BUDGET])

    def set_daily_budget(self, campaign_id: str, budget: int) -> None:
        """Set a campaign's budget for a day. The amount is absolute: asked for twice, it is set once.

        Raises:
            PlatformError: It is not set, or, with `UnsureError`, perhaps it is.
        """
        with self._asking() as api:
            answer = api.call("POST", (campaign_id,), {_BUDGET: budget}).json()
            if answer["success"] is not True:
                raise UnsureError(f"the ad platform does not say that campaign {campaign_id} was changed")

    def reports(self) -> Iterator[Report]:
        """Read what the platform counts of each ad of the account, page by page.

        Raises:
            PlatformError: They cannot be read.
        """
        with self._asking() as api:
            insights = AdAccount(self.account_id, api=api)
            fields = ["ad_id", "impressions", "clicks", "spend", "action_values"]
            for row in insights.get_insights(fields, {"level": "ad", "date_preset": "maximum"}):
                yield Report(
                    row["ad_id"],
                    int(row["impressions"]),
                    int(row["clicks"]),
                    Decimal(row["spend"]),
                    _purchases(row.get("action_values", [])),
                )

    @contextmanager
    def _asking(self) -> Iterator[FacebookAdsApi]:
        """Lend the client: no answer takes longer than is set, and its errors become this module's."""
        self._session.timeout = Learning.live().workers.platform_seconds
        with _translated():
            yield FacebookAdsApi(self._session)


def _purchases(values: Sequence[Mapping[str, str]]) -> Decimal:
    return sum((Decimal(each["value"]) for each in values if each["action_type"] == "purchase"), Decimal(0))


@contextmanager
def _translated() -> Iterator[None]:
    """Errors of the client become this module's, without its URLs: the token is part of them."""
    try:
        yield
    except requests.RequestException as error:
        raise UnsureError(f"the ad platform does not answer: {type(error).__name__}") from None
    except FacebookRequestError as error:
        raise _meaning(error) from None
    except (FacebookError, AttributeError, KeyError, TypeError, ValueError) as error:
        # What a proxy or a wrong address answers; the client takes it for the API's own and trips over it.
        raise UnsureError("the answer is not the ad platform's; check AD_PLATFORM_BASE_URL") from error


def _meaning(error: FacebookRequestError) -> PlatformError:
    code, status = error.api_error_code(), error.http_status()
    said = error.api_error_message()
    message = f"the ad platform answers {said!r} (code {code}, status {status})"
    if code in _BAD_TOKEN:
        return PauseError(f"{message}; set AD_PLATFORM_ACCESS_TOKEN to a valid token")
    if code in _TOO_OFTEN or status == requests.codes.too_many_requests:
        return PauseError(message, _regain_seconds(error.http_headers().get(_USAGE_HEADER)))
    if code in _TRY_AGAIN or error.api_transient_error() or code is None or status >= 500:
        return UnsureError(message)
    return RefusedError(message)


def _regain_seconds(usage: str | None) -> float | None:
    """The longest wait that the header names, in minutes by account and kind of call; None for none."""
    try:
        accounts = json.loads(usage or "{}").values()
        minutes = max(each["estimated_time_to_regain_access"] for kinds in accounts for each in kinds)
        return float(minutes) * 60 or None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
