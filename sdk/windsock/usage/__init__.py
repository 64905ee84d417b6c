"""Usage records: what a request used, written in batches, and kept on disk while the database is away."""

from windsock.usage.clean import clean, hashed_user_id
from windsock.usage.exposure import ExposureSink, Sinks
from windsock.usage.otel import OpenTelemetrySink
from windsock.usage.record import COLUMNS, Healed, Measured, Pending, UsageRecord, Use
from windsock.usage.sinks import LogSink, MemorySink, Sink
from windsock.usage.spool import Spool
from windsock.usage.writer import UsageHealth, UsageOptions, UsageWriter

__all__ = [
    "COLUMNS",
    "ExposureSink",
    "Healed",
    "LogSink",
    "Measured",
    "MemorySink",
    "OpenTelemetrySink",
    "Pending",
    "Sink",
    "Sinks",
    "Spool",
    "UsageHealth",
    "UsageOptions",
    "UsageRecord",
    "UsageWriter",
    "Use",
    "clean",
    "hashed_user_id",
]
