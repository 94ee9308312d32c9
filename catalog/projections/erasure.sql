-- name: erased
-- Who was erased in this batch, with the key to their words destroyed.
CREATE OR REPLACE TEMP TABLE erased AS
SELECT position, data ->> 'scope' AS scope, data ->> 'target' AS target FROM folding
WHERE type = 'SubjectErased' AND (data ->> 'scope' = 'voice' OR (data ->> 'key_destroyed')::BOOLEAN);

-- name: stale
-- Where the tables hold words of an erased actor, or the name of an erased voice, only folding the log anew takes them out of the file.
-- Whoever was erased before these tables were begun does not count, so that one rebuild is enough.
UPDATE catalog.projections SET stale = true WHERE name = 'catalog' AND (EXISTS (
    SELECT 1 FROM erased WHERE scope = 'actor' AND position > begun AND (
        target IN (SELECT actor_id FROM catalog.folded.clips WHERE key IS NOT NULL)
        OR target IN (SELECT actor_id FROM catalog.folded.attempts WHERE actor IS NOT NULL)
        OR target IN (SELECT actor_id FROM catalog.folded.changes WHERE tag IS NOT NULL OR reason IS NOT NULL)
        OR target IN (SELECT actor_id FROM catalog.folded.hold_steps WHERE reason IS NOT NULL)
        OR target IN (SELECT actor_id FROM catalog.folded.voice_steps WHERE name IS NOT NULL)
        OR target IN (SELECT actor_id FROM catalog.folded.early WHERE tag IS NOT NULL OR words IS NOT NULL)))
    OR EXISTS (
    SELECT 1 FROM erased WHERE scope = 'voice' AND position > begun AND (
        target IN (SELECT sha256 FROM catalog.folded.voice_steps WHERE name IS NOT NULL)
        OR target IN (SELECT voice_sha256 FROM catalog.folded.clips WHERE voice IS NOT NULL))));

-- name: clips
-- Until then nobody reads them any more, neither in the present nor in the past. What others said on these clips, and about the same
-- tags, goes too, and comes back with the rebuild.
CREATE OR REPLACE TEMP TABLE tagged_by_erased AS
SELECT clip, list(DISTINCT tag) AS tags FROM catalog.folded.changes
WHERE tag IS NOT NULL AND actor_id IN (SELECT target FROM erased WHERE scope = 'actor') GROUP BY clip;
UPDATE catalog.folded.clips SET tags = nullif(to_json(list_filter(from_json(clips.tags, '["VARCHAR"]'),
    lambda tag: NOT list_contains(tagged_by_erased.tags, tag)))::VARCHAR, '[]')
FROM tagged_by_erased WHERE clips.id = tagged_by_erased.clip AND clips.tags IS NOT NULL;
UPDATE catalog.folded.changes SET tag = NULL
FROM tagged_by_erased WHERE changes.clip = tagged_by_erased.clip AND list_contains(tagged_by_erased.tags, changes.tag);
UPDATE catalog.folded.changes SET tag = NULL WHERE tag IS NOT NULL
    AND clip IN (SELECT id FROM catalog.folded.clips WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor'));
UPDATE catalog.folded.clips SET actor = NULL, session = NULL, name = NULL, text = NULL, voice = NULL, key = NULL, tags = NULL,
    emotion_words = NULL
WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor') AND key IS NOT NULL;
DROP TABLE tagged_by_erased;

-- name: pins
-- Their reasons for pins, in the clips and in what changes found.
CREATE OR REPLACE TEMP TABLE pinned_by_erased AS
SELECT DISTINCT clip FROM catalog.folded.changes
WHERE kind = 'ClipPinned' AND actor_id IN (SELECT target FROM erased WHERE scope = 'actor');
UPDATE catalog.folded.clips SET pin_reason = NULL WHERE pin_reason IS NOT NULL AND id IN (SELECT clip FROM pinned_by_erased);
UPDATE catalog.folded.changes SET pin_reason = NULL WHERE pin_reason IS NOT NULL AND clip IN (SELECT clip FROM pinned_by_erased);
DROP TABLE pinned_by_erased;

-- name: others
UPDATE catalog.folded.changes SET reason = NULL WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor');
UPDATE catalog.folded.attempts SET actor = NULL WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor');
UPDATE catalog.folded.hold_steps SET reason = NULL WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor');
UPDATE catalog.folded.voice_steps SET name = NULL, key = NULL, consent_path = NULL, reason = NULL
WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor');
UPDATE catalog.folded.early SET tag = NULL, words = NULL WHERE actor_id IN (SELECT target FROM erased WHERE scope = 'actor');

-- name: voices
-- The end of a voice that was erased: its steps say when, and what named it goes, in clips too.
INSERT INTO catalog.folded.voice_steps BY NAME
SELECT position, time, 'SubjectErased' AS kind, target AS sha256, actor AS actor_id
FROM erased JOIN (SELECT position, time, actor FROM folding) USING (position) WHERE scope = 'voice' ORDER BY position;
UPDATE catalog.folded.voice_steps SET name = NULL, key = NULL, consent_path = NULL, reason = NULL
FROM erased WHERE erased.scope = 'voice' AND voice_steps.sha256 = erased.target AND voice_steps.position < erased.position;
UPDATE catalog.folded.clips SET voice = NULL
FROM erased WHERE scope = 'voice' AND clips.voice_sha256 = erased.target AND clips.position < erased.position;
