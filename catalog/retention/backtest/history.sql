-- name: changes
-- Everything that ended a state of a clip: what happened, when, and how the clip stood before it.
SELECT clips.position AS clip, changes.position AS place, epoch_us(events.time) AS time,
    (CASE WHEN changes.kind IN ('AudioAccessed', 'GenerationReused') THEN 1
        WHEN changes.kind IN ('PurgeStarted', 'ClipPurged', 'ClipRestored') THEN 2 ELSE 0 END)::TINYINT AS turn,
    epoch_us(greatest(changes.last_used, changes.restored)) AS anchor, changes.plays + changes.reuses AS uses,
    changes.pinned AND changes.pinned_until IS NULL AS pinned,
    coalesce(changes.purge_started, changes.purged) IS NOT NULL AS gone{columns}
FROM changes JOIN clips ON clips.id = changes.clip JOIN events ON events.position = changes.position
WHERE changes.kind IN ({kinds});

-- name: clips
-- Every clip: what never changes of it, and how it stands now.
SELECT position AS clip, id::VARCHAR AS id, epoch_us(created) AS created, coalesce(bytes, 0) AS bytes,
    epoch_us(greatest(last_used, restored)) AS anchor, plays + reuses AS uses, pinned AND pinned_until IS NULL AS pinned,
    coalesce(purge_started, purged) IS NOT NULL AS gone{columns}
FROM clips{joins};

-- name: undone
-- Marks that somebody took back by hand: the clip's time then begins anew.
SELECT clips.position AS clip, epoch_us(marks.ended) AS time
FROM marks JOIN clips ON clips.id = marks.clip WHERE marks.ending = 'undone';

-- name: held
-- Until when something stood in a clip's way: a hold, a pin with an end, or a link that still worked; NULL = without an end. A hold
-- that was placed again ended there, and began anew; so did a pin.
SELECT clips.position AS clip, epoch_us(time) AS begins, epoch_us(least(ended, until)) AS until FROM (
    SELECT TRY_CAST(subject AS UUID) AS id, type, time, TRY_CAST(data::JSON ->> 'until' AS TIMESTAMPTZ) AS until,
        lead(time) OVER (PARTITION BY subject, data::JSON ->> 'hold' ORDER BY position) AS ended
    FROM events WHERE type IN ('HoldPlaced', 'HoldReleased')) AS steps JOIN clips USING (id)
WHERE type = 'HoldPlaced'
UNION ALL
SELECT clips.position AS clip, epoch_us(time) AS begins, epoch_us(least(ended, until)) AS until FROM (
    SELECT TRY_CAST(subject AS UUID) AS id, type, time, TRY_CAST(data::JSON ->> 'until' AS TIMESTAMPTZ) AS until,
        lead(time) OVER (PARTITION BY subject ORDER BY position) AS ended
    FROM events WHERE type IN ('ClipPinned', 'ClipUnpinned')) AS steps JOIN clips USING (id)
WHERE type = 'ClipPinned' AND until IS NOT NULL
UNION ALL
SELECT clips.position AS clip, epoch_us(plays.time) AS begins, epoch_us(TRY_CAST(events.data::JSON ->> 'expires' AS TIMESTAMPTZ)) AS until
FROM plays JOIN clips ON clips.id = plays.clip JOIN events ON events.position = plays.position
WHERE plays.purpose = 'link' AND TRY_CAST(events.data::JSON ->> 'expires' AS TIMESTAMPTZ) IS NOT NULL;

-- name: retagged
-- Each tag that was put on or taken off.
SELECT clips.position AS clip, changes.position AS place, changes.tag, changes.kind = 'ClipTagged' AS put_on
FROM changes JOIN clips ON clips.id = changes.clip WHERE changes.tag IS NOT NULL;

-- name: newest
-- Up to when the log goes.
SELECT epoch_us(max(time)) AS newest FROM events;

-- name: nights
-- In which night a time lies: the first one, counted from the beginning of the period, that sees what happened then.
CREATE MACRO night(t) AS ((greatest(t - {since}, 0) + {day} - 1) // {day});
CREATE MACRO hour_of(n) AS {since} + n * {day};

-- name: mixed
-- Clips to which more happened than that they were used.
CREATE TABLE mixed AS SELECT DISTINCT clip FROM changes WHERE turn <> 1;

-- name: clips_of_period
-- Each clip without what changes of it: how that is now is nothing that the past could see.
CREATE TABLE clips AS SELECT clip, id, created, bytes{columns} FROM present;

-- name: spans
-- One row a stretch in which nothing about a clip changed, from `begins` up to `ends`, as far as it touches the period. `used` says
-- that a use ended it. A use, a purge and a return begin another `life`; `nth` counts the uses before. An event whose clock went
-- back counts at the time of the one before it. Of a clip that was only ever used each event says itself when the one before it
-- was; for the others their events are put in order.
CREATE TABLE spans AS
SELECT stretches.clip, place, life, nth, lone, greatest(begins, created) AS begins, greatest(least(ends, {until}), begins, created) AS ends,
    anchor, 0::BIGINT AS floor, turn = 1 AND ends < {until} AS used, pinned, clips.created, clips.bytes{columns}
FROM (
    SELECT clip, place, turn, anchor, pinned, gone, greatest(time, anchor) AS ends,
        CASE WHEN uses = 0 THEN -9223372036854775807 ELSE anchor END AS begins, uses::INTEGER AS life, uses::INTEGER AS nth, true AS lone{moving}
    FROM (
        SELECT clip, place, time, turn, anchor, pinned, gone, uses{moving} FROM changes
        UNION ALL
        SELECT clip, 9223372036854775807 AS place, {until} AS time, 0 AS turn, anchor, pinned, gone, uses{moving} FROM present)
    WHERE clip NOT IN (FROM mixed)
    UNION ALL
    SELECT clip, place, turn, anchor, pinned, gone, max(time) OVER upto AS ends,
        coalesce(max(time) OVER earlier, -9223372036854775807) AS begins, coalesce(sum((turn <> 0)::INTEGER) OVER earlier, 0)::INTEGER AS life,
        coalesce(sum((turn = 1)::INTEGER) OVER earlier, 0)::INTEGER AS nth, false AS lone{moving}
    FROM (
        SELECT clip, place, time, turn, anchor, pinned, gone{moving} FROM changes SEMI JOIN mixed USING (clip)
        UNION ALL
        SELECT clip, 9223372036854775807 AS place, {until} AS time, 0 AS turn, anchor, pinned, gone{moving} FROM present SEMI JOIN mixed USING (clip))
    WINDOW upto AS (PARTITION BY clip ORDER BY place),
        earlier AS (PARTITION BY clip ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS stretches JOIN clips ON clips.clip = stretches.clip
WHERE NOT gone AND begins < {until} AND ends >= {since} AND created < {until} AND (turn = 1 OR ends > greatest(begins, created));

-- name: apply_undone
UPDATE spans SET anchor = greatest(anchor, latest) FROM (
    SELECT spans.rowid AS row, max(undone.time) AS latest FROM spans JOIN undone ON undone.clip = spans.clip AND undone.time <= spans.begins
    GROUP BY ALL) AS found
WHERE spans.rowid = found.row;

-- name: apply_held
UPDATE spans SET floor = greatest(floor, latest) FROM (
    SELECT spans.rowid AS row, max(coalesce(held.until, 9223372036854775807)) AS latest
    FROM spans JOIN held ON held.clip = spans.clip AND held.begins <= spans.begins AND coalesce(held.until, 9223372036854775807) > spans.begins
    GROUP BY ALL) AS found
WHERE spans.rowid = found.row;

-- name: apply_retagged
-- The first change of a tag after a stretch says how it was until then.
UPDATE spans SET c_tags = list_sort(list_distinct(list_concat(list_filter(c_tags, lambda tag: NOT list_contains(came, tag)), went))) FROM (
    SELECT row, coalesce(list(tag) FILTER (put_on), []) AS came, coalesce(list(tag) FILTER (NOT put_on), []) AS went FROM (
        SELECT spans.rowid AS row, tag, arg_min(put_on, retagged.place) AS put_on
        FROM spans JOIN retagged ON retagged.clip = spans.clip AND retagged.place >= spans.place GROUP BY ALL)
    GROUP BY row) AS found
WHERE spans.rowid = found.row;
