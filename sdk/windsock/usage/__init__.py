"""Usage records: what each request used, written in batches, and kept on disk while the database is down."""

from typing import TYPE_CHECKING

from windsock.lazy import lazy_face

if TYPE_CHECKING:
    from windsock.usage.data import Healed, Measured, Pending, UsageHealth, Use, hashed_user_id
    from windsock.usage.experiment_records import EventRecord, ExposureRecord
    from windsock.usage.exposure_sink import ExposureSink
    from windsock.usage.otel import OpenTelemetrySink
    from windsock.usage.record import COLUMNS, UsageRecord
    from windsock.usage.request import Request
    from windsock.usage.several_sinks import Sinks
    from windsock.usage.sinks import ExperimentSink, LogSink, MemorySink, RowsRefusedError, Sink
    from windsock.usage.spool import Spool
    from windsock.usage.writer import UsageOptions, UsageWriter

__all__ = [
    "COLUMNS",
    "EventRecord",
    "ExperimentSink",
    "ExposureRecord",
    "ExposureSink",
    "Healed",
    "LogSink",
    "Measured",
    "MemorySink",
    "OpenTelemetrySink",
    "Pending",
    "Request",
    "RowsRefusedError",
    "Sink",
    "Sinks",
    "Spool",
    "UsageHealth",
    "UsageOptions",
    "UsageRecord",
    "UsageWriter",
    "Use",
    "hashed_user_id",
]

__getattr__ = lazy_face(
    __name__,
    {
        "COLUMNS": "record",
        "EventRecord": "experiment_records",
        "ExperimentSink": "sinks",
        "ExposureRecord": "experiment_records",
        "ExposureSink": "exposure_sink",
        "Healed": "data",
        "LogSink": "sinks",
        "Measured": "data",
        "MemorySink": "sinks",
        "OpenTelemetrySink": "otel",
        "Pending": "data",
        "Request": "request",
        "RowsRefusedError": "sinks",
        "Sink": "sinks",
        "Sinks": "several_sinks",
        "Spool": "spool",
        "UsageHealth": "data",
        "UsageOptions": "writer",
        "UsageRecord": "record",
        "UsageWriter": "writer",
        "Use": "data",
        "hashed_user_id": "data",
    },
)
