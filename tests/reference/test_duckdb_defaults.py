"""Column defaults: each side inserts what the other one set, or says that it cannot."""

import pytest
from command_line import query, sql
from test_duckdb_attach import attach

SCHEMA = 'lake."T.PUBLIC"'

# Column, type, default here, and what DuckDB shows of the value.
OURS = [
    ("N", "NUMBER(10)", "42", "42"),
    ("NEG", "NUMBER(10,2)", "-1.5", "-1.50"),
    ("WIDE", "NUMBER(38)", "12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
    ("F", "FLOAT", "1e300", "1e+300"),
    ("T", "VARCHAR", "'it''s \\\\ ü'", "it's \\ ü"),
    ("E", "VARCHAR", "''", ""),
    ("W", "VARCHAR", "'NULL'", "NULL"),
    ("B", "BOOLEAN", "TRUE", "true"),
    ("B0", "BOOLEAN", "FALSE", "false"),
    ("D", "DATE", "'2024-02-29'", "2024-02-29"),
    ("D2", "DATE", "DATE '2024-03-01'", "2024-03-01"),
    ("TM", "TIME", "'01:02:03.5'", "01:02:03.5"),
    ("TS", "TIMESTAMP_NTZ", "'2024-02-29 12:00:00.123'::TIMESTAMP_NTZ", "2024-02-29 12:00:00.123"),
    ("TS9", "TIMESTAMP_NTZ(9)", "'2024-02-29 12:00:00.123456789'", "2024-02-29 12:00:00.123456789"),
    ("TZ", "TIMESTAMP_LTZ", "'2024-02-29 12:00:00 +0200'", "2024-02-29 10:00:00+00"),
    ("X", "BINARY", "TO_BINARY('00FF61')", None),
    ("C", "BINARY", "'00FF61'::BINARY", "\\x00\\xFFa"),
    ("Z", "NUMBER(5)", "NULL", None),
]


def inserted(connection, table, columns):
    """What a row of DuckDB's has where only its first column was given."""
    shown = ", ".join(f'"{column}"::VARCHAR' for column in columns)
    return connection.execute(f"SELECT {shown} FROM {SCHEMA}.{table} ORDER BY ALL").fetchall()


def test_values_that_are_set_here_are_inserted_by_duckdb(tmp_path):
    directory = tmp_path / "lake"
    taken = [row for row in OURS if row[2] != "TO_BINARY('00FF61')"]
    columns = ", ".join(f"{name} {kind} DEFAULT {default}" for name, kind, default, _ in taken)
    sql(directory, f"CREATE DATABASE t; CREATE TABLE t.public.made (k INT, {columns}); "
        "CREATE TABLE t.public.changed (k INT, a NUMBER(10), b VARCHAR DEFAULT 'first'); "
        "ALTER TABLE t.public.changed ALTER a SET DEFAULT 7, b DROP DEFAULT; "
        "INSERT INTO t.public.changed (k) VALUES (1); ALTER TABLE t.public.changed ADD COLUMN c VARCHAR DEFAULT 'x'; "
        "ALTER TABLE t.public.changed ADD COLUMN d BINARY DEFAULT '00FF61'::BINARY; "
        "ALTER TABLE t.public.changed ALTER c SET DEFAULT 'y';")
    connection = attach(directory)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"INSERT INTO {SCHEMA}.MADE (k) VALUES (1)")
    assert inserted(connection, "MADE", [name for name, *_ in taken]) == [tuple(value for *_, value in taken)]
    connection.execute(f"INSERT INTO {SCHEMA}.CHANGED (k) VALUES (2)")
    rows = [("1", "7", None, "x", "\\x00\\xFFa"), ("2", "7", None, "y", "\\x00\\xFFa")]
    assert inserted(connection, "CHANGED", ["K", "A", "B", "C", "D"]) == rows
    connection.close()
    sql(directory, "INSERT INTO t.public.made (k) VALUES (2); INSERT INTO t.public.changed (k) VALUES (3); "
        "ALTER TABLE t.public.changed ALTER c DROP DEFAULT; INSERT INTO t.public.changed (k) VALUES (4);")
    same = "SELECT COUNT(*) FROM (SELECT * EXCLUDE (k) FROM made GROUP BY ALL)"
    assert query(directory, same)[1] == [["1"]]
    asked = "SELECT k, a, b, c, TO_CHAR(d, 'HEX') FROM changed ORDER BY k"
    own = [["1", "7", "", "x", "00FF61"], ["2", "7", "", "y", "00FF61"], ["3", "7", "", "y", "00FF61"],
           ["4", "7", "", "", "00FF61"]]
    assert query(directory, asked)[1] == own


def test_what_frazil_alone_computes_is_an_error_of_duckdb_and_never_null(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; USE SCHEMA t.public; CREATE SEQUENCE s; "
        "CREATE TABLE e (k INT, u VARCHAR DEFAULT UUID_STRING()); "
        "CREATE TABLE i (k INT, n INT AUTOINCREMENT); CREATE TABLE q (k INT, n INT DEFAULT s.NEXTVAL); "
        "CREATE TABLE z (k INT, at TIMESTAMP_LTZ DEFAULT '2024-01-01 00:00:00'); "
        "CREATE TABLE p (k INT, u VARCHAR DEFAULT UPPER('a')); ALTER TABLE p RENAME COLUMN u TO renamed; "
        "CREATE TABLE n (k INT, at TIMESTAMP_NTZ DEFAULT CURRENT_TIMESTAMP, z TIMESTAMP_LTZ DEFAULT CURRENT_TIMESTAMP(), "
        "d DATE DEFAULT CURRENT_DATE);"
        "CREATE TABLE v (k INT, v VARIANT, l VECTOR(FLOAT, 2), z TIMESTAMP_TZ DEFAULT CURRENT_TIMESTAMP);")
    connection = attach(directory)
    for table, column in (("E", "U"), ("I", "N"), ("Q", "N"), ("Z", "AT"), ("P", "RENAMED")):
        with pytest.raises(Exception, match=f"default of column {column} is computed by Frazil alone"):
            connection.execute(f"INSERT INTO {SCHEMA}.{table} (k) VALUES (1)")
        # Where it is given, or not asked for, nothing is in the way.
        connection.execute(f"INSERT INTO {SCHEMA}.{table} VALUES (2, NULL)")
        assert connection.execute(f"UPDATE {SCHEMA}.{table} SET k = 3").fetchall() == [(1,)]
        assert connection.execute(f"SELECT k FROM {SCHEMA}.{table}").fetchall() == [(3,)]
    connection.execute(f"INSERT INTO {SCHEMA}.N (k) VALUES (1)")
    fresh = "SELECT abs(epoch(now()) - epoch(z)) < 60, d = current_date, \"AT\" IS NOT NULL"
    assert connection.execute(f"{fresh} FROM {SCHEMA}.N").fetchall() == [(True, True, True)]
    connection.close()
    sql(directory, "USE SCHEMA t.public; INSERT INTO e (k) VALUES (4); INSERT INTO i (k) VALUES (4); INSERT INTO q (k) VALUES (4); "
        "INSERT INTO p (k) VALUES (4); INSERT INTO n (k) VALUES (4); INSERT INTO v (k) VALUES (4);")
    assert query(directory, "SELECT COUNT(u), (SELECT SUM(n) FROM i), (SELECT SUM(n) FROM q), (SELECT MAX(renamed) FROM p) FROM e")[1] == [
        ["1", "1", "1", "A"]
    ]


THEIRS = [
    ("N", "INTEGER", "42", "42"),
    ("DEC", "DECIMAL(10,2)", "1.5", "1.50"),
    ("T", "VARCHAR", "'it''s \\ ü'", "it's \\ ü"),
    ("E", "VARCHAR", "''", ""),
    ("B", "BOOLEAN", "true", "true"),
    ("B0", "BOOLEAN", "false", "false"),
    ("D", "DATE", "'2024-02-29'", "2024-02-29"),
    ("D2", "DATE", "DATE '2024-03-01'", "2024-03-01"),
    ("TM", "TIME", "TIME '01:02:03'", "01:02:03"),
    ("TS", "TIMESTAMP", "'2024-02-29 12:00:00'", "2024-02-29 12:00:00.000"),
    ("TS2", "TIMESTAMP", "TIMESTAMP '2024-02-29 12:00:00'", "2024-02-29 12:00:00.000"),
    ("F", "DOUBLE", "1.5", "1.5"),
    ("INF", "DOUBLE", "'inf'", "inf"),
    ("X", "BLOB", "'\\x00\\xFFa'", "00FF61"),
]


def test_values_that_duckdb_sets_are_inserted_here(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.ours (k INT, a INT DEFAULT 1, b VARCHAR DEFAULT UUID_STRING(), "
        "c INT AUTOINCREMENT, d INT DEFAULT 3);")
    connection = attach(directory)
    columns = ", ".join(f'"{name}" {kind} DEFAULT {default}' for name, kind, default, _ in THEIRS)
    connection.execute(f'CREATE TABLE {SCHEMA}.THEIRS ("K" INTEGER, {columns}, "NOW" TIMESTAMPTZ DEFAULT now(), '
                       '"TODAY" DATE DEFAULT current_date)')
    connection.execute(f'CREATE TABLE {SCHEMA}.ODD ("K" INTEGER, "R" DOUBLE DEFAULT random(), "S" VARCHAR DEFAULT \'a\' || \'b\')')
    for change in ("a SET DEFAULT 11", "b SET DEFAULT 'set'", "c DROP DEFAULT", "d DROP DEFAULT"):
        connection.execute(f"ALTER TABLE {SCHEMA}.OURS ALTER {change}")
    connection.close()
    sql(directory, "INSERT INTO t.public.theirs (k) VALUES (1); INSERT INTO t.public.ours (k) VALUES (1);")
    shown = ", ".join(f"{name}::VARCHAR AS {name}" for name, *_ in THEIRS)
    rows = query(directory, f"SELECT {shown} FROM theirs WHERE today = CURRENT_DATE AND now IS NOT NULL")[1]
    assert rows == [[value for *_, value in THEIRS]]
    assert query(directory, "SELECT a, b, c, d FROM ours")[1] == [["11", "set", "", ""]]
    # What is not understood is an error where a row needs it alone.
    for given in ("k", "k, r", "k, s"):
        values = {"k": "1", "k, r": "1, 2", "k, s": "1, 'x'"}[given]
        message = sql(directory, f"INSERT INTO t.public.odd ({given}) VALUES ({values});", fails=True)
        assert "another client set" in message.replace("\n", " ")
    sql(directory, "INSERT INTO t.public.odd VALUES (1, 2, 'x'); UPDATE t.public.odd SET k = 2;")
    assert query(directory, "SELECT k, r, s FROM odd")[1] == [["2", "2", "x"]]
    # Set here again, it is ours again; a clone and a table made like it have it too.
    sql(directory, "USE SCHEMA t.public; ALTER TABLE ours ALTER a SET DEFAULT 12, b COMMENT 'noted'; INSERT INTO ours (k) VALUES (2); "
        "CREATE TABLE copied LIKE ours; INSERT INTO copied (k) VALUES (3); CREATE TABLE cloned CLONE ours; "
        "INSERT INTO cloned (k) VALUES (4);")
    assert query(directory, "SELECT a, b FROM ours WHERE k = 2")[1] == [["12", "set"]]
    connection = attach(directory)
    for table in ("OURS", "COPIED", "CLONED"):
        connection.execute(f"INSERT INTO {SCHEMA}.{table} (k) VALUES (9)")
        assert connection.execute(f"SELECT a, b, c, d FROM {SCHEMA}.{table} WHERE k = 9").fetchall() == [(12, "set", None, None)]
    connection.close()
    for table in ("copied", "cloned"):
        assert query(directory, f"SELECT DISTINCT a, b FROM {table} WHERE k > 1")[1] == [["12", "set"]]
