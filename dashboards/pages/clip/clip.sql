-- name: clip
-- All that is known of one clip.
SELECT *, (SELECT max(time) FROM ratings WHERE clip = $clip::UUID) AS rated FROM clips WHERE id = $clip::UUID;

-- name: takes
-- The newest clips of the same text, which whoever asks may see.
SELECT id::VARCHAR AS clip, created, actor, name, left(text, 200) AS text, language, voice, emotion, engine, take, seed, format, duration_us,
    loudness_lufs, true_peak_dbtp, suspect, rating, pinned, tags, state IN ('purging', 'purged') AS gone
FROM clips WHERE position BETWEEN $first AND $last AND text_length = $length AND text_hash = $hash AND {whose}
ORDER BY position DESC LIMIT $limit;

-- name: beyond
-- Whether there are clips that were made before or after those.
SELECT EXISTS (FROM clips WHERE position < $first) OR EXISTS (FROM clips WHERE position > $last);

-- name: take
-- One of them.
SELECT id::VARCHAR AS clip, created, actor, name, left(text, 200) AS text, language, voice, emotion, engine, take, seed, format, duration_us,
    loudness_lufs, true_peak_dbtp, suspect, rating, pinned, tags, state IN ('purging', 'purged') AS gone
FROM clips WHERE id = $clip::UUID;

-- name: tags
-- The tags that are on most of the newest clips.
SELECT tag, count(*) AS clips FROM (
    SELECT unnest(tags) AS tag FROM (SELECT tags FROM clips WHERE {whose} AND len(tags) > 0 ORDER BY position DESC LIMIT 20000)
) GROUP BY tag ORDER BY clips DESC, tag LIMIT $limit;
