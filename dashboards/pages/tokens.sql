-- name: denied
-- Who was turned away lately, and why: principals are tokens by their id, or a keyed hash of an address.
SELECT subject AS principal, data->>'reason' AS reason, sum((data->>'count')::BIGINT)::BIGINT AS requests, max(time) AS last
FROM events WHERE type = 'AccessDenied' AND recorded >= $since GROUP BY ALL ORDER BY last DESC LIMIT $limit;
