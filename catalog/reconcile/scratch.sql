-- name: schema
-- Both sides as they were copied here: what the store lists, and what the catalog holds. Nothing here outlives the run.
CREATE TABLE listed (bucket VARCHAR, key VARCHAR, bytes BIGINT, etag VARCHAR, modified TIMESTAMPTZ);
CREATE TABLE records (bucket VARCHAR, key VARCHAR, bytes BIGINT);
CREATE TABLE known (
    clip UUID, position BIGINT, bucket VARCHAR, key VARCHAR, bytes BIGINT, sha256 VARCHAR, actor_id VARCHAR, created TIMESTAMPTZ,
    stored TIMESTAMPTZ, missing BOOLEAN, purging BOOLEAN, purged BOOLEAN
);
CREATE TABLE etags (clip UUID, position BIGINT, etag VARCHAR);
CREATE TABLE orphaned (subject VARCHAR, position BIGINT, etag VARCHAR);
CREATE TABLE mine AS SELECT *, NULL::VARCHAR AS etag FROM known;
CREATE TABLE compared (
    bucket VARCHAR, key VARCHAR, clip UUID, position BIGINT, bytes BIGINT, sha256 VARCHAR, actor_id VARCHAR, created TIMESTAMPTZ,
    stored TIMESTAMPTZ, missing BOOLEAN, purging BOOLEAN, purged BOOLEAN, etag VARCHAR, found_bytes BIGINT, found_etag VARCHAR,
    modified TIMESTAMPTZ, class VARCHAR
);

-- name: clips
-- A stretch of the catalog.
SELECT id AS clip, position, bucket, key, bytes, sha256, actor_id, created, stored, missing IS NOT NULL AS missing,
    purge_started IS NOT NULL AND purged IS NULL AS purging, purged IS NOT NULL AS purged
FROM clips WHERE position > $after AND position <= $through;

-- name: uploaded
-- The ETags that the store gave in a stretch of the log.
SELECT clip, position, etag FROM uploads WHERE outcome = 'stored' AND position > $after AND position <= $through;

-- name: told
-- The ETags, and the orphans, that events of a stretch tell of, which no table keeps. There are few of them.
SELECT type, subject, position, data ->> 'etag' AS etag FROM events
WHERE type IN ('AudioAdopted', 'ObjectVerified', 'ObjectOrphaned') AND position > $after AND position <= $through;

-- name: rows
SELECT greatest((SELECT count(*) FROM listed), (SELECT count(*) FROM known), (SELECT count(*) FROM etags));

-- name: newest
-- One part of the clips that can be looked for, with the newest ETag that is known of each.
INSERT INTO mine BY NAME
SELECT known.*, newest.etag FROM known LEFT JOIN (
    SELECT clip, arg_max(etag, position) AS etag FROM etags WHERE hash(clip) % $parts = $part GROUP BY clip
) newest USING (clip)
WHERE key IS NOT NULL AND hash(known.clip) % $parts = $part;

-- name: compare
-- One part of all clips and objects, with what is to be said of each: its class. NULL says nothing: a purged clip that is gone, and what
-- lies in buckets that are not ours beside the clips that were adopted there.
INSERT INTO compared BY NAME
WITH both_sides AS (
    SELECT coalesce(l.bucket, k.bucket) AS bucket, coalesce(l.key, k.key) AS key, k.clip, k.position, k.bytes, k.sha256, k.actor_id,
        k.created, k.stored, k.missing, k.purging, k.purged, k.etag, l.bytes AS found_bytes, l.etag AS found_etag, l.modified,
        l.key IS NOT NULL AS is_listed,
        l.bytes = k.bytes AND (k.etag IS NULL OR k.etag = '' OR l.etag = '' OR l.etag = k.etag) AS is_same
    FROM (FROM listed WHERE hash(key) % $parts = $part) l
    FULL OUTER JOIN (FROM mine WHERE hash(key) % $parts = $part) k ON l.bucket = k.bucket AND l.key = k.key
)
SELECT both_sides.* EXCLUDE (is_listed, is_same), CASE
        WHEN clip IS NULL AND both_sides.bucket <> $own THEN NULL
        WHEN clip IS NULL AND modified > $recent THEN 'recent'
        WHEN clip IS NULL THEN 'orphan'
        WHEN purged THEN CASE WHEN is_listed THEN 'purged' END
        WHEN purging THEN 'purging'
        WHEN stored IS NULL THEN CASE
            WHEN created > $recent THEN 'recent'
            WHEN is_listed THEN 'unconfirmed'
            ELSE 'unsent' END
        WHEN NOT is_listed THEN CASE WHEN stored > $recent THEN 'recent' ELSE 'absent' END
        WHEN is_same THEN CASE WHEN missing THEN 'back' ELSE 'there' END
        ELSE 'other' END AS class
FROM both_sides;

-- name: counts
SELECT class, count(*), coalesce(sum(coalesce(found_bytes, bytes)), 0)::BIGINT FROM compared WHERE class IS NOT NULL GROUP BY class;

-- name: expected
-- For each bucket that clips name: how many are thought to be in it, how many of them are neither there nor known to be missing, and how
-- many objects it lists.
SELECT bucket, count(*) FILTER (stored IS NOT NULL AND NOT missing AND NOT purging AND NOT purged) AS expected,
    count(*) FILTER (class = 'absent' AND NOT missing) AS absent,
    count(*) FILTER (modified IS NOT NULL) AS objects
FROM compared GROUP BY bucket ORDER BY bucket;

-- name: buckets
SELECT DISTINCT bucket FROM known WHERE bucket IS NOT NULL AND key IS NOT NULL AND NOT purged;

-- name: nameless
-- Clips whose key nobody knows any more, because the words of their actor were erased; their audio cannot be looked for.
SELECT count(*) FROM known WHERE key IS NULL AND NOT purged AND NOT purging;

-- name: of_class
-- What has to be looked at more closely.
SELECT clip::VARCHAR AS clip, position, bucket, key, bytes, sha256, actor_id, missing, found_bytes, found_etag, modified, class FROM compared
WHERE list_contains($classes, class) ORDER BY bucket, key;

-- name: orphans
-- Objects that no clip accounts for, with the clip whose id stands in the key, and whether a record lies beside.
SELECT o.bucket, o.key, o.found_bytes AS bytes, o.found_etag AS etag, o.modified, o.class, coalesce(o.clip, k.clip)::VARCHAR AS clip,
    coalesce(o.actor_id, k.actor_id) AS actor_id, k.clip IS NOT NULL AND k.key IS NULL AS nameless,
    coalesce(k.purging OR k.purged, false) AS gone, r.bytes AS record_bytes
FROM (
    SELECT *, TRY_CAST(regexp_extract(lower(key), '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}') AS UUID) AS named
    FROM compared WHERE class IN ('orphan', 'purged')
) o LEFT JOIN known k ON o.clip IS NULL AND k.clip = o.named LEFT JOIN records r ON r.bucket = o.bucket AND r.key = o.key
ORDER BY o.bucket, o.key;

-- name: known_orphans
SELECT subject, arg_max(etag, position) FROM orphaned WHERE list_contains($subjects, subject) GROUP BY subject;

-- name: strangers
-- Objects under a prefix that no clip accounts for, with the record beside them.
SELECT l.bucket, l.key, l.bytes, l.etag, l.modified, r.bytes AS record_bytes
FROM listed l LEFT JOIN records r ON r.bucket = l.bucket AND r.key = l.key
WHERE NOT EXISTS (FROM known k WHERE k.bucket = l.bucket AND k.key = l.key) ORDER BY l.bucket, l.key;

-- name: gone
-- Objects under a prefix that are of clips that were purged or are about to be.
SELECT count(*) FROM listed l WHERE EXISTS (FROM known k WHERE k.bucket = l.bucket AND k.key = l.key AND (k.purging OR k.purged));

-- name: clips_by_id
-- Which of these clips the catalog knew, and whether their audio is gone for good.
SELECT clip::VARCHAR, purging OR purged OR key IS NULL FROM known WHERE list_contains($clips::UUID[], clip);
