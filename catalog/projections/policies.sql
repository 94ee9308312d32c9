-- name: relation
-- One row a change of the retention policy. Its text names tags and people, so it stays sealed in the log.
CREATE TABLE folded.policies (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    actor_id VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    previous VARCHAR,
    keep_rules INTEGER,
    expire_rules INTEGER,
    budgets INTEGER,
    grace_us BIGINT,
    minimum_age_us BIGINT,
    max_clips BIGINT,
    max_bytes BIGINT,
    max_percent INTEGER
);
CREATE MACRO policies_at(p) AS TABLE SELECT * FROM folded.policies WHERE position <= p;
CREATE VIEW policies AS FROM folded.policies;

-- name: fold
INSERT INTO catalog.folded.policies BY NAME
SELECT position, time, actor AS actor_id, subject AS policy,
    unnest(json_transform(data, '{"previous":"VARCHAR","keep_rules":"INTEGER","expire_rules":"INTEGER","budgets":"INTEGER",
        "grace_us":"BIGINT","minimum_age_us":"BIGINT","max_clips":"BIGINT","max_bytes":"BIGINT","max_percent":"INTEGER"}'))
FROM folding WHERE type = 'PolicyChanged' ORDER BY position;

-- name: comments
COMMENT ON VIEW policies IS 'One row a retention policy that was applied for the first time, or again after another.';
COMMENT ON COLUMN policies.position IS 'Place of the event in the log.';
COMMENT ON COLUMN policies.time IS 'Since when it is in force.';
COMMENT ON COLUMN policies.actor_id IS 'Opaque id of who applied it first.';
COMMENT ON COLUMN policies.policy IS 'Its hash.';
COMMENT ON COLUMN policies.previous IS 'Hash of the one before; NULL for the first.';
COMMENT ON COLUMN policies.keep_rules IS 'How many keep rules it has.';
COMMENT ON COLUMN policies.expire_rules IS 'How many expire rules it has.';
COMMENT ON COLUMN policies.budgets IS 'How many budgets it has.';
COMMENT ON COLUMN policies.grace_us IS 'Time between mark and purge (µs).';
COMMENT ON COLUMN policies.minimum_age_us IS 'No clip younger than this is marked (µs).';
COMMENT ON COLUMN policies.max_clips IS 'Fuse: most clips of a run.';
COMMENT ON COLUMN policies.max_bytes IS 'Fuse: most bytes of a run; NULL when there is none.';
COMMENT ON COLUMN policies.max_percent IS 'Fuse: largest share of all clips, rounded up (%).';
