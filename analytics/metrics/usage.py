"""Metrics of use: what was asked for, what came of it, and who asked."""

from __future__ import annotations

from voxledger.analytics.metrics.metric import counted, distinct, rate, share, summed

_DONE = "outcome = 'completed'"
_ANSWERED = "outcome IN ('completed', 'reused')"
_CANCELLED = "outcome = 'cancelled'"


def _count(condition: str) -> str:
    return f"count(*) FILTER ({condition})"


_GENERATIONS = counted(
    "generations", "Generations",
    "Attempts to make a clip that ended, whatever the outcome: completed, reused, failed or cancelled.",
    "generations", "count(*)", "more",
)  # fmt: skip
_CLIPS = counted("clips", "Clips made", "Generations that ended in a new clip.", "generations", _count(_DONE), "more")
_ANSWERS = counted(
    "answered", "Requests answered", "Generations that ended in a clip, whether new or already there.",
    "generations", _count(_ANSWERED), "more",
)  # fmt: skip
_AUDIO = summed(
    "audio_us", "Audio made", "Summed length of the new clips.",
    "generations", "us", f"sum(duration_us) FILTER ({_DONE})", "more",
)  # fmt: skip
_ACTIVE = distinct(
    "active_users", "Active users", "Actors with at least one generation, whatever its outcome.",
    "generations", "count(DISTINCT actor_id)", "more",
)  # fmt: skip
_ANSWERED_USERS = distinct(
    "answered_users", "Users answered", "Actors with at least one answered request.",
    "generations", f"count(DISTINCT actor_id) FILTER ({_ANSWERED})", "more",
)  # fmt: skip
_PLAYS = counted(
    "plays",
    "Plays",
    "Times that somebody played or fetched a clip or had a link to it made.",
    "plays",
    "count(*)",
    "more",
)

USAGE = (
    _GENERATIONS,
    _CLIPS,
    counted(
        "reused", "Reused", "Requests answered by a clip that was already there.", "generations",
        _count("outcome = 'reused'"), "more",
    ),
    counted(
        "failed", "Failed", "Generations that ended in an error, by the error's class.", "generations",
        _count("outcome = 'failed'"), "less",
    ),
    counted(
        "cancelled", "Cancelled", "Generations whose caller went away before the clip was there.", "generations", _count(_CANCELLED), "less"
    ),
    _ANSWERS,
    _AUDIO,
    summed(
        "characters", "Characters", "Summed length of the texts of the answered requests.",
        "generations", "count", f"sum(text_length) FILTER ({_ANSWERED})", "more",
    ),
    rate(
        "reuse_rate", "Reuse rate", "Share of the answered requests (completed or reused) that were answered by a clip already there.",
        "generations", _count("outcome = 'reused'"), _count(_ANSWERED), "more",
    ),
    rate(
        "failure_rate", "Failure rate", "Share of the generations that failed, not counting cancelled ones.",
        "generations", _count("outcome = 'failed'"), _count("outcome <> 'cancelled'"), "less",
    ),
    counted(
        "suspect_clips", "Suspect clips", "New clips whose audio is doubted: silent, clipped, too short and so on.",
        "generations", _count(f"{_DONE} AND len(suspect) > 0"), "less",
    ),
    rate(
        "suspect_rate", "Suspect audio", "Share of the new clips whose audio is doubted.",
        "generations", _count(f"{_DONE} AND len(suspect) > 0"), _count(_DONE), "less",
    ),
    _ACTIVE,
    _ANSWERED_USERS,
    counted(
        "new_users", "New users", "Active users whose first generation of all lies in the period.",
        "users", _count("kind = 'new'"), "more",
    ),
    counted(
        "returning_users", "Returning users", "Active users who had a generation before the period began.",
        "users", _count("kind IN ('retained', 'resurrected')"), "more",
    ),
    counted(
        "retained_users", "Retained users", "Active users who were active in the period before as well.",
        "users", _count("kind = 'retained'"), "more",
    ),
    counted(
        "resurrected_users", "Resurrected users", "Active users who had been active at some time, but not in the period before.",
        "users", _count("kind = 'resurrected'"), "more",
    ),
    counted(
        "lost_users", "Lost users", "Users who were active in the period before and not in this one.",
        "users", _count("kind = 'lost'"), "less",
    ),
    rate(
        "retention_rate", "Users retained", "Share of the users of the period before who were active again.",
        "users", _count("kind = 'retained'"), _count("kind IN ('retained', 'lost')"), "more",
    ),
    _PLAYS,
    distinct(
        "players", "Listeners", "Actors who played or fetched a clip or had a link to it made.", "plays",
        "count(DISTINCT actor_id)", "more",
    ),
    distinct(
        "played_clips", "Clips played", "Different clips that were played, fetched or linked.", "plays",
        "count(DISTINCT clip)", "more",
    ),
    distinct(
        "adopters", "Users of features", "Actors who used a feature in an answered request, group by group those of each feature.",
        "adopters", "count(DISTINCT actor_id) FILTER (kind <> 'dropped')", "more",
    ),
    counted(
        "new_adopters", "New users of features",
        "Actors who used a feature and had not in the eight weeks before, once for each such feature.",
        "adopters", _count("kind = 'new'"), "more",
    ),
    counted(
        "returning_adopters", "Returning users of features",
        "Actors who used a feature and had in the eight weeks before, once for each such feature.",
        "adopters", _count("kind = 'returning'"), "more",
    ),
    counted(
        "dropped_adopters", "Users who dropped features",
        "Actors who used a feature in the period before and not in this one, once for each such feature.",
        "adopters", _count("kind = 'dropped'"), "less",
    ),
    share(
        "generation_share", "Share of generations",
        "Generations of one group (channel, language, engine) over all generations.", _GENERATIONS,
    ),
    share(
        "clip_share", "Share of clips", "New clips of one group, such as a dominant emotion, over all new clips.",
        _CLIPS,
    ),
    share(
        "answer_share", "Share of answers",
        "Answered requests of one group, such as a feature, over all answered requests.", _ANSWERS,
    ),
    share("audio_share", "Share of audio", "Length of the new clips of one group over that of all new clips.", _AUDIO),
    share(
        "user_share", "Share of users",
        "Active users of one group, such as an engine, over all active users; one user may be in several.", _ACTIVE,
    ),
    share(
        "answered_user_share", "Share of users answered",
        "Users of one group with an answered request, such as those of a feature, over all such users; one user may be in several.",
        _ANSWERED_USERS,
    ),
    share("play_share", "Share of plays", "Plays of one group, such as a channel, over all plays.", _PLAYS),
)  # fmt: skip
