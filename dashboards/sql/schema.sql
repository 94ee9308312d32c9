-- name: functions
-- The functions that a query may call, each once, with what its parameters are called; operators and DuckDB's inner ones left out.
SELECT
    function_name AS name,
    CASE WHEN bool_or(function_type IN ('table', 'table_macro')) THEN 'table' WHEN bool_or(function_type = 'aggregate') THEN 'aggregate'
        WHEN bool_or(function_type = 'window') THEN 'window' ELSE 'scalar' END AS kind,
    arg_min(parameters, len(parameters)) FILTER (WHERE len(parameters) > 0) AS parameters,
    max(description) AS description
FROM duckdb_functions()
WHERE regexp_full_match(function_name, '[a-z][a-z0-9_]*') AND function_type <> 'pragma' AND schema_name IN ('main', 'pg_catalog')
    AND (function_type NOT IN ('table', 'table_macro') OR list_contains($tables, function_name))
    AND NOT list_contains($refused, function_name) AND NOT regexp_matches(function_name, '^(pg|icu|duckdb|pragma|has|collate|inet|st|variant|col|obj|shobj)_')
GROUP BY ALL ORDER BY name;
