-- name: values
-- The values of a column among the clips that fit, the most frequent first.
SELECT {column} AS value, count(*) AS count FROM clips WHERE {conditions} GROUP BY ALL ORDER BY count DESC, value LIMIT $_most;

-- name: tags
-- The same of tags, of which a clip has several.
SELECT value, count(*) AS count FROM (SELECT unnest(tags) AS value FROM clips WHERE {conditions}) GROUP BY ALL ORDER BY count DESC, value
LIMIT $_most;

-- name: total
-- How many fit.
SELECT count(*) FROM clips WHERE {conditions};
