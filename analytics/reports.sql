-- name: published
-- Weeks whose report was written after they had closed.
SELECT DISTINCT subject FROM events WHERE type = 'ReportPublished' AND (data ->> 'closed')::BOOLEAN;

-- name: revisions
-- How often the report of a week has been written.
SELECT count(*) FROM events WHERE type = 'ReportPublished' AND subject = ?;

-- name: any_generation
-- Whether anything was generated in a stretch of time.
SELECT EXISTS (FROM generations WHERE time >= ? AND time < ?);
