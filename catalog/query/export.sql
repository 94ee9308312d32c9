-- name: relations
-- The documented relations with their comments, in the order of their names.
SELECT name, comment FROM (
    SELECT database_name, schema_name, table_name AS name, internal, comment FROM duckdb_tables()
    UNION ALL BY NAME
    SELECT database_name, schema_name, view_name AS name, internal, comment FROM duckdb_views())
WHERE database_name IN ('catalog', 'log') AND schema_name = 'main' AND NOT internal ORDER BY name;

-- name: columns
-- Their columns in order, with types and comments.
SELECT table_name, column_name, data_type, comment FROM duckdb_columns()
WHERE database_name IN ('catalog', 'log') AND schema_name = 'main' AND NOT internal ORDER BY table_name, column_index;

-- name: size
-- How many rows a relation has.
SELECT count(*) AS rows FROM {relation};

-- name: bounds
-- Some values of a key, drawn at random: between two of them lie about as many rows as between any others.
SELECT DISTINCT {key} AS bound FROM (SELECT {key} FROM {relation} USING SAMPLE reservoir({count} ROWS)) ORDER BY bound;

-- name: slice
-- The rows of a relation between two values of its key; NULL stands for no bound.
SELECT {columns} FROM {relation} WHERE {condition} ORDER BY {key};

-- name: whole
-- A small relation at once.
SELECT {columns} FROM {relation};
