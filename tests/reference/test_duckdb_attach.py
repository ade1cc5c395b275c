"""DuckDB attaches to the catalog, agrees on every snapshot, and writes what we read."""

import functools
import pathlib

import duckdb
import pytest
from command_line import maintain, query, sql

# Statements of one table's life; DuckDB is asked after each.
LIFE = [
    "CREATE TABLE item (id NUMBER(10), name VARCHAR, price NUMBER(12,2), seen DATE, at TIMESTAMP_NTZ, ok BOOLEAN, f FLOAT)",
    "INSERT INTO item SELECT SEQ4(), 'name ' || SEQ4(), SEQ4() * 1.25, DATEADD(day, SEQ4(), '2020-02-28'::DATE), "
    "DATEADD(second, SEQ4(), '2020-01-01 00:00:00'::TIMESTAMP_NTZ), SEQ4() % 2 = 0, SEQ4() / 7 FROM TABLE(GENERATOR(ROWCOUNT => 3000))",
    "DELETE FROM item WHERE id % 10 = 3",
    "UPDATE item SET price = price + 100, name = NULL WHERE id < 500",
    "INSERT INTO item (id, name) VALUES (9001, 'late'), (9002, NULL)",
    "MERGE INTO item t USING (SELECT 1 AS id, 'one' AS name UNION ALL SELECT 9003, 'new') s ON t.id = s.id "
    "WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)",
    "ALTER TABLE item ADD COLUMN extra VARCHAR",
    "UPDATE item SET extra = 'x' WHERE id > 2990",
    "DELETE FROM item WHERE id IN (SELECT id FROM item WHERE id BETWEEN 1000 AND 1100)",
]


@functools.cache
def duckdb_with_ducklake():
    """One instance for all tests: to load the extensions costs a second."""
    connection = duckdb.connect()
    for name in ("ducklake", "sqlite_scanner"):
        found = list(pathlib.Path(duckdb.__file__).parent.parent.glob(f"duckdb_extension*{name}*/**/*.duckdb_extension"))
        if found:
            connection.execute(f"LOAD '{found[0]}'")
        else:
            connection.execute(f"LOAD {name}")
    return connection


class Attached:
    """A connection to a data directory, which the instance lets go of when it is closed."""

    def __init__(self, directory):
        self.cursor = duckdb_with_ducklake().cursor()
        # One that a failed test left.
        self.cursor.execute("DETACH DATABASE IF EXISTS lake")
        self.cursor.execute(
            f"ATTACH 'ducklake:sqlite:{directory}/catalog.sqlite' AS lake (DATA_PATH '{directory}/data/')"
        )

    def execute(self, *statement):
        return self.cursor.execute(*statement)

    def close(self):
        self.cursor.execute("DETACH lake")
        self.cursor.close()


def attach(directory):
    return Attached(directory)


def test_duckdb_sees_the_same_rows_at_every_snapshot(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    expected = []
    for statement in LIFE:
        sql(directory, f"USE SCHEMA t.public; {statement};")
        _, rows = query(
            directory,
            "SELECT COUNT(*), SUM(id), SUM(price), COUNT(name), MAX(seen), COUNT_IF(ok) FROM item",
        )
        connection = attach(directory)
        snapshot = connection.execute("SELECT MAX(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()[0]
        expected.append((snapshot, rows[0]))
        connection.close()
    connection = attach(directory)
    for snapshot, ours in expected:
        theirs = connection.execute(
            'SELECT COUNT(*), SUM(id), SUM(price), COUNT(name), MAX(seen), COUNT(*) FILTER (ok) '
            f'FROM lake."T.PUBLIC"."ITEM" AT (VERSION => {snapshot})'
        ).fetchone()
        assert [cell(value) for value in theirs] == [None if v == "" else v for v in ours], snapshot
        _, again = query(directory, "SELECT COUNT(*), SUM(id), SUM(price), COUNT(name), MAX(seen), COUNT_IF(ok) "
                         f"FROM item AT (VERSION => {snapshot})")
        assert again[0] == ours
    connection.close()


def cell(value):
    return None if value is None else str(value)


def test_rows_written_by_duckdb_are_read(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.mixed (a NUMBER(10), b VARCHAR); "
        "INSERT INTO t.public.mixed VALUES (1, 'ours');")
    connection = attach(directory)
    connection.execute(
        "INSERT INTO lake.\"T.PUBLIC\".\"MIXED\" SELECT i, 'theirs ' || i FROM range(100, 20100) r(i)"
    )
    connection.execute('DELETE FROM lake."T.PUBLIC"."MIXED" WHERE a % 2 = 1 AND a > 1')
    connection.close()
    _, rows = query(directory, "SELECT COUNT(*), MIN(a), MAX(a), MAX(b) FROM mixed")
    assert rows == [["10001", "1", "20098", "theirs 9998"]]
    sql(directory, "DELETE FROM t.public.mixed WHERE a >= 200;")
    connection = attach(directory)
    assert connection.execute('SELECT COUNT(*) FROM lake."T.PUBLIC"."MIXED"').fetchone() == (51,)
    connection.close()


RARE = """CREATE TABLE rare (v VECTOR(FLOAT, 3), l TIMESTAMP_LTZ, n TIMESTAMP_NTZ(9), t TIME(9), b BOOLEAN);
INSERT INTO rare SELECT [1.5, -2.0, 0.25]::VECTOR(FLOAT, 3), '2024-02-29 12:00:00.5 +0200'::TIMESTAMP_LTZ,
  '2024-02-29 12:00:00.123456789'::TIMESTAMP_NTZ(9), '01:02:03.000000004'::TIME(9), TRUE;
INSERT INTO rare (b) VALUES (FALSE);"""


def test_views_nan_and_variant_nulls_from_both_sides(tmp_path):
    directory = tmp_path / "lake"
    rows = "SELECT SEQ4() AS id, IFF(SEQ4() % 10 = 0, 'NaN'::FLOAT, SEQ4()) AS f FROM TABLE(GENERATOR(ROWCOUNT => 1000))"
    sql(directory, f"CREATE DATABASE t; USE SCHEMA t.public; CREATE TABLE n AS {rows}; CREATE VIEW v AS SELECT id, f FROM n;")
    connection = attach(directory)
    schema = 'lake."T.PUBLIC"'
    # A view of several columns must not keep DuckDB from the catalog.
    assert connection.execute(f"SELECT count(*) FROM {schema}.N WHERE f > 5000").fetchone() == (100,)
    connection.execute(f'CREATE TABLE {schema}.D ("ID" INTEGER, "V" VARIANT, "R" REAL, "D" DOUBLE)')
    connection.execute(
        f"INSERT INTO {schema}.D SELECT i, CASE WHEN i % 2 = 0 THEN NULL ELSE i::VARIANT END, 0.1::REAL, "
        "CASE WHEN i % 4 = 0 THEN 'NaN'::DOUBLE ELSE i END FROM range(2000) r(i)"
    )
    connection.close()
    asked = {
        "v IS NULL": 1000,
        "r > 0.1": 2000,
        "r <= 0.1": 0,
        "d > 100000": 500,
        "d = 'NaN'::FLOAT": 500,
    }
    for condition, count in asked.items():
        assert query(directory, f"SELECT COUNT(*) AS c FROM t.public.d WHERE {condition}") [1] == [[str(count)]], condition
    sql(directory, "UPDATE t.public.d SET id = -1 WHERE d > 100000;")
    assert query(directory, "SELECT COUNT(*) AS c FROM t.public.d WHERE id = -1")[1] == [["500"]]


# Names that are not sorted, and that come again.
OBJECTS = [
    "{'b': 1, 'a': 2}::VARIANT",
    "[{'x': 1}, {'x': 2}]::VARIANT",
    "MAP {'k': 1, 'b': 2}::VARIANT",
    """'{"b": [{"z": 1, "a": {"d": null, "c": 2}}], "a": "x", "C": {}}'::JSON::VARIANT""",
    "7::VARIANT",
    "'text'::VARIANT",
]
READ = [
    '{"a":2,"b":1}',
    '[{"x":1},{"x":2}]',
    '[{"key":"k","value":1},{"key":"b","value":2}]',
    '{"C":{},"a":"x","b":[{"a":{"c":2,"d":null},"z":1}]}',
    "7",
    '"text"',
]


def test_objects_are_read_whatever_order_duckdb_wrote_them_in(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    connection = attach(directory)
    schema = 'lake."T.PUBLIC"'
    # What a file's rows have in common is shredded, so each stands once alone and once among all.
    sources = {"ALL_OF_THEM": list(enumerate(OBJECTS)), "NUMBERS": [(5, "1::VARIANT")] * 50 + list(enumerate(OBJECTS))}
    sources |= {f"ONE_{key}": [(key, value)] for key, value in enumerate(OBJECTS)}
    for name, rows in sources.items():
        values = " UNION ALL ".join(f"SELECT {key}, {value}" for key, value in rows)
        connection.execute(f'CREATE TABLE {schema}."{name}" ("K" INTEGER, "V" VARIANT)')
        connection.execute(f'INSERT INTO {schema}."{name}" {values}')
    for name, rows in sources.items():
        keys = sorted({key for key, value in rows if value in OBJECTS})
        wanted = [[str(key), READ[key]] for key in keys]
        asked = f"SELECT k, TO_JSON(v) AS v FROM t.public.{name} WHERE TO_JSON(v) <> '1' ORDER BY k"
        assert query(directory, asked)[1] == wanted, name
        paths = "COALESCE(v:b[0]:a:c, v[1]:x, v[0]:key, v:b)"
        found = f"SELECT COUNT(*) AS c FROM t.public.{name} WHERE TO_JSON({paths}) IN ('1', '2', '\"k\"')"
        assert query(directory, found)[1] == [[str(len([key for key in keys if key < 4]))]], name
    # Written here they are in order for good.
    sql(directory, "CREATE TABLE t.public.copied AS SELECT * FROM t.public.all_of_them;")
    assert connection.execute(f'SELECT CAST(v AS JSON)::VARCHAR FROM {schema}."COPIED" ORDER BY k').fetchall() == [
        (text,) for text in READ
    ]
    connection.close()


def test_defaults_and_dates_that_one_side_alone_knows(tmp_path):
    directory = tmp_path / "lake"
    sql(
        directory,
        "CREATE DATABASE t; USE SCHEMA t.public; CREATE TABLE a (id INT, d DATE); "
        "INSERT INTO a SELECT SEQ4(), '2020-01-01'::DATE + SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 500)); "
        "INSERT INTO a SELECT SEQ4(), DATEADD(day, SEQ4(), '9999-12-01'::DATE) FROM TABLE(GENERATOR(ROWCOUNT => 500)); "
        "ALTER TABLE a ADD COLUMN t TIME(9) DEFAULT '01:02:03.000000004'::TIME(9); "
        "CREATE TABLE b (id INT) AS SELECT 1;",
    )
    assert query(directory, "SELECT COUNT(*), MIN(TO_VARCHAR(t, 'HH24:MI:SS.FF9')) FROM a WHERE d > '9999-12-31'")[1] == [["469", "01:02:03.000000004"]]
    connection = attach(directory)
    schema = 'lake."T.PUBLIC"'
    assert connection.execute(f"SELECT count(*), min(\"T\") FROM {schema}.A").fetchone() == (1000, 3723000000004)
    # Defaults that are not read here are errors, not NULL.
    for name, added in (
        ("BLOBS", "BLOB DEFAULT '\\x00\\xFF'"),
        ("ENDLESS", "TIMESTAMP DEFAULT 'infinity'"),
        ("FAR", "DATE DEFAULT '12345-01-01'"),
    ):
        connection.execute(f"CREATE TABLE {schema}.{name} AS SELECT 1 AS \"ID\"")
        connection.execute(f'ALTER TABLE {schema}.{name} ADD COLUMN "C" {added}')
    connection.close()
    # What has no bound in DuckDB's text is not hidden by rows that have one.
    sql(directory, "INSERT INTO t.public.a (id, d) VALUES (7000, '2021-01-01');")
    connection = attach(directory)
    assert connection.execute(f"SELECT count(*) FROM {schema}.A WHERE d > DATE '9999-12-31'").fetchone() == (469,)
    connection.close()
    assert query(directory, "SELECT TO_CHAR(c, 'HEX') FROM blobs")[1] == [["00FF"]]
    for name in ("ENDLESS", "FAR"):
        assert "another client set it" in sql(directory, f"SELECT * FROM t.public.{name};", fails=True), name
    assert query(directory, "SELECT id FROM t.public.b")[1] == [["1"]]


def test_inlined_rows_of_rarer_types(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, f"CREATE DATABASE t; USE SCHEMA t.public; {RARE}")
    expected = [
        ("[1.5, -2.0, 0.25]", "2024-02-29 10:00:00.5+00", "2024-02-29 12:00:00.123456789", "3723000000004", "true"),
        (None, None, None, None, "false"),
    ]
    for stage in ("inlined", "flushed"):
        connection = attach(directory)
        connection.execute("SET TimeZone = 'UTC'")
        counts = connection.execute(
            "SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file"
        ).fetchone()
        assert counts == ((0,) if stage == "inlined" else (1,))
        rows = connection.execute(
            'SELECT V::VARCHAR, L::VARCHAR, N::VARCHAR, T::VARCHAR, B::VARCHAR FROM lake."T.PUBLIC"."RARE" ORDER BY B DESC'
        ).fetchall()
        connection.close()
        assert rows == expected, stage
        _, ours = query(directory, "SELECT v[0], l, n, t, b FROM rare ORDER BY b DESC")
        assert [row[0] for row in ours] == ["1.5", ""] and ours[0][2].startswith("2024-02-29 12:00:00.123"), stage
        maintain(directory)


def test_an_attached_duckdb_sees_each_commit(tmp_path):
    """It keeps tables' statistics, and where rows are inlined, until the snapshot says that they are others."""
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.x (a INT); "
        "CREATE TABLE t.public.big AS SELECT SEQ4()::INT AS a FROM TABLE(GENERATOR(ROWCOUNT => 2000));")
    connection = attach(directory)
    x, big, copy = (f'lake."T.PUBLIC"."{name}"' for name in ("X", "BIG", "COPY"))

    def seen(text):
        return connection.execute(text).fetchall()

    assert seen(f"SELECT * FROM {x}") == []
    assert seen(f"SELECT count(*) FROM {big} WHERE a >= 2000") == [(0,)]
    sql(directory, "INSERT INTO t.public.x VALUES (1);")
    assert seen(f"SELECT a FROM {x} WHERE a > 0") == [(1,)]
    for statement, value in (
        ("INSERT INTO x VALUES (200)", 200),
        ("UPDATE x SET a = 500 WHERE a = 1", 500),
        ("MERGE INTO x USING (SELECT 900 AS k) s ON a = k WHEN NOT MATCHED THEN INSERT VALUES (k)", 900),
        ("BEGIN; INSERT INTO x VALUES (1000); INSERT INTO big VALUES (5000); COMMIT", 1000),
    ):
        sql(directory, f"USE SCHEMA t.public; {statement};")
        assert seen(f"SELECT a FROM {x} WHERE a = {value}") == [(value,)], statement
    sql(directory, "UPDATE t.public.big SET a = a + 100000 WHERE a = 10; CREATE TABLE t.public.copy CLONE t.public.x;")
    assert seen(f"SELECT count(*), max(a) FROM {big}") == [(2001, 100010)]
    assert seen(f"SELECT a FROM {copy} WHERE a = 1000") == [(1000,)]
    # What it writes goes on where we were.
    sql(directory, "INSERT INTO t.public.x VALUES (2000);")
    connection.execute(f"INSERT INTO {x} VALUES (3000)")
    sql(directory, "INSERT INTO t.public.x VALUES (4000);")
    connection.execute(f"INSERT INTO {copy} VALUES (3000)")
    for table in (x, copy):
        rows, ids = seen(f"SELECT count(*), count(DISTINCT rowid) FROM {table}")[0]
        assert rows == ids, table
    connection.execute(f"DELETE FROM {x} WHERE a = 3000")
    connection.close()
    assert query(directory, "SELECT a FROM t.public.x ORDER BY a")[1] == [["200"], ["500"], ["900"], ["1000"], ["2000"], ["4000"]]


def test_both_write_inlined_rows_of_one_table(tmp_path):
    """Either side inserts, updates and deletes rows the other inlined; each flushes once."""
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; USE SCHEMA t.public; CREATE TABLE shared (a NUMBER(18), b VARCHAR);"
        "INSERT INTO shared VALUES (1, 'ours'), (2, 'ours'), (3, 'ours');")
    table = 'lake."T.PUBLIC"."SHARED"'

    def theirs(*statements):
        connection = attach(directory)
        for statement in statements:
            connection.execute(statement)
        rows = connection.execute(f"SELECT rowid, a, b FROM {table} ORDER BY a").fetchall()
        connection.close()
        return rows

    def same():
        _, rows = query(directory, "SELECT a, b FROM shared ORDER BY a")
        assert [tuple(row) for row in rows] == [(str(a), b) for _, a, b in theirs()]

    theirs(f"INSERT INTO {table} VALUES (4, 'theirs'), (5, 'theirs')", f"UPDATE {table} SET b = 'changed' WHERE a = 2")
    same()
    sql(directory, "USE SCHEMA t.public; UPDATE shared SET b = 'ours now' WHERE a IN (2, 4); "
        "DELETE FROM shared WHERE a = 5; ALTER TABLE shared ADD COLUMN c NUMBER(18) DEFAULT 9;")
    rows = theirs(f"INSERT INTO {table} VALUES (6, 'theirs', 1)")
    assert [(row_id, a) for row_id, a, _ in rows] == [(0, 1), (1, 2), (2, 3), (3, 4), (5, 6)]
    same()
    before = theirs()
    assert theirs("CALL ducklake_flush_inlined_data('lake')") == before
    same()
    sql(directory, "USE SCHEMA t.public; INSERT INTO shared VALUES (7, 'ours', 2); UPDATE shared SET c = 3 WHERE a = 6;")
    same()
    before = theirs()
    maintain(directory)
    assert theirs() == before
    same()
    assert theirs(f"DELETE FROM {table} WHERE a = 7")[-1][1] == 6
    same()
    assert theirs("CALL ducklake_merge_adjacent_files('lake')")[0] == (0, 1, "ours")
    same()


@pytest.mark.parametrize("text", ["SELECT * FROM t.public.none", "SELECT 1 +", "SELECT 1/0"])
def test_the_command_line_fails_with_a_message(tmp_path, text):
    directory = tmp_path / "lake"
    message = sql(directory, f"CREATE DATABASE t; {text};", fails=True)
    assert message.startswith("error: ")


@pytest.mark.parametrize(
    ("duckdb_type", "values", "misfits"),
    [
        ("TINYINT", ["-128", "127"], ["128", "-129"]),
        ("UTINYINT", ["0", "255"], ["256", "-1"]),
        ("SMALLINT", ["-32768", "32767"], ["32768"]),
        ("USMALLINT", ["65535"], ["65536", "-1"]),
        ("INTEGER", ["-2147483648", "2147483647"], ["2147483648"]),
        ("UINTEGER", ["4294967295"], ["4294967296", "-1"]),
        ("BIGINT", ["-9223372036854775808", "9223372036854775807"], ["9223372036854775808", "-9223372036854775809"]),
        ("UBIGINT", ["18446744073709551615"], ["18446744073709551616", "-1"]),
        ("REAL", ["0.5", "'inf'::FLOAT"], ["1e300"]),
        ("JSON", ["""'{"a": [1, null]}'"""], ["'no json'", "''"]),
    ],
)
def test_values_that_duckdbs_type_does_not_take_are_refused(tmp_path, duckdb_type, values, misfits):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    duck = attach(directory)
    duck.execute(f'CREATE TABLE lake."T.PUBLIC"."ITEM" ("ID" INTEGER NOT NULL, "V" {duckdb_type} NOT NULL)')
    duck.close()
    # Few rows stay in the catalog, many go to a file.
    many = "SELECT SEQ4(), {} FROM TABLE(GENERATOR(ROWCOUNT => 500))"
    for value in values:
        sql(directory, f"USE SCHEMA t.public; INSERT INTO item SELECT 1, {value}; INSERT INTO item {many.format(value)};")
    for value in misfits:
        for statement in (
            f"INSERT INTO item SELECT 1, {value}",
            f"INSERT INTO item {many.format(value)}",
            f"UPDATE item SET v = {value}",
        ):
            error = sql(directory, f"USE SCHEMA t.public; {statement};", fails=True)
            assert "column 'V'" in error and "DuckDB's type" in error, error
    counts = "SELECT v, COUNT(*) FROM {} GROUP BY v ORDER BY v"
    duck = attach(directory)
    rows = duck.execute(counts.format('lake."T.PUBLIC"."ITEM"')).fetchall()
    duck.close()
    assert [count for _, count in rows] == [501] * len(values)
    assert [row[1] for row in query(directory, counts.format("item"))[1]] == ["501"] * len(values)
