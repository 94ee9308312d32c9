-- name: policy
-- The policy that was recorded last.
SELECT policy FROM policies ORDER BY position DESC LIMIT 1;

-- name: runs
-- The runs of the schedule that the log has.
SELECT DISTINCT run FROM plans WHERE run IS NOT NULL;

-- name: last
-- The newest of them.
SELECT run, time, plan FROM plans WHERE run IS NOT NULL ORDER BY position DESC LIMIT 1;

-- name: recorded
-- The newest time that was acknowledged, and its place: no later event has an earlier one.
SELECT position, recorded FROM events WHERE position = (SELECT position FROM projections WHERE name = 'catalog');
