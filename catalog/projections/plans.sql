-- name: relation
-- One row a retention plan that was applied, by hand or by the schedule.
CREATE TABLE folded.plans (
    position BIGINT NOT NULL,
    time TIMESTAMPTZ NOT NULL,
    actor_id VARCHAR NOT NULL,
    plan VARCHAR NOT NULL,
    policy VARCHAR,
    through BIGINT,
    considered BIGINT,
    clips BIGINT,
    bytes BIGINT,
    held BIGINT,
    cost_micro BIGINT,
    elapsed_us BIGINT,
    run VARCHAR
);
CREATE MACRO plans_at(p) AS TABLE SELECT * FROM folded.plans WHERE position <= p;
CREATE VIEW plans AS FROM folded.plans;

-- name: fold
INSERT INTO catalog.folded.plans BY NAME
SELECT position, time, actor AS actor_id, subject AS plan,
    unnest(json_transform(data, '{"policy":"VARCHAR","through":"BIGINT","considered":"BIGINT","clips":"BIGINT","bytes":"BIGINT",
        "held":"BIGINT","cost_micro":"BIGINT","elapsed_us":"BIGINT","run":"VARCHAR"}'))
FROM folding WHERE type = 'RetentionPlanned' ORDER BY position;

-- name: comments
COMMENT ON VIEW plans IS 'One row a retention plan that was applied.';
COMMENT ON COLUMN plans.position IS 'Place of the event in the log.';
COMMENT ON COLUMN plans.time IS 'When it was recorded: with its marks, and again with its night where purges had to end first.';
COMMENT ON COLUMN plans.actor_id IS 'Opaque id of who applied it.';
COMMENT ON COLUMN plans.plan IS 'Id of the plan; the same situation gives the same id.';
COMMENT ON COLUMN plans.policy IS 'Hash of the policy.';
COMMENT ON COLUMN plans.through IS 'Position of the log that it was made for.';
COMMENT ON COLUMN plans.considered IS 'Clips that it looked at.';
COMMENT ON COLUMN plans.clips IS 'Clips that it condemned.';
COMMENT ON COLUMN plans.bytes IS 'Their size.';
COMMENT ON COLUMN plans.held IS 'Clips that a hold or a pin kept.';
COMMENT ON COLUMN plans.cost_micro IS 'What the condemned cost for 30 days, in millionths of the currency; 0 where nobody counted.';
COMMENT ON COLUMN plans.elapsed_us IS 'How long planning took.';
COMMENT ON COLUMN plans.run IS 'Night of the schedule that was done with it, such as 2026-11-26; NULL by hand, and for marks of a night before its purges.';
