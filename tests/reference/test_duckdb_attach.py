"""DuckDB attaches to the catalog, agrees on every snapshot, and writes what we read."""

import pathlib

import duckdb
import pytest
from command_line import query, sql

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


def attach(directory):
    connection = duckdb.connect()
    for name in ("ducklake", "sqlite_scanner"):
        found = list(pathlib.Path(duckdb.__file__).parent.parent.glob(f"duckdb_extension*{name}*/**/*.duckdb_extension"))
        if found:
            connection.execute(f"LOAD '{found[0]}'")
        else:
            connection.execute(f"LOAD {name}")
    connection.execute(
        f"ATTACH 'ducklake:sqlite:{directory}/catalog.sqlite' AS lake (DATA_PATH '{directory}/data/')"
    )
    return connection


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


@pytest.mark.parametrize("text", ["SELECT * FROM t.public.none", "SELECT 1 +", "SELECT 1/0"])
def test_the_command_line_fails_with_a_message(tmp_path, text):
    directory = tmp_path / "lake"
    message = sql(directory, f"CREATE DATABASE t; {text};", fails=True)
    assert message.startswith("error: ")
