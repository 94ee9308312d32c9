"""Metrics of storage: what came and went, what lies where, and how far clips get."""

from __future__ import annotations

from voxledger.analytics.metrics.metric import Source, counted, rate, share, summed

_ADDED = "flow = 'added'"
_PURGED = "flow = 'purged'"
_STORED = "stored IS NOT NULL"
_WAITING = "stored IS NULL AND upload_failure IS NULL"
_MADE = "adopted IS NULL"
_PLAYED = f"{_MADE} AND {_STORED} AND plays > 0"
_KEPT = f"{_PLAYED} AND purge_started IS NULL AND purged IS NULL"


def _count(condition: str) -> str:
    return f"count(*) FILTER ({condition})"


def _bytes(condition: str) -> str:
    return f"sum(bytes) FILTER ({condition})"


_MADE_CLIPS = counted(
    "funnel_made", "Made", "Clips made in the period, as the funnel's beginning.", "clips", _count(_MADE), "more"
)
_ADDED_BYTES = summed(
    "added_bytes", "Storage added", "Size of the clips made in the period.", "storage", "bytes", _bytes(_ADDED)
)
_PRESENT: Source = "present"

STORAGE = (
    counted(
        "added_clips", "Clips added", "Clips made in the period, whatever became of them.", "storage", _count(_ADDED),
    ),
    _ADDED_BYTES,
    counted(
        "purged_clips", "Clips purged", "Clips whose audio was deleted in the period and seen to be gone.", "storage", _count(_PURGED)
    ),
    summed(
        "purged_bytes", "Storage purged", "Size of the clips purged in the period.", "storage", "bytes",
        _bytes(_PURGED),
    ),
    summed(
        "net_bytes", "Storage, net", "Storage added less storage purged.",
        "storage", "bytes", "sum(CASE flow WHEN 'added' THEN bytes ELSE -bytes END)",
    ),
    share(
        "added_share", "Share of storage added",
        "Size of the clips of one group made in the period over that of all.", _ADDED_BYTES,
    ),
    counted(
        "stored_clips", "Clips in the store",
        "Clips that the store has confirmed and that are not purged, at the time of the report.", _PRESENT, _count(_STORED),
    ),
    summed(
        "stored_bytes", "Size in the store", "Size of the clips in the store, at the time of the report.", _PRESENT,
        "bytes", _bytes(_STORED),
    ),
    counted(
        "waiting_clips", "Clips waiting for upload",
        "Clips that so far lie only on this machine's disk, at the time of the report.", _PRESENT, _count(_WAITING), "less",
    ),
    summed(
        "waiting_bytes", "Size waiting for upload", "Size of the clips that wait for upload, at the time of the report.",
        _PRESENT, "bytes", _bytes(_WAITING), "less",
    ),
    counted(
        "refused_clips", "Clips the store refused",
        "Clips whose upload failed for good until someone retries it, at the time of the report.",
        _PRESENT, _count("stored IS NULL AND upload_failure IS NOT NULL"), "less",
    ),
    counted(
        "marked_clips", "Clips marked", "Clips that a retention plan condemned and whose grace still runs, at the time of the report.",
        _PRESENT, _count("delete_after IS NOT NULL"),
    ),
    summed(
        "marked_bytes", "Size marked", "Size of the marked clips, at the time of the report.",
        _PRESENT, "bytes", _bytes("delete_after IS NOT NULL"),
    ),
    counted("uploaded_clips", "Uploads", "Uploads that the store confirmed.", "uploads", _count("outcome = 'stored'")),
    counted(
        "refused_uploads", "Uploads refused", "Uploads that the store refused for good.", "uploads",
        _count("outcome = 'refused'"), "less",
    ),
    _MADE_CLIPS,
    counted(
        "funnel_stored", "Stored", "Of the clips made in the period, those that the store has confirmed since.",
        "clips", _count(f"{_MADE} AND {_STORED}"), "more",
    ),
    counted(
        "funnel_played", "Played", "Of those stored, the ones that were played, fetched or linked since.", "clips",
        _count(_PLAYED), "more",
    ),
    counted(
        "funnel_kept", "Kept", "Of those played, the ones whose audio is still there.", "clips", _count(_KEPT),
        "more",
    ),
    rate(
        "played_rate", "Clips played of those made",
        "Share of the clips made in the period that were stored and played since.", "clips", _count(_PLAYED),
        _count(_MADE), "more",
    ),
)  # fmt: skip
