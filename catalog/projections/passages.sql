-- name: relation
-- One row a passage of a clip whose text has emotion marks.
CREATE TABLE folded.passages (
    position BIGINT NOT NULL,
    clip UUID NOT NULL,
    number INTEGER NOT NULL,
    offset_us BIGINT,
    duration_us BIGINT,
    emotion VARCHAR,
    emotion_asked DOUBLE[8],
    emotion_effective DOUBLE[8],
    emotion_strength DOUBLE
);
CREATE MACRO passages_at(p) AS TABLE
SELECT position, clip, number, offset_us, duration_us, emotion, emotion_asked, emotion_effective, emotion_strength
FROM folded.passages WHERE position <= p;
CREATE VIEW passages AS FROM passages_at(9223372036854775807);

-- name: fold
INSERT INTO catalog.folded.passages BY NAME
SELECT position, clip, number::INTEGER AS number, passage.start_us AS offset_us, passage.end_us - passage.start_us AS duration_us,
    passage.emotion AS emotion, passage.asked AS emotion_asked, passage.effective AS emotion_effective,
    passage.strength AS emotion_strength
FROM (
    SELECT position, clip, unnest(passages) AS passage, generate_subscripts(passages, 1) AS number
    FROM (
        SELECT position, subject::UUID AS clip, from_json(data -> 'passages', '[{"start_us":"BIGINT","end_us":"BIGINT",
            "emotion":"VARCHAR","strength":"DOUBLE","asked":"DOUBLE[8]","effective":"DOUBLE[8]"}]') AS passages
        FROM folding WHERE type = 'GenerationCompleted' AND json_array_length(data, '$.passages') > 0))
ORDER BY position, number;

-- name: comments
COMMENT ON VIEW passages IS 'One row a stretch of a clip under one emotion; only for clips whose text has emotion marks.';
COMMENT ON COLUMN passages.position IS 'Place of the clip''s event in the log.';
COMMENT ON COLUMN passages.clip IS 'Which clip.';
COMMENT ON COLUMN passages.number IS 'Which stretch of it, from 1 on; lines that follow each other with the same emotion are one.';
COMMENT ON COLUMN passages.offset_us IS 'Where it begins in the delivered audio, microseconds.';
COMMENT ON COLUMN passages.duration_us IS 'How long it is, microseconds, without the silence after it.';
COMMENT ON COLUMN passages.emotion IS 'Dominant emotion, or neutral.';
COMMENT ON COLUMN passages.emotion_asked IS 'Asked weights: happy, angry, sad, afraid, disgusted, melancholic, surprised, calm.';
COMMENT ON COLUMN passages.emotion_effective IS 'Weights that were applied, in the same order.';
COMMENT ON COLUMN passages.emotion_strength IS 'Strength that scaled the asked weights, 0 to 1.';
