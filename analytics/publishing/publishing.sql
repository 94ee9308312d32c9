-- name: published
-- The newest report of each closed week, but for those that somebody only wanted to look at: also what an erasure made of these.
SELECT week, max(revision), arg_max(time, revision), arg_max(through, revision)
FROM reports WHERE closed AND "by" <> 'hand' GROUP BY week HAVING bool_or("by" IN ('schedule', 'send'));

-- name: revision
-- How many revisions a week's report has had, of whatever kind.
SELECT coalesce(max(revision), 0) FROM reports WHERE week = $week;

-- name: of_week
-- The newest revision of a week that went to its channels, or was to.
SELECT revision, closed AND bool_or(closed AND "by" <> 'erasure') OVER (), time
FROM reports WHERE week = $week AND "by" <> 'hand'
QUALIFY bool_or("by" <> 'erasure') OVER () ORDER BY revision DESC LIMIT 1;

-- name: when
-- When a revision was made.
SELECT time FROM reports WHERE week = $week AND revision = $revision ORDER BY position DESC LIMIT 1;

-- name: begun
-- When the first clip was asked for.
SELECT min(time) FROM generations;

-- name: late
-- Whether a request of a stretch of time came after a position: each changes the number of generations, whatever became of it. What
-- became of clips since, when they were played, marked or purged, makes no other report.
SELECT EXISTS (FROM generations WHERE position > $through AND time >= $start AND time < $stop);

-- name: early
-- Whether a clock that ran ahead told a week while it still ran. An event is never recorded before the one in front of it: what came
-- when the clock had been set back bears the very time of the last event that the wrong clock dated, and lies before it.
SELECT EXISTS (
    FROM generations AS late
    JOIN events AS kept ON kept.position = late.position
    JOIN events AS ahead ON ahead.recorded = kept.recorded AND ahead.position < kept.position
    WHERE late.position > $through AND late.time >= $start AND late.time < $stop AND kept.recorded >= $stop
        AND ahead.time >= ahead.recorded - INTERVAL 1 MINUTE
        AND ahead.position >= (SELECT max(position) FROM reports WHERE week = $week AND revision = $revision));

-- name: last
-- The newest report of the schedule.
SELECT week, revision, time FROM reports WHERE "by" = 'schedule' ORDER BY position DESC LIMIT 1;

-- name: all
-- All published reports of weeks, the newest first.
SELECT week, revision, time, closed, "by", channels FROM reports ORDER BY week DESC, revision DESC LIMIT $limit;

-- name: deliveries
-- What became of each report at each channel at last, and when it arrived there, whatever became of it afterwards.
SELECT week, revision, channel, outcome, failure, time, attempts,
    max(time) FILTER (outcome = 'delivered') OVER (PARTITION BY week, revision, channel) AS arrived
FROM report_deliveries QUALIFY row_number() OVER (PARTITION BY week, revision, channel ORDER BY position DESC) = 1;

-- name: announced
-- How many reports of weeks from one on were mailed or posted.
SELECT count(DISTINCT week) FROM report_deliveries
WHERE channel IN ('mail', 'webhook') AND outcome IN ('delivered', 'unknown') AND week >= $week;
