-- name: count
-- How many clips fit, and how long they are together.
SELECT count(*) AS clips, coalesce(sum(duration_us), 0)::BIGINT AS audio_us FROM clips WHERE {conditions};

-- name: choices
-- The values of a field among the clips that fit, the most frequent first.
SELECT value, count(*) AS count FROM (SELECT {value} AS value FROM clips WHERE {conditions}) GROUP BY value
ORDER BY count DESC, value LIMIT $most;

-- name: choices_with
-- The same of those values that hold a text.
SELECT value, count(*) AS count FROM (SELECT {value} AS value FROM clips WHERE {conditions}) WHERE contains(lower(value), lower($find))
GROUP BY value ORDER BY count DESC, value LIMIT $most;
