-- name: tables
-- Events about a clip that came before it (from another node, say): they wait here and are folded in together with it.
CREATE TABLE folded.early (
    position BIGINT NOT NULL,
    recorded TIMESTAMPTZ NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    kind VARCHAR NOT NULL,
    actor_id VARCHAR NOT NULL,
    failure VARCHAR,
    source VARCHAR,
    plan VARCHAR,
    rule VARCHAR,
    delete_after TIMESTAMPTZ,
    until TIMESTAMPTZ,
    rating TINYINT,
    tag VARCHAR,
    words VARCHAR
);

-- name: waiting
-- Whether events wait for their clips.
SELECT EXISTS (FROM catalog.folded.early);

-- name: read
-- What happened to clips in this batch, one row an event: the fields of all these types side by side, read from JSON once.
CREATE OR REPLACE TEMP TABLE steps AS
SELECT position, recorded, time, subject::UUID AS clip, type AS kind, actor AS actor_id, said.* EXCLUDE (kind, reason),
    said.kind AS hold_kind, said.reason AS reason, personal.tag AS tag, personal.reason AS words
FROM (
    SELECT *,
        json_transform(data, '{"channel":"VARCHAR","purpose":"VARCHAR","bucket":"VARCHAR","bytes":"BIGINT","etag":"VARCHAR",
            "attempts":"INTEGER","transfer_us":"BIGINT","waited_us":"BIGINT","failure":"VARCHAR","rating":"TINYINT","hold":"VARCHAR",
            "kind":"VARCHAR","until":"TIMESTAMPTZ","review":"TIMESTAMPTZ","plan":"VARCHAR","rule":"VARCHAR",
            "delete_after":"TIMESTAMPTZ","reason":"VARCHAR","source":"VARCHAR","answer":"VARCHAR","versions":"VARCHAR[]",
            "kept_bytes":"BIGINT"}') AS said,
        json_transform(sealed, '{"tag":"VARCHAR","reason":"VARCHAR"}') AS personal
    FROM (SELECT * EXCLUDE (personal), personal AS sealed FROM folding
        WHERE type IN ('AudioStored', 'AudioUploadFailed', 'AudioAccessed', 'CacheEvicted', 'GenerationReused', 'ClipTagged',
            'ClipUntagged', 'ClipRated', 'ClipPinned', 'ClipUnpinned', 'HoldPlaced', 'HoldReleased', 'ClipMarked', 'ClipUnmarked',
            'PurgeStarted', 'ClipPurged', 'PurgeFailed', 'ClipRestored', 'ObjectMissing', 'ObjectVerified')));
