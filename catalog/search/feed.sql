-- name: reach
-- The end of the next piece of the log: the position before the first clip that is too many, or too long; NULL = all fit.
SELECT min(position) - 1 FROM (
    SELECT position, row_number() OVER made AS clips, sum(coalesce(text_length, 0)) OVER made AS characters
    FROM clips WHERE position > $after AND position <= $end
    WINDOW made AS (ORDER BY position))
WHERE clips > 1 AND (clips > $clips OR characters > $characters);

-- name: made
-- The clips of a piece as they are now; those whose personal fields are gone cannot be found.
SELECT position, unhex(replace(id::VARCHAR, '-', '')), epoch_us(created), actor_id, coalesce(emotion, ''), coalesce(language, ''),
    voice, voice_sha256, coalesce(name, ''), to_json(tags)::VARCHAR, coalesce(text, '')
FROM clips
WHERE position > $after AND position <= $through AND (name IS NOT NULL OR text IS NOT NULL)
ORDER BY position;

-- name: told
-- What a piece says about clips that the index may hold already: other tags, or that somebody was erased (an actor, or a
-- voice by its SHA-256).
SELECT position, type, subject, data ->> 'scope', data ->> 'target' FROM events
WHERE type IN ('ClipTagged', 'ClipUntagged', 'SubjectErased') AND position > $after AND position <= $through
ORDER BY position;

-- name: tagged_by
-- The clips of which these actors said something: when an actor is erased, their tags go from the clips of others too.
SELECT DISTINCT subject FROM events
WHERE type IN ('ClipTagged', 'ClipUntagged') AND actor IN (SELECT unnest($actors::VARCHAR[])) AND position <= $through;

-- name: stale
-- Whether the tables still hold words of somebody who was erased.
SELECT stale FROM projections WHERE stale;

-- name: retagged
-- Where these clips were made, if that was before a piece, with the tags that they have now.
SELECT position, to_json(tags)::VARCHAR FROM clips
WHERE position <= $after AND id IN (SELECT try_cast(unnest($clips::VARCHAR[]) AS UUID))
ORDER BY position;

-- name: event
-- The last event up to a position, by which a log is known again.
SELECT id::VARCHAR FROM events WHERE position <= $position ORDER BY position DESC LIMIT 1;

-- name: page
-- The clips of a page of results.
SELECT id::VARCHAR AS id, short, created, emotion, language, voice, actor, session, name, tags, duration_s, state, pinned
FROM clips WHERE id IN (SELECT unnest($clips::UUID[]));
