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

-- name: position
-- How far the log had come.
SELECT coalesce(max(position), 0)::BIGINT FROM events;

-- name: weeks
-- The weeks of a relation, each by its Monday in a time zone, with its rows and a sum over what is in them; NULL = no time.
SELECT date_trunc('week', {time} AT TIME ZONE $zone)::DATE AS week, count(*) AS rows, sum(hash({columns}))::VARCHAR AS content
FROM {relation} GROUP BY week ORDER BY week;

-- name: undivided
-- The same of a relation without weeks.
SELECT NULL::DATE AS week, count(*) AS rows, sum(hash({columns}))::VARCHAR AS content FROM {relation};

-- name: part
-- The rows of a relation that fit a condition, as they lie: mostly in the order in which they came.
SELECT {columns} FROM {relation} WHERE {condition};

-- name: cuts
-- Every so manieth value of a relation's key among the rows that fit a condition.
SELECT key FROM (SELECT {key} AS key, row_number() OVER (ORDER BY {key}) AS number FROM {relation} WHERE {condition})
WHERE number % $size = 0 ORDER BY key;
