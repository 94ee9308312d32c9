-- name: published
-- Weeks whose report was written after they had closed.
SELECT DISTINCT subject FROM events WHERE type = 'ReportPublished' AND (data ->> 'closed')::BOOLEAN;

-- name: any_generation
-- Whether anything was generated in a stretch of time.
SELECT EXISTS (FROM generations WHERE time >= ? AND time < ?);
