"""Usage records: what a request used, written in batches, and kept on disk while the database is away."""

from windsock.usage.clean import clean
from windsock.usage.exposure import ExposureSink, Sinks
from windsock.usage.otel import OpenTelemetrySink
from windsock.usage.record import COLUMNS, UsageRecord
from windsock.usage.sinks import LogSink, MemorySink, Sink
from windsock.usage.spool import Spool
from windsock.usage.writer import UsageOptions, UsageWriter
from windsock.use import Healed, Measured, Pending, UsageHealth, Use, hashed_user_id

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
