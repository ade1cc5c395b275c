"""Columns of DuckDB's types that Snowflake has not: converted, or refused one by one; views' columns."""

import json

import pytest
from command_line import maintain, query, sql
from test_duckdb_attach import attach

UUIDS = ["123e4567-e89b-12d3-a456-426614174000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
LARGEST = 10**38 - 1
ODD = "chr(39)||'x'||chr(92)||'y\"z'||chr(10)||' '"


def create(tmp_path, inlined, *statements):
    """Runs DuckDB's statements with rows in the catalog or in files."""
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    duck = attach(directory)
    duck.execute(f"CALL lake.set_option('data_inlining_row_limit', {100 if inlined else 0})")
    duck.execute('USE lake."T.PUBLIC"')
    for statement in statements:
        duck.execute(statement)
    duck.execute("USE memory")
    duck.close()
    return directory


def refused(directory, statement, *words):
    error = sql(directory, f"USE SCHEMA t.public; {statement};", fails=True)
    assert "Internal" not in error, error
    for word in words:
        assert word in error, (word, error)


@pytest.mark.parametrize("inlined", [True, False])
def test_a_column_without_a_counterpart_is_refused_alone(tmp_path, inlined):
    directory = create(
        tmp_path,
        inlined,
        'CREATE TABLE "F" ("K" INTEGER, "I" INTERVAL, "S" STRUCT(a INTERVAL, b INTEGER)[], "V" VARCHAR)',
        "INSERT INTO \"F\" VALUES (1, INTERVAL 3 day, [{'a': INTERVAL 1 day, 'b': 2}], 'a'), (2, NULL, NULL, 'b'),"
        "(3, INTERVAL 1 month, [], NULL)",
        'CREATE TABLE "N" ("K" INTEGER, "I" INTERVAL NOT NULL)',
    )
    assert query(directory, "SELECT k, v FROM f ORDER BY k")[1] == [["1", "a"], ["2", "b"], ["3", ""]]
    assert query(directory, "SELECT COUNT(*), MAX(k) FROM f WHERE v = 'a'")[1] == [["1", "1"]]
    for statement in (
        "SELECT i FROM f",
        "SELECT * FROM f",
        "SELECT k FROM f WHERE i IS NULL",
        "SELECT MAX(i) FROM f",
        "CREATE TABLE g AS SELECT * FROM f",
        "UPDATE f SET k = 5",
        "CREATE TABLE g LIKE f",
    ):
        refused(directory, statement, "I of table T.PUBLIC.F" if "LIKE" not in statement else "column I in table T.PUBLIC.F", "interval")
    refused(directory, "SELECT s FROM f", "S of table T.PUBLIC.F", "list(struct(a interval, b int32))")
    refused(directory, "INSERT INTO f (k, i) VALUES (4, '1 day')", "I of table T.PUBLIC.F", "interval")
    refused(directory, "INSERT INTO n (k) VALUES (4)", "NULL")
    refused(directory, "ALTER TABLE f ALTER COLUMN i SET DATA TYPE VARCHAR", "interval")
    refused(directory, "SELECT GET_DDL('TABLE', 'f')", "interval", "T.PUBLIC.F")
    types = [row[:2] for row in query(directory, "DESCRIBE TABLE f")[1]]
    assert types == [
        ["K", "NUMBER(10,0)"],
        ["I", "interval"],
        ["S", "list(struct(a interval, b int32))"],
        ["V", "VARCHAR(16777216)"],
    ], types
    assert '"type":"interval"' in str(query(directory, "SHOW COLUMNS IN TABLE f")[1])
    assert query(
        directory,
        "SELECT data_type FROM t.information_schema.columns WHERE table_name = 'F' AND column_name = 'I'",
    )[1] == [["interval"]]
    # Rows without such a value are written, and are NULL there for DuckDB.
    sql(directory, "USE SCHEMA t.public; INSERT INTO f (k, v) VALUES (4, 'd'); DELETE FROM f WHERE k = 1;")
    maintain(directory)
    assert query(directory, "SELECT k, v FROM f ORDER BY k")[1] == [["2", "b"], ["3", ""], ["4", "d"]]
    duck = attach(directory)
    rows = duck.execute('SELECT "K", "I"::VARCHAR, "S"::VARCHAR FROM lake."T.PUBLIC"."F" ORDER BY "K"').fetchall()
    head = duck.execute("SELECT MAX(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()[0]
    duck.execute('DELETE FROM lake."T.PUBLIC"."F" WHERE "K" = 2')
    duck.close()
    assert rows == [(2, None, None), (3, "1 month", "[]"), (4, None, None)]
    assert query(directory, "SELECT k FROM f ORDER BY k")[1] == [["3"], ["4"]]
    assert query(directory, f"SELECT k FROM f AT (VERSION => {head}) ORDER BY k")[1] == [["2"], ["3"], ["4"]]
    refused(directory, f"SELECT i FROM f AT (VERSION => {head})", "I of table T.PUBLIC.F")
    sql(directory, "USE SCHEMA t.public; ALTER TABLE f DROP COLUMN i; ALTER TABLE f DROP COLUMN s; UPDATE f SET k = k + 1;")
    assert query(directory, "SELECT * FROM f ORDER BY k")[1] == [["4", ""], ["5", "d"]]
    duck = attach(directory)
    assert duck.execute('SELECT * FROM lake."T.PUBLIC"."F" ORDER BY 1').fetchall() == [(4, None), (5, "d")]
    duck.close()


@pytest.mark.parametrize("inlined", [True, False])
def test_scalars_with_a_counterpart_are_converted(tmp_path, inlined):
    directory = create(
        tmp_path,
        inlined,
        'CREATE TABLE "U" ("K" INTEGER, "U" UUID, "H" HUGEINT, "P" UHUGEINT, "Z" TIMETZ)',
        f"INSERT INTO \"U\" VALUES (1, '{UUIDS[0]}', 5, 7, '12:34:56.789+05:30'), (2, NULL, NULL, NULL, NULL),"
        f"(3, '{UUIDS[1]}', -12345678901234567890, 12345678901234567890, '00:00:00-15:59:59')",
        'CREATE TABLE "B" ("K" INTEGER, "H" HUGEINT)',
        'INSERT INTO "B" VALUES (1, 100000000000000000000000000000000000000), (2, 3)',
    )
    duck = attach(directory)
    text = 'SELECT "K"::VARCHAR, "U"::VARCHAR, "H"::VARCHAR, "P"::VARCHAR, "Z"::VARCHAR FROM lake."T.PUBLIC"."U" ORDER BY "K"'
    expected = [["" if cell is None else cell for cell in row] for row in duck.execute(text).fetchall()]
    duck.close()
    assert query(directory, "SELECT * FROM u ORDER BY k")[1] == expected
    assert [row[1] for row in query(directory, "DESCRIBE TABLE u")[1]] == [
        "NUMBER(10,0)",
        "VARCHAR(36)",
        "NUMBER(38,0)",
        "NUMBER(38,0)",
        "VARCHAR(16777216)",
    ]
    assert query(directory, f"SELECT k FROM u WHERE u = '{UUIDS[1]}'")[1] == [["3"]]
    assert query(directory, f"SELECT k FROM u WHERE u > '{UUIDS[0]}'")[1] == [["3"]]
    assert query(directory, "SELECT k FROM u WHERE h < 0")[1] == [["3"]]
    assert query(directory, "SELECT k FROM u WHERE u IS NULL")[1] == [["2"]]
    assert query(directory, "SELECT COUNT(u), MIN(u), SUM(h + 1) FROM u WHERE k < 3")[1] == [["1", UUIDS[0], "6"]]
    assert query(directory, "SELECT a.k FROM u a JOIN u b ON a.u = b.u ORDER BY 1")[1] == [["1"], ["3"]]
    # One value beyond stops its own column alone, until its row is gone.
    refused(directory, "SELECT h FROM b", "H of T.PUBLIC.B", "NUMBER(38,0)")
    assert query(directory, "SELECT k FROM b ORDER BY k")[1] == [["1"], ["2"]]
    sql(directory, "USE SCHEMA t.public; DELETE FROM b WHERE k = 1;")
    assert query(directory, "SELECT h FROM b")[1] == [["3"]]
    for statement in (
        f"INSERT INTO u (k, u) VALUES (4, '{UUIDS[0]}')",
        "INSERT INTO u (k, h) VALUES (4, 1)",
        "UPDATE u SET k = 7 WHERE k = 1",
        "ALTER TABLE u ALTER COLUMN u SET DATA TYPE VARCHAR",
    ):
        refused(directory, statement, "table T.PUBLIC.U", "DuckDB's type")
    sql(
        directory,
        "USE SCHEMA t.public; INSERT INTO u (k) VALUES (4); UPDATE u SET k = 5 WHERE k = 4; UPDATE u SET k = 6 WHERE k = 2;"
        "CREATE TABLE w LIKE u; INSERT INTO w SELECT * FROM u; CREATE TABLE x AS SELECT * FROM u; DELETE FROM u WHERE k = 1;",
    )
    maintain(directory)
    moved = {"1": expected[0], "3": expected[2]}
    rows = [moved.get(k, [k, "", "", "", ""]) for k in ("1", "3", "5", "6")]
    for table in ("w", "x"):
        assert query(directory, f"SELECT * FROM {table} ORDER BY k")[1] == rows, table
    assert query(directory, "SELECT * FROM u ORDER BY k")[1] == rows[1:]
    duck = attach(directory)
    found = [["" if cell is None else cell for cell in row] for row in duck.execute(text).fetchall()]
    assert duck.execute('SELECT typeof("U"), typeof("H") FROM lake."T.PUBLIC"."X" LIMIT 1').fetchall() == [
        ("VARCHAR", "DECIMAL(38,0)")
    ]
    duck.close()
    assert found == rows[1:]
    if not inlined:
        sql(directory, "USE SCHEMA t.public; CREATE TABLE c CLONE u;")
        assert query(directory, "SELECT * FROM c ORDER BY k")[1] == rows[1:]


NESTED = {
    "INTS": ("INTEGER[]", ["[1, 2, NULL]", "NULL", "[]"]),
    "WORDS": ("VARCHAR[]", [f"[{ODD}, 'null', 'NULL', NULL, 'a\\', '', ' ', '[x]', 'a=b', 'a, b', 'é']"]),
    "DEEP": ("INTEGER[][]", ["[[1], [2, 3], NULL, []]", "[]"]),
    "PLAIN": ("STRUCT(a INTEGER, b VARCHAR)", ["{'a': 1, 'b': 'x, y: z'}", "NULL", "{'a': NULL, 'b': ''}"]),
    "INNER": ("STRUCT(a STRUCT(b INTEGER))", ["{'a': {'b': 1}}", "{'a': NULL}"]),
    "ROWS": ("STRUCT(a VARCHAR)[]", [f"[{{'a': {ODD}}}, NULL, {{'a': NULL}}]"]),
    "KEYS": ("MAP(VARCHAR, INTEGER)", ["MAP{'k': 1, 'l': NULL, 'a=b, c': 3}", "NULL", "MAP{}"]),
    "PAIRS": ("MAP(VARCHAR, VARCHAR[])", [f"MAP{{{ODD}: [{ODD}, NULL], 'n': NULL}}"]),
    "PRICES": ("DECIMAL(20,3)[]", ["[1.5, NULL, -2]"]),
    "DAYS": ("DATE[]", ["['2020-01-01', NULL]"]),
    "TRUTHS": ("BOOLEAN[]", ["[true, NULL, false]"]),
    "IDS": ("UUID[]", [f"['{UUIDS[0]}']"]),
    "FLOATS": ("DOUBLE[]", ["[1.5, NULL, -0.25]"]),
}


@pytest.mark.parametrize("inlined", [True, False])
def test_lists_structs_and_maps_are_arrays_and_objects(tmp_path, inlined):
    statements = []
    for name, (kind, values) in NESTED.items():
        statements.append(f'CREATE TABLE "{name}" ("K" INTEGER, "C" {kind}, "Z" VARCHAR)')
        rows = ", ".join(f"({key}, {value}, 'z')" for key, value in enumerate(values))
        statements.append(f'INSERT INTO "{name}" VALUES {rows}')
    directory = create(tmp_path, inlined, *statements)
    duck = attach(directory)
    for name, (kind, values) in NESTED.items():
        cells = duck.execute(f'SELECT to_json("C") FROM lake."T.PUBLIC"."{name}" ORDER BY "K"').fetchall()
        expected = [None if cell is None else json.loads(cell) for (cell,) in cells]
        rows = query(directory, f"SELECT c FROM {name} ORDER BY k")[1]
        found = [json.loads(row[0]) if row else None for row in rows]
        assert found == expected, name
        told = query(directory, f"DESCRIBE TABLE {name}")[1][1][1]
        assert told == ("ARRAY" if kind.endswith("[]") else "OBJECT"), name
    duck.close()
    assert query(directory, "SELECT c[1]::INT, ARRAY_SIZE(c), k FROM ints WHERE c IS NOT NULL ORDER BY k")[1] == [
        ["2", "3", "0"],
        ["", "0", "2"],
    ]
    assert query(directory, "SELECT c:b::VARCHAR, z FROM plain WHERE c:a = 1")[1] == [["x, y: z", "z"]]
    assert query(directory, "SELECT TYPEOF(c[0]), c[0]::DATE FROM days")[1] == [["DATE", "2020-01-01"]]
    refused(directory, "INSERT INTO ints SELECT 5, [1], 'z'", "C of table T.PUBLIC.INTS", "list(int32)")
    refused(directory, "UPDATE plain SET k = 7", "C of table T.PUBLIC.PLAIN", "struct(a int32, b varchar)")
    sql(directory, "USE SCHEMA t.public; DELETE FROM ints WHERE k = 0; INSERT INTO ints (k) VALUES (9);")
    maintain(directory)
    assert query(directory, "SELECT k, c FROM ints ORDER BY k")[1] == [["1", ""], ["2", "[]"], ["9", ""]]
    duck = attach(directory)
    rows = duck.execute('SELECT "K", "C" FROM lake."T.PUBLIC"."INTS" ORDER BY "K"').fetchall()
    duck.close()
    assert rows == [(1, None), (2, []), (9, None)]


@pytest.mark.parametrize("inlined", [True, False])
def test_columns_younger_than_rows(tmp_path, inlined):
    directory = create(
        tmp_path,
        inlined,
        'CREATE TABLE "A" ("K" INTEGER)',
        'INSERT INTO "A" VALUES (1)',
        'ALTER TABLE "A" ADD COLUMN "L" INTEGER[]',
        'ALTER TABLE "A" ADD COLUMN "I" INTERVAL',
        f'ALTER TABLE "A" ADD COLUMN "U" UUID DEFAULT \'{UUIDS[0]}\'',
        'ALTER TABLE "A" ADD COLUMN "H" HUGEINT DEFAULT 5',
        "ALTER TABLE \"A\" ADD COLUMN \"Z\" TIMETZ DEFAULT '12:00:00+00'",
        'INSERT INTO "A" ("K", "L", "H") VALUES (2, [1], 6)',
    )
    assert query(directory, "SELECT k, l, u, h FROM a ORDER BY k")[1] == [
        ["1", "", UUIDS[0], "5"],
        ["2", "[1]", UUIDS[0], "6"],
    ]
    refused(directory, "SELECT z FROM a", "column Z", "timetz")
    refused(directory, "INSERT INTO a (k) VALUES (3)", "table T.PUBLIC.A", "DuckDB's type")


def test_structs_that_duckdb_itself_misreads_are_refused(tmp_path):
    directory = create(
        tmp_path,
        True,
        'CREATE TABLE "S" ("K" INTEGER, "C" STRUCT(a VARCHAR))',
        "INSERT INTO \"S\" VALUES (1, {'a': 'it''s'}), (2, {'a': 'b'})",
    )
    refused(directory, "SELECT c FROM s", "C of T.PUBLIC.S")
    assert query(directory, "SELECT k FROM s ORDER BY k")[1] == [["1"], ["2"]]
    sql(directory, "USE SCHEMA t.public; DELETE FROM s WHERE k = 1;")
    assert query(directory, "SELECT c:a::VARCHAR FROM s")[1] == [["b"]]


def test_fields_that_structs_got_and_lost(tmp_path):
    directory = create(
        tmp_path,
        False,
        'CREATE TABLE "S" ("K" INTEGER, "C" STRUCT(a INTEGER, b VARCHAR))',
        "INSERT INTO \"S\" VALUES (1, {'a': 1, 'b': 'x'})",
        'ALTER TABLE "S" ADD COLUMN "C".d INTEGER',
        'ALTER TABLE "S" RENAME COLUMN "C".b TO e',
        'ALTER TABLE "S" DROP COLUMN "C".a',
        "INSERT INTO \"S\" VALUES (2, {'e': 'y', 'd': 5})",
    )
    duck = attach(directory)
    cells = duck.execute('SELECT to_json("C") FROM lake."T.PUBLIC"."S" ORDER BY "K"').fetchall()
    duck.close()
    sql(
        directory,
        "USE SCHEMA t.public; CREATE TABLE w CLONE s; ALTER TABLE w RENAME COLUMN c TO d; ALTER TABLE w RENAME COLUMN d TO c;",
    )
    duck = attach(directory)
    assert duck.execute('SELECT to_json("C") FROM lake."T.PUBLIC"."W" ORDER BY "K"').fetchall() == cells
    duck.close()
    for table in ("s", "w"):
        rows = query(directory, f"SELECT c FROM {table} ORDER BY k")[1]
        assert [json.loads(cell) for (cell,) in rows] == [json.loads(cell) for (cell,) in cells]


def test_the_columns_of_duckdbs_views_are_told(tmp_path):
    directory = create(
        tmp_path,
        True,
        'CREATE TABLE "B" ("K" INTEGER, "V" VARCHAR)',
        'CREATE VIEW "W" ("A", "n") AS SELECT "K", "V" FROM "B"',
        'CREATE VIEW "X" AS SELECT "K" // 2 AS "H" FROM "B"',
    )
    assert [row[:2] for row in query(directory, "DESCRIBE VIEW w")[1]] == [
        ["A", "NUMBER(10,0)"],
        ["n", "VARCHAR(16777216)"],
    ]
    assert [row[2] for row in query(directory, "SHOW COLUMNS IN VIEW w")[1]] == ["A", "n"]
    listed = query(directory, "SHOW COLUMNS IN SCHEMA t.public")[1]
    assert sorted((row[0], row[2]) for row in listed) == [("B", "K"), ("B", "V"), ("W", "A"), ("W", "n")]
    assert query(
        directory,
        "SELECT column_name, data_type FROM t.information_schema.columns WHERE table_name = 'W' ORDER BY 1",
    )[1] == [["A", "NUMBER"], ["n", "TEXT"]]
    refused(directory, "DESCRIBE VIEW x", "X")
