-- name: decided
-- Every clip whose audio is not gone, and what speaks for and against it. What stands between braces is made of the policy
-- (planning/deciding.py). A use counts by its place in the log, not by its clock: what was recorded after the mark speaks for the
-- clip. No link lives longer than 7 days, so older ones need not be read.
WITH undone AS (
    SELECT clip AS undone_clip, max(ended) AS undone FROM marks WHERE ending = 'undone' GROUP BY clip
), facts AS NOT MATERIALIZED (
    SELECT clips.* REPLACE (
        clips.legal_holds > 0 OR clips.holds > 0 AND (clips.held_until IS NULL OR clips.held_until > $now) AS held,
        (CASE WHEN clips.pinned_until IS NULL THEN clips.pinned ELSE clips.pinned_until > $now END) AS pinned,
        greatest(clips.last_used, coalesce(clips.restored, clips.last_used), coalesce(undone, clips.last_used)) AS last_used),
        greatest(undone, clips.restored) AS spared, {quality} AS quality, {consent}
    FROM clips LEFT JOIN undone ON undone_clip = clips.id {voices}
    WHERE clips.purged IS NULL
), /* facts */ {ranks}
marking AS (
    SELECT clip, arg_max(plays + reuses, position) AS uses FROM changes
    WHERE kind = 'ClipMarked' AND clip IN (SELECT id FROM clips WHERE delete_after IS NOT NULL AND purged IS NULL)
    GROUP BY clip
), linked AS (
    SELECT TRY_CAST(subject AS UUID) AS clip, max(TRY_CAST(data::JSON ->> 'expires' AS TIMESTAMPTZ)) AS until FROM events
    WHERE type = 'AudioAccessed' AND version >= 2 AND recorded >= (SELECT max(recorded) FROM events) - INTERVAL 7 DAYS
        AND contains(data::VARCHAR, '"link"')
    GROUP BY ALL
), judged AS (
    SELECT facts.id, facts.position, facts.created, facts.bytes, facts.duration_us, facts.actor_id, facts.plays + facts.reuses AS uses,
        facts.delete_after, facts.mark_rule, facts.mark_plan, facts.pin_reason, facts.pinned, facts.held, facts.legal_holds,
        facts.purge_started, linked.until AS linked_until, facts.spared, facts.last_used AS used,
        facts.delete_after IS NOT NULL AND facts.plays + facts.reuses > coalesce(marking.uses, facts.plays + facts.reuses) AS used_since,
        {withdrawn} AS withdrawn, ({rule})::UTINYINT AS rule, ({keeper})::UTINYINT AS keeper,
        {matched} AS matched {protecting} {budget_columns}
    FROM facts LEFT JOIN linked ON linked.clip = facts.id LEFT JOIN marking ON marking.clip = facts.id
        {rank_joins}
), timed AS (
    -- In microseconds: adding an interval to a time asks the calendar, for every clip.
    SELECT *, epoch_us(used) + {spans} AS expires, epoch_us(created) + $minimum_age AS mature FROM judged
), weighed AS (
    SELECT *, CASE
        WHEN purge_started IS NOT NULL THEN 0
        WHEN legal_holds > 0 THEN 1
        WHEN withdrawn THEN 2
        WHEN held THEN 3
        WHEN pinned THEN 4
        WHEN used_since THEN 5
        WHEN keeper IS NOT NULL THEN 6
        WHEN rule IS NULL THEN 7
        WHEN expires > epoch_us($now) THEN 8
        WHEN linked_until > $now THEN 9
        WHEN mature > epoch_us($now) THEN 10
        ELSE 11 END::UTINYINT AS ground
    FROM timed
), {cuts} freed AS (
    -- Who was spared by hand is as young to a budget as if it had been made then.
    SELECT *, ground IN (7, 8) AND mature <= epoch_us($now) AND (linked_until IS NULL OR linked_until <= $now)
        AND (spared IS NULL OR epoch_us(spared) + $minimum_age <= epoch_us($now)) AS evictable FROM weighed
), decided AS (
    SELECT *, ({budget})::UTINYINT AS budget, CASE WHEN $blind AND ground IN (2, 11) THEN 13 WHEN NOT $blind AND ({budget}) IS NOT NULL THEN 12
        ELSE ground END::UTINYINT AS cause
    FROM freed {cut_joins}
)

-- name: sums
-- How much of what, by everything that a plan tells apart; with it the clips that something happens to, so that all clips are looked at
-- once. Of one that is condemned for the first time little is asked, ids come as two numbers, and the rules that match as the bits of
-- one: there may be millions.
SELECT cause, rule, keeper, budget, delete_after IS NOT NULL AS marked, delete_after > $now AS graced, count(*)::BIGINT AS clips,
    sum(bytes)::BIGINT AS bytes, sum(duration_us)::BIGINT AS duration_us{scoped},
    list({high: high, low: low, bytes: bytes, duration_us: duration_us, uses: uses, matched: matched})
        FILTER (cause IN (2, 11, 12) AND delete_after IS NULL) AS condemned,
    list({high: high, low: low, bytes: bytes, duration_us: duration_us, uses: uses, matched: matched, created: created, used: used,
        expires: expires, mature: mature, linked_until: linked_until, delete_after: delete_after, mark_rule: mark_rule,
        mark_plan: mark_plan, pin_reason: pin_reason, spared: spared}) FILTER (delete_after IS NOT NULL OR cause = 0 OR $every AND cause NOT IN (2, 11, 12))
        AS others
FROM (
    SELECT *, (id::UHUGEINT >> 64)::UBIGINT AS high, (id::UHUGEINT & 18446744073709551615)::UBIGINT AS low FROM decided
) GROUP BY ALL

-- name: one
-- One clip, whatever becomes of it.
SELECT id::VARCHAR AS id, created, used, expires, mature, linked_until, delete_after, mark_rule, mark_plan, pin_reason, spared,
    rule, keeper, budget, cause, bytes, duration_us, uses, matched, protecting
FROM decided WHERE id = $id::UUID

-- name: bounds
-- What lies in the scope of each budget at most, in its largest group: whoever is not above the limit even so need not be looked at.
SELECT {bounds}

-- name: exceeded
-- The groups in which a budget is exceeded: what counts, and what may go, with its worth (NULL and NaN cannot be compared, and stay).
-- Numbers only, for there may be millions.
SELECT group_{number} AS member, sum(bytes) FILTER (cause NOT IN (0, 2, 11, 12))::BIGINT AS stands,
    list({value: value_{number}, position: position, bytes: bytes})
        FILTER (cause IN (7, 8) AND evictable AND value_{number} IS NOT NULL AND NOT isnan(value_{number})) AS clips
FROM decided WHERE scope_{number} GROUP BY ALL HAVING stands > $limit

-- name: head
-- How far the tables have come.
SELECT position FROM projections WHERE name = 'catalog'

-- name: withdrawn
-- Clips whose voice's consent was withdrawn.
SELECT count(*)::BIGINT AS clips FROM clips JOIN voices ON voices.sha256 = clips.voice_sha256
WHERE clips.purged IS NULL AND voices.withdrawn IS NOT NULL

-- name: used_words
-- Which of these words some clip has, or had.
SELECT DISTINCT word FROM (SELECT {words} AS word FROM clips {once}) WHERE word IN (SELECT unnest($words))

-- name: all_words
-- All words of a column, the most frequent first.
SELECT word FROM (SELECT {words} AS word FROM clips) WHERE word IS NOT NULL GROUP BY word ORDER BY count(*) DESC, word LIMIT 10000

-- name: named
-- What people call these clips.
SELECT id::VARCHAR AS id, actor, session, name, plays + reuses AS uses FROM clips WHERE id IN (SELECT unnest($ids::UUID[]))
