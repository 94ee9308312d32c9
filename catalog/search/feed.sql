-- name: reach
-- The end of the next piece of the log: the position before the first clip that is too many, or too long; NULL = all fit.
SELECT min(position) - 1 FROM (
    SELECT position, row_number() OVER made AS clips, sum(text_length) OVER made AS characters
    FROM generations
    WHERE outcome = 'completed' AND position > $after AND position <= $end
    WINDOW made AS (ORDER BY position))
WHERE clips > 1 AND (clips > $clips OR characters > $characters);

-- name: made
-- The clips of a piece as they are now; those whose personal fields are gone cannot be found.
SELECT generations.position, unhex(replace(clips.id::VARCHAR, '-', '')), epoch_us(clips.created), clips.actor_id, clips.emotion,
    clips.language, clips.voice, clips.voice_sha256, coalesce(clips.name, ''), to_json(clips.tags)::VARCHAR, coalesce(clips.text, '')
FROM generations JOIN clips ON clips.id = generations.clip
WHERE generations.outcome = 'completed' AND generations.position > $after AND generations.position <= $through
    AND (clips.name IS NOT NULL OR clips.text IS NOT NULL)
ORDER BY generations.position;

-- name: retagged
-- Clips made before a piece whose tags changed in it, with the tags that they have now.
SELECT generations.position, to_json(clips.tags)::VARCHAR
FROM clips JOIN generations ON generations.clip = clips.id
WHERE generations.outcome = 'completed' AND generations.position <= $after AND clips.id IN (
    SELECT try_cast(subject AS UUID) FROM events
    WHERE type IN ('ClipTagged', 'ClipUntagged') AND position > $after AND position <= $through)
ORDER BY generations.position;

-- name: erased
-- Who was erased in a piece: an actor, or a voice by its SHA-256.
SELECT position, data ->> 'scope', data ->> 'target' FROM events
WHERE type = 'SubjectErased' AND position > $after AND position <= $through
ORDER BY position;

-- name: event
-- The last event up to a position, by which a log is known again.
SELECT id::VARCHAR FROM events WHERE position <= $position ORDER BY position DESC LIMIT 1;

-- name: page
-- The clips of a page of results.
SELECT id::VARCHAR AS id, short, created, emotion, language, voice, actor, session, name, tags, duration_s, state, pinned
FROM clips WHERE id IN (SELECT unnest($clips::UUID[]));
