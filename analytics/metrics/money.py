"""Metrics of money: what was spent, and what reuse did not spend again."""

from __future__ import annotations

from voxledger.analytics.metrics.metric import Metric, share, summed

_COST = summed(
    "cost_micro", "Cost", "What the period cost: room in the store, uploads and engine time, at the prices in the settings.",
    "costs", "micro", "sum(micro)", "less",
)  # fmt: skip


def _part(name: str, title: str, definition: str, part: str) -> Metric:
    return summed(name, title, definition, "costs", "micro", f"sum(micro) FILTER (part = '{part}')", "less")


MONEY = (
    _COST,
    _part(
        "room_cost_micro", "Cost of room", "What the clips in the store cost for the time that they lay there in the period.", "room"
    ),
    _part("upload_cost_micro", "Cost of uploads", "What the store asks for the uploads of the period, repeated ones included.", "uploads"),
    _part("engine_cost_micro", "Cost of engine time", "Engine time of the new clips, at the price of the device that spoke.", "engine"),
    Metric(
        name="cost_per_hour_micro", title="Cost of an hour of audio", unit="micro", source="costs", better="less",
        definition="What the period cost over the hours of audio made in it.",
        aggregate="round_even(sum(micro) / nullif(sum(audio_us) / 3600000000, 0), 0)::BIGINT",
    ),
    share("cost_share", "Share of cost", "Cost of one group, such as a part or a device, over the whole cost.", _COST),
    summed(
        "saved_gpu_us", "GPU time saved",
        "Engine time saved by reuse of clips that a device other than a CPU or a server elsewhere had made.",
        "reuses", "us", "sum(saved_us) FILTER (device NOT IN ('cpu', 'remote'))", "more",
    ),
    summed(
        "saved_micro", "Money saved by reuse", "Engine time saved by reuse, at the price of the device that had made the clip.",
        "reuses", "micro", "(sum(saved_us::HUGEINT * price) // 3600000000)", "more",
    ),
)  # fmt: skip
