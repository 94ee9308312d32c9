-- name: recorded
-- The manifest of each version as the log has it.
SELECT model, model_version, manifest FROM models WHERE manifest IS NOT NULL ORDER BY model, model_version;
