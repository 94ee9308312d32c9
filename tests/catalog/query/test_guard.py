"""The guard: what reads the catalog goes through, everything else is refused, however it is dressed up."""

from __future__ import annotations

import os
import threading
from importlib.resources import files

import duckdb
import pytest

from voxledger.catalog import QueryError
from voxledger.catalog.queries import load
from voxledger.catalog.query import check, check_condition
from voxledger.catalog.query.guard import HARMLESS_FUNCTIONS, LONGEST, REFUSED_FUNCTIONS, TABLE_FUNCTIONS

READS = """
SELECT 1
FROM clips
TABLE clips
VALUES (1), (2)
SELECT 1; -- the end
/* what */ SELECT -- ever
SELECT * EXCLUDE (id) REPLACE (1 AS bytes) RENAME (name AS title) FROM clips
SELECT COLUMNS(*) FROM clips
SELECT COLUMNS(lambda c: c LIKE 'd%') FROM clips
WITH a AS (SELECT 1), b AS MATERIALIZED (FROM a) FROM b
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) FROM t
WITH RECURSIVE t(n) USING KEY (n) AS (SELECT 1 UNION SELECT n FROM t) FROM t
FROM (FROM clips UNION BY NAME FROM generations INTERSECT FROM plays EXCEPT ALL FROM plays)
SELECT list_transform([1], lambda x: x + 1), [x FOR x IN [1] IF x > 0], {'a': 1}.a, MAP {1: 2}, ROW(1, 2), TRY(1 / 0)
SELECT x[1:2], #1, name COLLATE nocase, x BETWEEN 1 AND 2, NOT x, x IN (1, 2), INTERVAL 3 DAY, x::DECIMAL(3, 1) FROM clips
SELECT CASE x WHEN 1 THEN 2 ELSE 3 END, x IS NULL, EXISTS (FROM plays), ARRAY(SELECT 1), x = ANY(SELECT 1) FROM clips
SELECT data -> 'a', data ->> '$.b', to_json(events) FROM events
SELECT sum(x) OVER w, row_number() OVER (ORDER BY x), sum(x) FILTER (WHERE y) FROM clips WINDOW w AS (ORDER BY y ROWS 1 PRECEDING)
SELECT count(*), grouping(a) FROM clips GROUP BY CUBE (a) HAVING count(*) > 1 ORDER BY ALL LIMIT 10% OFFSET 3
SELECT DISTINCT ON (a) a FROM clips QUALIFY row_number() OVER (PARTITION BY b) = 1 LIMIT (SELECT 3)
SELECT a FROM clips GROUP BY GROUPING SETS ((a), (b))
FROM clips, LATERAL (SELECT clips.id) AS l
FROM clips ASOF JOIN plays ON clips.created >= plays.time SEMI JOIN generations USING (id) POSITIONAL JOIN events
FROM clips TABLESAMPLE 10%
FROM clips USING SAMPLE 3 ROWS
PIVOT clips ON emotion IN ('happy', 'sad') USING count(*)
FROM (PIVOT clips ON emotion IN ('happy') USING count(*) GROUP BY language)
UNPIVOT clips ON plays, reuses INTO NAME what VALUE number
SUMMARIZE clips
DESCRIBE clips
DESCRIBE SELECT 1
SHOW TABLES
SHOW ALL TABLES
SHOW clips
FROM catalog.clips JOIN log.events ON true JOIN catalog.main.plays ON true
FROM information_schema.tables
FROM duckdb_columns() WHERE NOT internal
FROM duckdb_tables
FROM range(3), generate_series(1, 2), unnest([1]), json_each('{}')
FROM clips_at(17) JOIN holds_at(17) ON true
WITH "my clips" AS (FROM clips) FROM "my clips"
WITH Ünï AS (FROM clips) FROM Ünï
SELECT random(), uuid(), now(), current_date, version(), 'read_text(''/etc/passwd'')', "glob" FROM clips
SELECT $clip, $limit
""".strip().splitlines()

WRITES = """
DELETE FROM clips
UPDATE clips SET name = 'x'
INSERT INTO clips SELECT * FROM clips
TRUNCATE clips
DROP TABLE clips
CREATE TABLE x (a INT)
CREATE TEMP TABLE x AS SELECT 1
CREATE MACRO f(x) AS x
ALTER TABLE clips DROP name
MERGE INTO clips USING plays ON true WHEN MATCHED THEN DELETE
COPY clips TO '/tmp/stolen.csv'
COPY (SELECT 1) TO '/tmp/stolen.csv'
EXPORT DATABASE '/tmp/x'
IMPORT DATABASE '/tmp/x'
ATTACH '/tmp/other.duckdb'
DETACH catalog
USE log
CHECKPOINT
VACUUM
PRAGMA database_list
SET threads = 1
RESET threads
SET VARIABLE x = 1
INSTALL httpfs
LOAD httpfs
CALL duckdb_tables()
PREPARE p AS SELECT 1
EXECUTE p
DEALLOCATE p
BEGIN
COMMIT
EXPLAIN SELECT 1
EXPLAIN ANALYZE DELETE FROM clips
COMMENT ON TABLE clips IS 'x'
SELECT 1; SELECT 2
SELECT 1; COMMIT; DELETE FROM clips
SELECT 1;; DELETE FROM clips
SELECT 1 /* ; */; DROP TABLE clips --
WITH gone AS (DELETE FROM clips RETURNING *) FROM gone
WITH gone AS (UPDATE clips SET name = 'x' RETURNING *) FROM gone
WITH new AS (INSERT INTO clips SELECT * FROM clips RETURNING *) FROM new
FROM (WITH gone AS (DELETE FROM clips RETURNING *) FROM gone)
WITH x AS (COPY clips TO '/tmp/x') FROM x
SELECT * INTO x FROM clips
PIVOT clips ON emotion USING count(*)
FROM (PIVOT clips ON emotion USING count(*))

;
--
SELEC 1
SELECT 1 \N{FULLWIDTH SEMICOLON} DELETE FROM clips
""".splitlines()[1:]

REACHES_OUT = """
FROM '/etc/passwd'
FROM "/etc/passwd"
FROM 'x.csv'
FROM "x.csv"
FROM x.csv
FROM "x.parquet" AS clips
FROM 'clips.duckdb'
FROM 'https://example.com/x.parquet'
FROM 's3://bucket/key'
FROM '*.json'
FROM 'file:x'
FROM '..'
FROM "clips\N{FULLWIDTH SOLIDUS}x"
FROM "c:\\x"
FROM catalog."x.csv"
FROM "x.csv".main.clips
FROM memory.main.x
FROM system.main.duckdb_settings
FROM pg_catalog.pg_settings
FROM pg_settings
FROM duckdb_databases
FROM duckdb_logs
FROM pragma_database_list
DESCRIBE 'x.csv'
DESCRIBE FROM 'x.csv'
SUMMARIZE 'x.csv'
SHOW "x.csv"
SHOW DATABASES
TABLE 'x.csv'
PIVOT 'x.csv' ON a IN (1) USING count(*)
UNPIVOT 'x.csv' ON a, b INTO NAME n VALUE v
FROM read_text('/etc/passwd')
FROM READ_TEXT('/etc/passwd')
FROM "read_text"('/etc/passwd')
FROM main.read_text('/etc/passwd')
FROM system.main.read_text('/etc/passwd')
FROM read_blob('log.duckdb')
FROM read_csv('x.csv')
FROM read_csv_auto('x.csv')
FROM read_json('x.json')
FROM read_ndjson_objects('x.json')
FROM read_parquet('x.parquet')
FROM parquet_scan('x.parquet')
FROM parquet_metadata('x.parquet')
FROM parquet_schema('x.parquet')
FROM read_duckdb('x.duckdb')
FROM sniff_csv('x.csv')
FROM glob('/*')
FROM query('SELECT 1')
FROM query_table('clips')
FROM query_table(['clips', 'x.csv'])
FROM json_execute_serialized_sql('{}')
FROM duckdb_secrets()
FROM duckdb_settings()
FROM duckdb_databases()
FROM duckdb_extensions()
FROM duckdb_logs()
FROM duckdb_variables()
FROM duckdb_temporary_files()
FROM duckdb_external_file_cache()
FROM which_secret('s3://x', 's3')
FROM pragma_version()
FROM pragma_storage_info('clips')
FROM pragma_database_size()
FROM arrow_scan(1, 2, 3)
FROM pandas_scan(94000000000000)
FROM python_map_function(1)
FROM histogram('x.csv', a)
FROM checkpoint()
FROM force_checkpoint()
FROM enable_logging()
FROM truncate_duckdb_logs()
FROM repeat(repeat('x', 1000000000), 1000000000)
FROM some_function_of_tomorrow()
SELECT getenv('HOME')
SELECT current_setting('secret_directory')
SELECT getvariable('x')
SELECT nextval('s')
SELECT setseed(0.5)
SELECT sleep_ms(60000)
SELECT pg_sleep(60)
SELECT PG_SLEEP(60)
SELECT system.main.sleep_ms(60000)
SELECT write_log('x')
SELECT current_query()
SELECT json_serialize_plan('FROM read_csv(''/etc/passwd'')')
SELECT '/etc/passwd'.read_text()
SELECT finalize('\\x00'::BLOB)
WITH clips AS (FROM 'x.csv') FROM clips
WITH RECURSIVE t AS (SELECT 1 UNION ALL FROM 'x.csv') FROM t
SELECT 1 UNION ALL SELECT content FROM read_text('x')
FROM clips, LATERAL (FROM read_text(clips.path))
FROM clips JOIN 'x.csv' USING (id)
FROM clips WHERE id IN (FROM 'x.csv')
FROM clips WHERE EXISTS (FROM glob('*'))
FROM clips WHERE id = ANY(SELECT 1 FROM 'x.csv')
SELECT (SELECT content FROM read_text('x'))
SELECT [(SELECT content FROM read_text('x'))]
SELECT ARRAY(SELECT content FROM read_text('x'))
SELECT {'a': (SELECT content FROM read_text('x'))}
SELECT CASE WHEN true THEN (FROM glob('*')) END
SELECT list_transform([1], lambda x: (SELECT content FROM read_text('x')))
SELECT list_filter(['x'], lambda x: getenv(x) IS NULL)
SELECT COLUMNS(lambda c: getenv(c) IS NULL) FROM clips
SELECT * REPLACE ((FROM glob('*')) AS id) FROM clips
SELECT sum(1) FILTER (WHERE EXISTS (FROM glob('*'))) FROM clips
SELECT sum(1) OVER (ORDER BY (FROM glob('*'))) FROM clips
SELECT row_number() OVER (PARTITION BY (FROM glob('*'))) FROM clips
SELECT string_agg(name, ',' ORDER BY (FROM glob('*'))) FROM clips
SELECT 1 FROM clips GROUP BY (FROM glob('*'))
SELECT 1 FROM clips HAVING EXISTS (FROM glob('*'))
SELECT 1 FROM clips QUALIFY EXISTS (FROM glob('*'))
SELECT 1 FROM clips ORDER BY (FROM glob('*'))
SELECT 1 LIMIT (SELECT count(*) FROM glob('*'))
SELECT 1 OFFSET (SELECT count(*) FROM glob('*'))
SELECT DISTINCT ON ((FROM glob('*'))) 1 FROM clips
VALUES ((SELECT content FROM read_text('x')))
FROM range((SELECT count(*) FROM glob('*')))
FROM clips AT (VERSION => (SELECT count(*) FROM glob('*')))
FROM clips JOIN plays ON EXISTS (FROM glob('*'))
SELECT (FROM glob('*'))::VARCHAR
SELECT 1 BETWEEN 0 AND (FROM glob('*'))
SELECT 'a' COLLATE nocase = (FROM glob('*'))
DESCRIBE FROM read_text('x')
SUMMARIZE FROM read_text('x')
FROM/**/read_text/**/('x')
FROM read_text\t('x')
FROM \N{NO-BREAK SPACE}read_text('x')
FROM U&"read_text"('x')
""".strip().splitlines()


@pytest.mark.parametrize("query", READS)
def test_what_reads_the_catalog_goes_through(query: str) -> None:
    if query == "/* what */ SELECT -- ever":
        query += "\n 1"
    check(query)


@pytest.mark.parametrize("query", WRITES)
def test_what_is_not_one_select_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        check(query)


@pytest.mark.parametrize("query", REACHES_OUT)
def test_what_reaches_out_of_the_catalog_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        check(query)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("PIVOT clips ON emotion USING count(*)", "name the values: PIVOT clips ON emotion IN"),
        ("DELETE FROM clips", "exactly one SELECT"),
        ("EXPLAIN SELECT 1", "exactly one SELECT"),
        ("WITH gone AS (DELETE FROM clips RETURNING *) FROM gone", "only reads; this one holds DELETE"),
        ("FROM 'x.csv'", "'x.csv' is refused: it names a file"),
        ("FROM other.clips", "stand in catalog and log"),
        ("FROM read_text('x')", r"read_text\(\) is refused"),
        ("SELECT getenv('x')", r"getenv\(\) is refused"),
        ("SELECT \udcff", "no UTF-8"),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "depth"),
        ("FROM " + "(FROM " * 400 + "clips" + ")" * 400, "nested too deeply"),
        ("SELECT '" + "x" * LONGEST + "'", "at most 1,000,000 characters"),
        ("SELEC 1", 'not SQL that DuckDB understands: Parser Error: syntax error at or near "SELEC"$'),
    ],
)
def test_a_refusal_says_what_is_wrong(query: str, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        check(query)
    assert "\n" not in str(caught.value)


def test_every_function_with_side_effects_was_looked_at() -> None:
    with duckdb.connect(":memory:") as connection:
        kinds = "function_type IN ('scalar', 'macro', 'aggregate')"
        query = f"SELECT DISTINCT function_name FROM duckdb_functions() WHERE {kinds} AND has_side_effects"
        marked = {name for (name,) in connection.execute(query).fetchall()}
        tables = {
            name
            for (name,) in connection.execute(
                "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro')"
            ).fetchall()
        }
    assert marked <= REFUSED_FUNCTIONS | HARMLESS_FUNCTIONS
    assert not TABLE_FUNCTIONS & {name for name in tables if name.startswith(("read_", "query", "pragma_", "glob"))}
    assert TABLE_FUNCTIONS - tables == {name for name in TABLE_FUNCTIONS if name.endswith("_at")}


@pytest.mark.parametrize(
    ("package", "file"),
    [
        ("voxledger.catalog", "catalog.sql"),
        ("voxledger.catalog", "subscriptions.sql"),
        ("voxledger.catalog.query", "history.sql"),
        ("voxledger.catalog.search", "feed.sql"),
        ("voxledger.catalog.retention", "holds.sql"),
        ("voxledger.catalog.retention", "nights.sql"),
        ("voxledger.catalog.retention.explaining", "explaining.sql"),
        ("voxledger.analytics.publishing", "publishing.sql"),
        ("voxledger.analytics.metrics", "metrics.sql"),
        ("voxledger.analytics.report", "report.sql"),
    ],
)
def test_our_own_questions_go_through(package: str, file: str) -> None:
    """A running node checks them like anybody's."""
    assert files(package).joinpath(file).is_file()
    for template in load(file, package).values():
        query = template.replace("{columns}", "*").replace("{condition}", "true")
        if duckdb.extract_statements(query)[0].type == duckdb.StatementType.SELECT:
            check(query)


def test_threads_and_forked_processes_have_a_guard_of_their_own() -> None:
    check("SELECT 1")
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(50):
                check("FROM clips")
                with pytest.raises(QueryError):
                    check("FROM glob('*')")
        except BaseException as error:  # noqa: BLE001  # told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    child = os.fork()
    if child == 0:
        try:
            check("FROM clips")
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(
    "expression",
    [
        "plays = 0",
        "emotion = 'sad' AND duration_s > 3 OR name LIKE '%x%'",
        "true -- always",
        "list_contains(tags, 'x')",
        "len(list_filter(tags, lambda t: t LIKE 'a%')) > 0",
        "name IN ('a', 'b') /* two */",
        "(plays = 0)",
        "'a) OR (b' = name",
        "CASE WHEN pinned THEN plays > 3 ELSE true END",
        "name = '{x}'",
    ],
)
def test_a_plain_expression_is_a_condition(expression: str) -> None:
    assert expression in check_condition(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        " ",
        "--",
        "true; DELETE FROM clips",
        "true;",
        "true) OR (true",
        "true) UNION SELECT 1 FROM clips WHERE (true",
        "true) ORDER BY (1",
        "true /*",
        "true FROM clips",
        "true, false",
        "true AS x",
        "true ORDER BY 1",
        "true LIMIT 1",
        "DISTINCT true",
        "*",
        "COLUMNS(*) > 3",
        "id IN (SELECT id FROM clips)",
        "EXISTS (FROM 'x.csv')",
        "row_number() OVER () = 1",
        "#1",
        "$1",
        "$actor",
        "getenv('HOME') = 'x'",
        "sleep_ms(1000) IS NULL",
        "'",
        "plays =",
        "\udcff",
    ],
)
def test_what_is_more_or_less_than_one_expression_is_no_condition(expression: str) -> None:
    with pytest.raises(QueryError):
        check_condition(expression)
