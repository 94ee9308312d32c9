-- name: policy
-- The policy that was recorded last.
SELECT policy FROM policies ORDER BY position DESC LIMIT 1;

-- name: runs
-- The runs of the schedule that the log has.
SELECT DISTINCT run FROM plans WHERE run IS NOT NULL;

-- name: last
-- The newest of them.
SELECT run, time, plan FROM plans WHERE run IS NOT NULL ORDER BY position DESC LIMIT 1;

-- name: reached
-- How far the tables have come, once there is an event.
SELECT position FROM projections WHERE name = 'catalog' AND position > 0;

-- name: newest
-- The newest time that was acknowledged.
SELECT max(recorded) FROM events;

-- name: since
-- The newest own time of events that were recorded at a time that had not come yet.
SELECT max(time) FROM events WHERE recorded = $recorded AND time < $before;
