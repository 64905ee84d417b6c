"""The settings of the ad learning system: one class, one flag, a section per part of the system.

Sections, fields, numbers and variables carry the names that the system's operators already use. The code
defaults are what serves where the flag says nothing.
"""

from typing import Self

from pydantic import AliasChoices, BaseModel, Field, model_validator

import windsock

FLAG = "learning"

UNSET_PRIORITY = 999
"""A loop without a priority runs after those that have one."""


class WinnerDetection(BaseModel):
    """When an ad is a winner."""

    ctr_threshold: float = Field(
        0.03, ge=0, le=1, validation_alias="WINNER_CTR_THRESHOLD", description="Clicks per impression."
    )
    roas_threshold: float = Field(
        3.0, ge=0, validation_alias="WINNER_ROAS_THRESHOLD", description="Revenue per unit spent."
    )
    require_both: bool = Field(default=False, description="Both thresholds, or either.")
    always_valid: bool = Field(
        default=False,
        description="The clicks must show the CTR threshold too.",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Over all looks at an ad, with always_valid.")
    min_impressions: int = Field(1000, ge=0, validation_alias="WINNER_MIN_IMPRESSIONS")
    min_hours_live: int = Field(24, ge=0)


class RagIndexing(BaseModel):
    """How winners are indexed for retrieval."""

    batch_size: int = Field(50, ge=1, le=1000, description="Jobs taken at once.")
    max_attempts: int = Field(3, ge=1, le=20, description="At a winner that the model refuses.")
    poll_interval_seconds: float = Field(5.0, gt=0, le=3600)
    embedding_model: str = Field("text-embedding-3-small", min_length=1)
    embedding_dimension: int = Field(256, ge=16, le=16_000)
    model_seconds: float = Field(60.0, gt=0, le=3600, description="For one answer of the model.")
    model_retries: int = Field(2, ge=0, le=10, description="Immediate retries by the model's client.")
    similar_winners: int = Field(5, ge=1, le=100, description="How many are found by likeness.")


class Loop(BaseModel):
    """One learning loop of the cycle."""

    enabled: bool = True
    priority: int = Field(UNSET_PRIORITY, ge=0, description="Lower runs earlier.")
    timeout_seconds: float = Field(300, gt=0, le=86_400)


class Loops(BaseModel):
    """The seven loops."""

    actuals_fetcher: Loop = Loop()
    creative_dna: Loop = Loop()
    compound_learner: Loop = Loop()
    winner_detection: Loop = Loop()
    rag_indexing: Loop = Loop()
    model_evaluation: Loop = Loop()
    auto_promoter: Loop = Loop()


class SelfLearningCycle(BaseModel):
    """How often the loops run, and what an error does."""

    interval_seconds: float = Field(3600, gt=0, validation_alias="LEARNING_CYCLE_INTERVAL_SECONDS")
    continue_on_error: bool = True
    max_retries: int = Field(3, ge=0, le=10, description="Further attempts at a loop that failed.")
    retry_seconds: float = Field(0.1, gt=0, le=3600, description="Before the first retry; then doubled.")
    longest_retry_seconds: float = Field(30.0, gt=0, le=86_400)
    loops: Loops = Loops()


class CampaignLearning(BaseModel):
    """How fast the returns of campaigns are learnt."""

    smoothing_cycles: int = Field(5, ge=1, le=1000, description="A cycle weighs 1/n, once n are past.")


class AutoPromoter(BaseModel):
    """How the budgets of winners grow."""

    budget_increase_pct: float = Field(10.0, gt=0, le=100)
    max_promotions_per_cycle: int = Field(5, ge=0, le=1000)
    min_hours_between_promotions: float = Field(24, ge=0)


class ModelEvaluation(BaseModel):
    """When a challenger replaces the champion."""

    min_improvement_pct: float = Field(2.0, ge=0)
    min_samples: int = Field(1000, ge=1)
    confidence_level: float = Field(0.95, gt=0.5, lt=1)
    min_accuracy_delta: float = Field(0.01, ge=0, le=1)
    auto_promote: bool = True


class RateLimiting(BaseModel):
    """How many actions the executor may take, over all of its workers."""

    max_actions_per_hour: int = Field(15, ge=0, validation_alias="MAX_ACTIONS_PER_HOUR")
    max_actions_per_day: int = Field(100, ge=0, validation_alias="MAX_ACTIONS_PER_DAY")


class BudgetVelocity(BaseModel):
    """How far a campaign's budget may move within a window."""

    max_change_pct: float = Field(20.0, ge=0, le=100, validation_alias="MAX_BUDGET_CHANGE_PCT")
    velocity_window_hours: float = Field(6, gt=0, le=720, validation_alias="VELOCITY_WINDOW_HOURS")


class Jitter(BaseModel):
    """A random wait before an action, so that actions keep no rhythm."""

    enabled: bool = Field(default=True, validation_alias="JITTER_ENABLED")
    min_ms: int = Field(3000, ge=0, validation_alias="JITTER_MIN_MS")
    max_ms: int = Field(18_000, ge=0, validation_alias="JITTER_MAX_MS")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_ms > self.max_ms:
            raise ValueError(f"min_ms {self.min_ms} is above max_ms {self.max_ms}")
        return self


class FuzzyBudgets(BaseModel):
    """A small random deviation of each new budget."""

    enabled: bool = Field(default=True, validation_alias="FUZZY_BUDGETS_ENABLED")
    variance_pct: float = Field(3.0, ge=0, le=50, validation_alias="FUZZY_BUDGET_VARIANCE_PCT")


class Retry(BaseModel):
    """When a budget change without an answer is tried again; waits double from the poll interval."""

    max_attempts: int = Field(12, ge=1, le=1000, description="Then it is given up.")
    longest_wait_seconds: float = Field(3600.0, gt=0, le=604_800)
    pause_seconds: float = Field(
        60.0, gt=0, le=86_400, description="For every worker, where the platform refuses and names no time."
    )


class SafeExecutor(BaseModel):
    """How budget changes are carried out."""

    enabled: bool = Field(default=True, validation_alias="SAFE_EXECUTOR_ENABLED")
    poll_interval_ms: int = Field(
        5000,
        ge=1,
        validation_alias=AliasChoices("SAFE_EXECUTOR_POLL_INTERVAL_MS", "POLL_INTERVAL_MS"),
    )
    rate_limiting: RateLimiting = RateLimiting()
    budget_velocity: BudgetVelocity = BudgetVelocity()
    jitter: Jitter = Jitter()
    fuzzy_budgets: FuzzyBudgets = FuzzyBudgets()
    retry: Retry = Retry()


class Workers(BaseModel):
    """How long the parts of the system wait for each other."""

    look_seconds: float = Field(
        0.25, gt=0, le=60, description="How often a waiting worker looks if its interval has changed."
    )
    connect_seconds: int = Field(5, ge=2, le=300, description="For a connection to the database.")
    statement_seconds: float = Field(
        60.0, gt=0, le=3600, description="For one answer of the database; then the worker connects again."
    )
    request_seconds: float = Field(
        5.0, gt=0, le=60, description="For one answer of the database or the model, while somebody waits."
    )
    platform_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        validation_alias="AD_PLATFORM_TIMEOUT_SECONDS",
        description="For one answer of the ad platform.",
    )


class FeatureFlags(BaseModel):
    """Whole parts of the system, on or off."""

    rag_auto_indexing: bool = Field(default=True, validation_alias="RAG_AUTO_INDEXING_ENABLED")
    self_learning_cycle: bool = True
    champion_challenger: bool = True
    auto_promoter: bool = True


class Learning(windsock.Settings, flag=FLAG):
    """Everything that `flagd/learning.flagd.json` may change while the services run."""

    winner_detection: WinnerDetection = WinnerDetection()
    rag_indexing: RagIndexing = RagIndexing()
    self_learning_cycle: SelfLearningCycle = SelfLearningCycle()
    campaign_learning: CampaignLearning = CampaignLearning()
    auto_promoter: AutoPromoter = AutoPromoter()
    model_evaluation: ModelEvaluation = ModelEvaluation()
    safe_executor: SafeExecutor = SafeExecutor()
    workers: Workers = Workers()
    feature_flags: FeatureFlags = FeatureFlags()
