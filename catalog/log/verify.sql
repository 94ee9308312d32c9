-- name: end
-- Where the log ends.
SELECT coalesce(max(last), 0) FROM log.batches;

-- name: told
-- The positions that are known to be lost, and why.
SELECT lost_first, lost_last, reason FROM log.epochs WHERE lost_first IS NOT NULL ORDER BY lost_first;

-- name: batches
-- The next batches in order.
SELECT first, last, digest, previous FROM log.batches WHERE last > $after ORDER BY last, first LIMIT 1000;

-- name: events
-- The events of a stretch, every row of them.
SELECT position, id, source, type, subject, time, recorded, actor, version, data, sealed, digest
FROM log.events WHERE position BETWEEN $first AND $last ORDER BY position;

-- name: beyond
-- Positions that lie in no batch, the first thousand of them.
SELECT position, count(*) FROM log.events WHERE position > $last OR position < 1 GROUP BY 1 ORDER BY 1 LIMIT 1000;

-- name: rest
-- Every value of the log that nothing else here looks at, so that a damaged block of the file is noticed.
SELECT (SELECT bit_xor(hash(batches)) FROM log.batches AS batches), (SELECT bit_xor(hash(epochs)) FROM log.epochs AS epochs);
