"""Metrics of speed: how long people wait, what engines take, and what reuse saves."""

from __future__ import annotations

from voxledger.analytics.metrics.metric import Metric, summed

_DONE = "outcome = 'completed'"

_PARTS = (0.5, 0.95)


def _quantile(column: str, part: float) -> str:
    """All parts are asked for at once: DuckDB then sorts a column once, whichever of them are wanted."""
    return f"(quantile_cont({column}, {list(_PARTS)}) FILTER ({_DONE}))[{_PARTS.index(part) + 1}]"


def _percentile(name: str, title: str, definition: str, column: str, part: float) -> Metric:
    """A time of the new clips that `part` of them stay at or below, interpolated between neighbours, in whole microseconds."""
    aggregate = f"round_even({_quantile(column, part)}, 0)::BIGINT"
    return Metric(
        name=name,
        title=title,
        definition=definition,
        source="generations",
        aggregate=aggregate,
        unit="us",
        better="less",
    )


def _factor(name: str, title: str, definition: str, part: float) -> Metric:
    aggregate = _quantile("synthesis_us / nullif(duration_us, 0)", part)
    return Metric(
        name=name,
        title=title,
        definition=definition,
        source="generations",
        aggregate=aggregate,
        unit="ratio",
        better="less",
    )


SPEED = (
    _factor(
        "rtf_p50", "Real-time factor, median",
        "Engine time over audio time of the new clips, median; below 1 is faster than real time.", 0.5,
    ),
    _factor(
        "rtf_p95", "Real-time factor, 95th percentile",
        "Engine time over audio time that 95 of 100 new clips stay at or below.", 0.95,
    ),
    _percentile(
        "queue_p50_us", "Queue wait, median", "Time before the engine began, median of the new clips.", "queue_us",
        0.5,
    ),
    _percentile(
        "queue_p95_us", "Queue wait, 95th percentile",
        "Time before the engine began that 95 of 100 new clips stay at or below.", "queue_us", 0.95,
    ),
    _percentile(
        "latency_p50_us", "Latency, median", "From the engine's queue to the finished clip, median of the new clips.", "elapsed_us", 0.5
    ),
    _percentile(
        "latency_p95_us", "Latency, 95th percentile",
        "From the engine's queue to the finished clip: what 95 of 100 new clips stay at or below.", "elapsed_us", 0.95,
    ),
    _percentile(
        "first_p95_us", "First sound, 95th percentile",
        "From the engine's start to its first segment, loading included: what 95 of 100 new clips stay at or below.", "first_us", 0.95,
    ),
    summed(
        "engine_us", "Engine time", "The engines' own time for the new clips, loading included.",
        "generations", "us", f"sum(synthesis_us + coalesce(load_us, 0)) FILTER ({_DONE})",
    ),
    summed(
        "gpu_us", "GPU time", "Engine time of the new clips on devices other than a CPU or a server elsewhere.",
        "generations", "us", f"sum(synthesis_us + coalesce(load_us, 0)) FILTER ({_DONE} AND device NOT IN ('cpu', 'remote'))",
    ),
    summed(
        "saved_us", "Engine time saved",
        "Engine time that the reused clips had cost when they were made, and that was not spent again.",
        "generations", "us", "sum(saved_us) FILTER (outcome = 'reused')", "more",
    ),
)  # fmt: skip
