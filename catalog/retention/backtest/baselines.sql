-- name: whole
-- Lives from use to use, whatever else happened in them: baselines see uses only.
CREATE OR REPLACE VIEW whole AS
SELECT clip, life, nth, bytes, used, begins, ends FROM spans WHERE lone
UNION ALL
SELECT clip, life, any_value(nth) AS nth, any_value(bytes) AS bytes, bool_or(used) AS used, min(begins) AS begins, max(ends) AS ends
FROM spans WHERE NOT lone GROUP BY clip, life;

-- name: age_uses
CREATE OR REPLACE TABLE age_uses AS SELECT clip, ends AS time, nth FROM whole WHERE used;

-- name: age_clips
CREATE OR REPLACE TABLE age_clips AS SELECT clip, min(created) AS made, any_value(bytes) AS bytes, max(ends) AS ends, min(nth) AS nth FROM spans GROUP BY clip;

-- name: age_begin
CREATE OR REPLACE TABLE gone (clip BIGINT, life INTEGER, nth INTEGER, bytes BIGINT, used BOOLEAN, ends BIGINT, night BIGINT);
CREATE OR REPLACE TEMP TABLE falling AS SELECT clip, made FROM age_clips;
CREATE OR REPLACE TEMP TABLE coming AS FROM age_uses;

-- name: age_fall
-- Each clip falls at the first night after its time, and stays away until the next use, which makes it anew.
CREATE OR REPLACE TEMP TABLE fallen AS
SELECT clip, night FROM (SELECT clip, night(made + {keep_for}) AS night FROM falling) WHERE night < {nights};

-- name: age_coming
-- The uses that still lie ahead: fewer in every round.
CREATE OR REPLACE TEMP TABLE coming AS SELECT coming.* FROM coming JOIN fallen USING (clip) WHERE time > hour_of(night);

-- name: age_return
CREATE OR REPLACE TEMP TABLE returned AS SELECT clip, min(time) AS time, arg_min(nth, time) AS nth FROM coming GROUP BY clip;

-- name: age_note
INSERT INTO gone
SELECT clip, 0, coalesce(returned.nth, 0), bytes, time IS NOT NULL, coalesce(time, ends), night
FROM fallen LEFT JOIN returned USING (clip) JOIN age_clips USING (clip) WHERE coalesce(time, ends) > hour_of(night);

-- name: age_again
CREATE OR REPLACE TEMP TABLE falling AS SELECT clip, time AS made FROM returned;

-- name: cached
-- Each life with the place that a cache gives it in its order, and the nights in which it lies there unless it is evicted.
CREATE OR REPLACE TABLE cached AS
SELECT * FROM (
    SELECT clip, life, nth, bytes, used, ends, {key} AS key, (night(begins) + {step} - 1) // {step} AS first, (night(ends) + {step} - 1) // {step} AS last
    FROM whole)
WHERE first < last;

-- name: weights
-- For each night what weighs as much as a key or more: in the order of the cache, everything before it and itself.
CREATE OR REPLACE TABLE weights AS
WITH moves AS (
    SELECT key, night, sum(weight) AS weight FROM (
        SELECT key, first AS night, sum(bytes) AS weight FROM cached GROUP BY ALL
        UNION ALL
        SELECT key, last AS night, -sum(bytes) AS weight FROM cached GROUP BY ALL)
    GROUP BY ALL
), lying AS (
    SELECT keys.key, nights.night, sum(coalesce(weight, 0)) OVER (PARTITION BY keys.key ORDER BY nights.night) AS weight
    FROM (SELECT DISTINCT key FROM moves) AS keys CROSS JOIN (SELECT range AS night FROM range({nights})) AS nights
        LEFT JOIN moves ON moves.key = keys.key AND moves.night = nights.night
)
SELECT key, night, sum(weight) OVER (PARTITION BY night ORDER BY key DESC) AS weight FROM lying;

-- name: peak
SELECT max(weight) FROM weights;

-- name: cache_gone
-- What a cache of this size evicts: from the first night in which it and what comes before it do not fit.
CREATE OR REPLACE TABLE gone AS
SELECT clip, life, nth, bytes, used, ends, greatest(first, full_from) * {step} AS night
FROM cached JOIN (SELECT key, min(night) AS full_from FROM weights WHERE weight > {capacity} GROUP BY key) USING (key)
WHERE greatest(first, full_from) < last;
