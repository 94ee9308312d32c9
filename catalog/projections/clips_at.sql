-- name: relation
-- The clips as people see them, in their present state; and as they stood after a position. What never changes comes from the clips
-- themselves. For a clip that changed after the position, the rest comes from the first change that followed it, which says what the
-- clip was like before: one filter finds it (`previous <= p < position`), so nothing is folded again.
CREATE MACRO folded.state(purged, purge_started, delete_after, missing, stored, upload_failure) AS CASE
    WHEN purged IS NOT NULL THEN 'purged'
    WHEN purge_started IS NOT NULL THEN 'purging'
    WHEN delete_after IS NOT NULL THEN 'marked'
    WHEN missing IS NOT NULL THEN 'missing'
    WHEN stored IS NOT NULL THEN 'stored'
    WHEN upload_failure IS NOT NULL THEN 'upload failed'
    ELSE 'local' END;
CREATE MACRO folded.held(holds, legal_holds, held_until, moment) AS
    legal_holds > 0 OR holds > 0 AND (held_until IS NULL OR held_until > moment);
CREATE MACRO folded.pinned(pinned, pinned_until, moment) AS pinned AND (pinned_until IS NULL OR pinned_until > moment);
CREATE MACRO folded.tag_list(tags) AS CASE WHEN tags IS NULL THEN [] ELSE from_json(tags, '["VARCHAR"]') END;

CREATE VIEW clips AS
SELECT id, format('{:08x}', tail) AS short, tail, position, created, actor, actor_id, session, name, text, text_length,
    lower(hex(text_hash)) AS text_hash, channel, features, engine, engine_version, model, model_revision, device, determinism, language,
    voice, voice_sha256, emotion_mode, emotion, emotion_asked, emotion_effective, emotion_strength, dropped, take, seed, sampling,
    format,
    sample_rate, channels, segments, duration_us, duration_us / 1e6 AS duration_s, bytes, lower(hex(sha256)) AS sha256,
    loudness_lufs, true_peak_dbtp, target_lufs, silence_share, clipped_samples, speech_rate, suspect, emotion_sha256,
    emotion_words, marks, chain, streamed, first_us, segments_cached, queue_us, load_us, synthesis_us, audio_us, encode_us, adopted,
    bucket,
    replace(key, chr(1), id::VARCHAR) AS key, cached, CASE WHEN cached THEN replace(key, chr(1), id::VARCHAR) END AS path,
    folded.tag_list(tags) AS tags, folded.pinned(pinned, pinned_until, now()) AS pinned, pin_reason, pinned_until, pinned_by, rating, ratings, plays, reuses, last_used, stored, upload_failure,
    verified, missing, mark_plan, mark_rule, delete_after, purge_started, purged, restored, holds, legal_holds, held_until,
    folded.held(holds, legal_holds, held_until, now()) AS held, changed,
    folded.state(purged, purge_started, delete_after, missing, stored, upload_failure) AS state
FROM folded.clips;

CREATE MACRO clips_at(p, moment := NULL::TIMESTAMPTZ) AS TABLE
WITH before AS (
    SELECT * FROM folded.changes WHERE position > p AND previous <= p
), retagged AS (
    -- Only what took effect stands in `changes`: the first of them after the position says how it was until then.
    SELECT clip, coalesce(list(tag) FILTER (kind = 'ClipTagged'), []) AS came, coalesce(list(tag) FILTER (kind = 'ClipUntagged'), []) AS went
    FROM (SELECT clip, tag, arg_min(kind, position) AS kind FROM folded.changes WHERE position > p AND tag IS NOT NULL GROUP BY ALL)
    GROUP BY clip
), holding AS (
    SELECT clip, count(*) AS holds, count(*) FILTER (kind = 'legal') AS legal_holds,
        CASE WHEN bool_and(until IS NOT NULL) THEN max(until) END AS held_until
    FROM holds_at(p) WHERE released IS NULL AND renewed IS NULL GROUP BY clip
), standing AS (
    SELECT c.* REPLACE (
        CASE WHEN retagged.clip IS NULL THEN c.tags ELSE nullif(to_json(list_sort(list_distinct(list_concat(
            list_filter(folded.tag_list(c.tags), lambda tag: NOT list_contains(retagged.came, tag)), retagged.went))))::VARCHAR, '[]')
            END AS tags,
        CASE WHEN c.changed > p THEN before.pinned ELSE c.pinned END AS pinned,
        CASE WHEN c.changed > p THEN before.pin_reason ELSE c.pin_reason END AS pin_reason,
        CASE WHEN c.changed > p THEN before.pinned_until ELSE c.pinned_until END AS pinned_until,
        CASE WHEN c.changed > p THEN before.pinned_by ELSE c.pinned_by END AS pinned_by,
        CASE WHEN c.changed > p THEN before.rating ELSE c.rating END AS rating,
        CASE WHEN c.changed > p THEN before.ratings ELSE c.ratings END AS ratings,
        CASE WHEN c.changed > p THEN before.plays ELSE c.plays END AS plays,
        CASE WHEN c.changed > p THEN before.reuses ELSE c.reuses END AS reuses,
        CASE WHEN c.changed > p THEN before.last_used ELSE c.last_used END AS last_used,
        CASE WHEN c.changed > p THEN before.cached ELSE c.cached END AS cached,
        CASE WHEN c.changed > p THEN before.stored ELSE c.stored END AS stored,
        CASE WHEN c.changed > p THEN before.upload_failure ELSE c.upload_failure END AS upload_failure,
        CASE WHEN c.changed > p THEN before.verified ELSE c.verified END AS verified,
        CASE WHEN c.changed > p THEN before.missing ELSE c.missing END AS missing,
        CASE WHEN c.changed > p THEN before.mark_plan ELSE c.mark_plan END AS mark_plan,
        CASE WHEN c.changed > p THEN before.mark_rule ELSE c.mark_rule END AS mark_rule,
        CASE WHEN c.changed > p THEN before.delete_after ELSE c.delete_after END AS delete_after,
        CASE WHEN c.changed > p THEN before.purge_started ELSE c.purge_started END AS purge_started,
        CASE WHEN c.changed > p THEN before.purged ELSE c.purged END AS purged,
        CASE WHEN c.changed > p THEN before.restored ELSE c.restored END AS restored,
        CASE WHEN c.changed > p THEN before.previous ELSE c.changed END AS changed,
        coalesce(holding.holds, 0)::INTEGER AS holds,
        coalesce(holding.legal_holds, 0)::INTEGER AS legal_holds,
        holding.held_until AS held_until)
    FROM folded.clips AS c
        LEFT JOIN before ON before.clip = c.id
        LEFT JOIN retagged ON retagged.clip = c.id
        LEFT JOIN holding ON holding.clip = c.id
    WHERE c.position <= p
)
SELECT id, format('{:08x}', tail) AS short, tail, position, created, actor, actor_id, session, name, text, text_length,
    lower(hex(text_hash)) AS text_hash, channel, features, engine, engine_version, model, model_revision, device, determinism, language,
    voice, voice_sha256, emotion_mode, emotion, emotion_asked, emotion_effective, emotion_strength, dropped, take, seed, sampling,
    format,
    sample_rate, channels, segments, duration_us, duration_us / 1e6 AS duration_s, bytes, lower(hex(sha256)) AS sha256,
    loudness_lufs, true_peak_dbtp, target_lufs, silence_share, clipped_samples, speech_rate, suspect, emotion_sha256,
    emotion_words, marks, chain, streamed, first_us, segments_cached, queue_us, load_us, synthesis_us, audio_us, encode_us, adopted,
    bucket,
    replace(key, chr(1), id::VARCHAR) AS key, cached, CASE WHEN cached THEN replace(key, chr(1), id::VARCHAR) END AS path,
    folded.tag_list(tags) AS tags, folded.pinned(pinned, pinned_until, coalesce(moment, now())) AS pinned, pin_reason, pinned_until, pinned_by, rating, ratings, plays, reuses, last_used, stored, upload_failure,
    verified, missing, mark_plan, mark_rule, delete_after, purge_started, purged, restored, holds, legal_holds, held_until,
    folded.held(holds, legal_holds, held_until, coalesce(moment, now())) AS held, changed,
    folded.state(purged, purge_started, delete_after, missing, stored, upload_failure) AS state
FROM standing;
