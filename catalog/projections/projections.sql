-- name: schema
-- The projections: what SQL sees. Disposable; folded from the log. Amounts are integers; what is derived is generated.
CREATE TABLE projections (name VARCHAR NOT NULL, version INTEGER NOT NULL, position BIGINT NOT NULL);
CREATE TABLE clips (
    id UUID NOT NULL,
    short VARCHAR NOT NULL,
    created TIMESTAMPTZ NOT NULL,
    actor VARCHAR,
    actor_id VARCHAR NOT NULL,
    session VARCHAR,
    name VARCHAR,
    text VARCHAR,
    text_length INTEGER NOT NULL,
    text_hash VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    engine VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    language VARCHAR NOT NULL,
    voice VARCHAR,
    voice_sha256 VARCHAR,
    emotion VARCHAR NOT NULL,
    emotion_asked FLOAT[8] NOT NULL,
    emotion_effective FLOAT[8] NOT NULL,
    emotion_strength FLOAT NOT NULL,
    dropped VARCHAR[] NOT NULL,
    take INTEGER NOT NULL,
    seed BIGINT,
    format VARCHAR NOT NULL,
    sample_rate INTEGER NOT NULL,
    channels TINYINT NOT NULL,
    duration_us BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    loudness_lufs FLOAT,
    true_peak_dbtp FLOAT,
    bucket VARCHAR NOT NULL,
    key VARCHAR,
    path VARCHAR,
    tags VARCHAR[] NOT NULL,
    pinned BOOLEAN NOT NULL,
    pin_reason VARCHAR,
    plays BIGINT NOT NULL,
    reuses BIGINT NOT NULL,
    last_used TIMESTAMPTZ NOT NULL,
    stored TIMESTAMPTZ,
    upload_failure VARCHAR,
    mark_plan VARCHAR,
    mark_rule VARCHAR,
    delete_after TIMESTAMPTZ,
    purge_started TIMESTAMPTZ,
    purged TIMESTAMPTZ,
    duration_s DOUBLE GENERATED ALWAYS AS (duration_us / 1e6) VIRTUAL,
    state VARCHAR GENERATED ALWAYS AS (CASE
        WHEN purged IS NOT NULL THEN 'purged'
        WHEN purge_started IS NOT NULL THEN 'purging'
        WHEN delete_after IS NOT NULL THEN 'marked'
        WHEN stored IS NOT NULL THEN 'stored'
        WHEN upload_failure IS NOT NULL THEN 'upload failed'
        ELSE 'local' END) VIRTUAL
);
CREATE TABLE generations (
    id UUID NOT NULL,
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    outcome VARCHAR NOT NULL,
    clip UUID NOT NULL,
    actor VARCHAR,
    actor_id VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    features VARCHAR[] NOT NULL,
    engine VARCHAR NOT NULL,
    engine_version VARCHAR,
    model VARCHAR,
    model_revision VARCHAR,
    device VARCHAR,
    language VARCHAR,
    voice_sha256 VARCHAR,
    emotion_mode VARCHAR,
    emotion VARCHAR,
    emotion_asked FLOAT[8],
    emotion_effective FLOAT[8],
    emotion_strength FLOAT,
    dropped VARCHAR[],
    text_length INTEGER NOT NULL,
    take INTEGER,
    format VARCHAR,
    sample_rate INTEGER,
    segments INTEGER,
    duration_us BIGINT,
    bytes BIGINT,
    queue_us BIGINT,
    synthesis_us BIGINT,
    audio_us BIGINT,
    encode_us BIGINT,
    elapsed_us BIGINT,
    saved_us BIGINT,
    failure VARCHAR,
    stage VARCHAR,
    duration_s DOUBLE GENERATED ALWAYS AS (duration_us / 1e6) VIRTUAL,
    real_time_factor DOUBLE GENERATED ALWAYS AS (synthesis_us / nullif(duration_us, 0)) VIRTUAL
);
CREATE TABLE plays (
    id UUID NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    clip UUID NOT NULL,
    actor_id VARCHAR NOT NULL,
    channel VARCHAR NOT NULL,
    purpose VARCHAR NOT NULL
);

-- name: position
SELECT version, position FROM catalog.projections WHERE name = 'catalog';

-- name: start
INSERT INTO catalog.projections VALUES ('catalog', ?, 0);

-- name: move
UPDATE catalog.projections SET position = ? WHERE name = 'catalog';

-- name: GenerationCompleted
-- A new clip, and the attempt that made it.
CREATE OR REPLACE TEMP TABLE completed AS
SELECT position, id::UUID AS event, subject::UUID AS clip, time, actor AS actor_id,
    unnest(json_transform(data, '{"channel":"VARCHAR","features":["VARCHAR"],"engine":"VARCHAR","engine_version":"VARCHAR",
        "model":"VARCHAR","model_revision":"VARCHAR","device":"VARCHAR","language":"VARCHAR","voice_sha256":"VARCHAR",
        "emotion_mode":"VARCHAR","emotion":"VARCHAR","emotion_asked":["FLOAT"],"emotion_effective":["FLOAT"],
        "emotion_strength":"FLOAT","dropped":["VARCHAR"],"text_length":"INTEGER","text_hash":"VARCHAR","seed":"BIGINT",
        "take":"INTEGER","format":"VARCHAR","sample_rate":"INTEGER","channels":"TINYINT","duration_us":"BIGINT",
        "bytes":"BIGINT","sha256":"VARCHAR","loudness_lufs":"FLOAT","true_peak_dbtp":"FLOAT","queue_us":"BIGINT",
        "synthesis_us":"BIGINT","audio_us":"BIGINT","encode_us":"BIGINT","segments":"INTEGER","bucket":"VARCHAR"}')),
    json_transform(personal, '{"actor_label":"VARCHAR","session":"VARCHAR","name":"VARCHAR","key":"VARCHAR","path":"VARCHAR",
        "text":"VARCHAR","voice_name":"VARCHAR","tags":["VARCHAR"]}') AS personal
FROM folding WHERE type = 'GenerationCompleted';
INSERT INTO catalog.clips BY NAME
SELECT clip AS id, right(clip::VARCHAR, 8) AS short, time AS created, personal.actor_label AS actor, actor_id, personal.session AS session, personal.name AS name,
    personal.text AS text, text_length, text_hash, channel, engine, model, language, personal.voice_name AS voice, voice_sha256,
    emotion, emotion_asked::FLOAT[8] AS emotion_asked, emotion_effective::FLOAT[8] AS emotion_effective, emotion_strength,
    dropped, take, seed, format, sample_rate, channels, duration_us, bytes, sha256, loudness_lufs, true_peak_dbtp, bucket,
    personal.key AS key, personal.path AS path, list_sort(list_distinct(coalesce(personal.tags, []))) AS tags,
    false AS pinned, 0 AS plays, 0 AS reuses, time AS last_used
FROM completed ORDER BY position;
INSERT INTO catalog.generations BY NAME
SELECT event AS id, position, time, 'completed' AS outcome, clip, personal.actor_label AS actor, actor_id, channel, features, engine,
    engine_version, model, model_revision, device, language, voice_sha256, emotion_mode, emotion,
    emotion_asked::FLOAT[8] AS emotion_asked, emotion_effective::FLOAT[8] AS emotion_effective, emotion_strength, dropped,
    text_length, take, format, sample_rate, segments, duration_us, bytes, queue_us, synthesis_us, audio_us, encode_us,
    queue_us + synthesis_us + audio_us + encode_us AS elapsed_us
FROM completed ORDER BY position;
DROP TABLE completed;

-- name: GenerationFailed
INSERT INTO catalog.generations BY NAME
SELECT id::UUID AS id, position, time, 'failed' AS outcome, subject::UUID AS clip, personal ->> 'actor_label' AS actor,
    actor AS actor_id, [] AS features, unnest(json_transform(data, '{"channel":"VARCHAR","engine":"VARCHAR","language":"VARCHAR",
        "failure":"VARCHAR","stage":"VARCHAR","emotion":"VARCHAR","text_length":"INTEGER","elapsed_us":"BIGINT"}'))
FROM folding WHERE type = 'GenerationFailed' ORDER BY position;

-- name: GenerationCancelled
INSERT INTO catalog.generations BY NAME
SELECT id::UUID AS id, position, time, 'cancelled' AS outcome, subject::UUID AS clip, personal ->> 'actor_label' AS actor,
    actor AS actor_id, [] AS features,
    unnest(json_transform(data, '{"channel":"VARCHAR","engine":"VARCHAR","text_length":"INTEGER","elapsed_us":"BIGINT"}'))
FROM folding WHERE type = 'GenerationCancelled' ORDER BY position;

-- name: GenerationReused
-- The attempt is a usage fact, and the clip was used.
INSERT INTO catalog.generations BY NAME
SELECT id::UUID AS id, position, time, 'reused' AS outcome, subject::UUID AS clip, personal ->> 'actor_label' AS actor,
    actor AS actor_id, unnest(json_transform(data, '{"channel":"VARCHAR","features":["VARCHAR"],"engine":"VARCHAR",
        "language":"VARCHAR","emotion":"VARCHAR","text_length":"INTEGER","duration_us":"BIGINT","saved_us":"BIGINT"}'))
FROM folding WHERE type = 'GenerationReused' ORDER BY position;
UPDATE catalog.clips SET reuses = reuses + used.times, last_used = greatest(last_used, used.latest)
FROM (SELECT subject::UUID AS clip, count(*) AS times, max(time) AS latest FROM folding WHERE type = 'GenerationReused' GROUP BY 1) AS used
WHERE clips.id = used.clip;

-- name: AudioAccessed
INSERT INTO catalog.plays BY NAME
SELECT id::UUID AS id, time, subject::UUID AS clip, actor AS actor_id, data ->> 'channel' AS channel, data ->> 'purpose' AS purpose
FROM folding WHERE type = 'AudioAccessed' ORDER BY position;
UPDATE catalog.clips SET plays = plays + used.times, last_used = greatest(last_used, used.latest)
FROM (SELECT subject::UUID AS clip, count(*) AS times, max(time) AS latest FROM folding WHERE type = 'AudioAccessed' GROUP BY 1) AS used
WHERE clips.id = used.clip;

-- name: upload
-- The newest word on whether the audio lies in the store.
UPDATE catalog.clips SET
    stored = coalesce(news.stored, clips.stored),
    upload_failure = CASE WHEN news.latest = 'AudioStored' THEN NULL ELSE news.failure END
FROM (SELECT subject::UUID AS clip, arg_max(type, position) AS latest,
        arg_max(time, position) FILTER (type = 'AudioStored') AS stored,
        arg_max(coalesce(data ->> 'failure', ''), position) AS failure
    FROM folding WHERE type IN ('AudioStored', 'AudioUploadFailed') GROUP BY 1) AS news
WHERE clips.id = news.clip;

-- name: tag
-- The last word on each tag of each clip.
UPDATE catalog.clips SET tags = list_sort(list_distinct(list_concat(
    list_filter(tags, lambda tag: NOT list_contains(news.removed, tag)), news.added)))
FROM (SELECT clip,
        coalesce(list(tag) FILTER (last = 'ClipTagged'), []) AS added,
        coalesce(list(tag) FILTER (last = 'ClipUntagged'), []) AS removed
    FROM (SELECT subject::UUID AS clip, personal ->> 'tag' AS tag, arg_max(type, position) AS last
        FROM folding WHERE type IN ('ClipTagged', 'ClipUntagged') AND personal IS NOT NULL GROUP BY 1, 2)
    GROUP BY clip) AS news
WHERE clips.id = news.clip;

-- name: pin
UPDATE catalog.clips SET pinned = news.type = 'ClipPinned', pin_reason = nullif(news.reason, '')
FROM (SELECT subject::UUID AS clip, arg_max(type, position) AS type, arg_max(coalesce(personal ->> 'reason', ''), position) AS reason
    FROM folding WHERE type IN ('ClipPinned', 'ClipUnpinned') GROUP BY 1) AS news
WHERE clips.id = news.clip;

-- name: mark
UPDATE catalog.clips SET
    mark_plan = CASE WHEN news.type = 'ClipMarked' THEN news.plan END,
    mark_rule = CASE WHEN news.type = 'ClipMarked' THEN news.rule END,
    delete_after = CASE WHEN news.type = 'ClipMarked' THEN news.due::TIMESTAMPTZ END
FROM (SELECT subject::UUID AS clip, arg_max(type, position) AS type, arg_max(data ->> 'plan', position) AS plan,
        arg_max(coalesce(data ->> 'rule', ''), position) AS rule, arg_max(coalesce(data ->> 'delete_after', ''), position) AS due
    FROM folding WHERE type IN ('ClipMarked', 'ClipUnmarked') GROUP BY 1) AS news
WHERE clips.id = news.clip;

-- name: purge
UPDATE catalog.clips SET
    purge_started = coalesce(purge_started, news.started),
    purged = coalesce(purged, news.done),
    mark_rule = coalesce(clips.mark_rule, news.rule),
    path = CASE WHEN news.done IS NULL THEN path END
FROM (SELECT subject::UUID AS clip, arg_max(nullif(data ->> 'rule', ''), position) AS rule,
        min(time) FILTER (type = 'PurgeStarted') AS started, min(time) FILTER (type = 'ClipPurged') AS done
    FROM folding WHERE type IN ('PurgeStarted', 'ClipPurged') GROUP BY 1) AS news
WHERE clips.id = news.clip;
