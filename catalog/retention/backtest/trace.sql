-- name: lines
-- The lines of the file, as texts, with their numbers.
CREATE OR REPLACE VIEW lines AS
SELECT row_number() OVER () + {before} AS line, "{id}" AS id, "{time}" AS time, "{size}" AS size
FROM read_csv('{path}', columns = {columns}, header = {header}, delim = '{delimiter}', quote = '"', escape = '"', auto_detect = false,
    compression = '{compression}', null_padding = false, nullstr = '');

-- name: accesses
-- What the lines say; a time or a size that is none is NULL.
CREATE TABLE accesses AS
SELECT id, {moment} AS time, TRY_CAST(size AS DOUBLE) AS size FROM lines;

-- name: wrong
-- The first line that is not right, and why.
SELECT line, id, coalesce(time_said, '') AS time, coalesce(size_said, '') AS size, time_read, size_read FROM (
    SELECT line, id, time AS time_said, size AS size_said, {moment} AS time_read, TRY_CAST(size AS DOUBLE) AS size_read FROM lines)
WHERE id IS NULL OR time_read IS NULL OR size_read IS NULL OR size_read < 0 OR size_read > 1e18 OR NOT isfinite(size_read)
LIMIT 1;

-- name: present
-- Each id once: first seen is made. Its size is the largest that was seen.
CREATE TABLE present AS
SELECT row_number() OVER (ORDER BY created, id) AS clip, id, created, bytes, anchor, plays AS uses, false AS pinned, false AS gone{columns} FROM (
    SELECT id, min(time) AS created, max(size)::BIGINT AS bytes, max(time) AS anchor, count(*) - 1 AS plays FROM accesses GROUP BY id);

-- name: changes
-- Each later line is a use, which found the clip as the lines before left it.
CREATE TABLE changes AS
SELECT clip, place, time, 1::TINYINT AS turn, anchor, plays AS uses, false AS pinned, false AS gone{columns} FROM (
    SELECT present.clip, row_number() OVER life AS place, accesses.time, lag(accesses.time) OVER life AS anchor,
        row_number() OVER life - 2 AS plays
    FROM accesses JOIN present USING (id)
    WINDOW life AS (PARTITION BY present.clip ORDER BY accesses.time))
WHERE place > 1;
