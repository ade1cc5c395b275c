"""Files that DuckDB adds as they are: no field ids, and a map of their names."""

import datetime

import duckdb
import pytest
from command_line import maintain, query, sql
from test_duckdb_attach import attach

TABLE = 'lake."T.PUBLIC"."M"'


def head(connection):
    return connection.execute("SELECT MAX(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()[0]


def add(connection, path, **options):
    more = "".join(f", {name} => {value}" for name, value in options.items())
    connection.execute(f"CALL ducklake_add_data_files('lake', 'M', '{path}', schema => 'T.PUBLIC'{more})")


def theirs(connection, suffix=""):
    cursor = connection.execute(f"SELECT * FROM {TABLE} {suffix} ORDER BY ALL NULLS LAST")
    names = [column[0] for column in cursor.description]
    return names, [[None if value is None else str(value) for value in row] for row in cursor.fetchall()]


def ours(directory, suffix=""):
    names, rows = query(directory, f"SELECT * FROM m {suffix} ORDER BY ALL")
    return names, [[None if value == "" else value for value in row] for row in rows]


def same(directory, suffix=""):
    connection = attach(directory)
    expected = theirs(connection, suffix)
    ids = connection.execute(f"SELECT count(*), count(DISTINCT rowid) FROM {TABLE} {suffix}").fetchone()
    connection.close()
    assert ours(directory, suffix) == expected
    assert ids[0] == ids[1] == len(expected[1])
    return expected[1]


def made(tmp_path):
    """A table of 400 rows in two files, of which one has a column more and one less."""
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.m (a NUMBER(18), b VARCHAR, d DATE, n NUMBER(9,2)) "
        "CHANGE_TRACKING = TRUE; INSERT INTO t.public.m VALUES (-1, 'ours', '2019-01-01', 0.5);")
    connection = attach(directory)
    one, two = tmp_path / "One.parquet", tmp_path / "two.parquet"
    source = "range({0}, {0} + 200) r(i)"
    connection.execute(
        "COPY (SELECT 'n' || i AS \"B\", DATE '2020-01-01' + i::INTEGER AS d, i::BIGINT AS a, (i / 4)::DECIMAL(9,2) AS \"N\" "
        f"FROM {source.format(0)}) TO '{one}'"
    )
    connection.execute(f"COPY (SELECT i AS a, 'more' AS other FROM {source.format(200)}) TO '{two}'")
    add(connection, one)
    add(connection, two, allow_missing="true", ignore_extra_columns="true")
    connection.close()
    return directory


def test_columns_are_found_by_the_map_after_every_change(tmp_path):
    directory = made(tmp_path)
    assert len(same(directory)) == 401
    states = []
    for change in [
        "RENAME COLUMN b TO bb",
        "ADD COLUMN other VARCHAR DEFAULT 'added'",
        "DROP COLUMN n",
        "ADD COLUMN b NUMBER(9) DEFAULT 3",
        "RENAME COLUMN d TO n",
        "RENAME COLUMN bb TO d",
    ]:
        sql(directory, f"ALTER TABLE t.public.m {change};")
        connection = attach(directory)
        states.append(head(connection))
        connection.close()
        assert len(same(directory)) == 401, change
    for snapshot in states:
        same(directory, f"AT (VERSION => {snapshot})")
    for condition, count in (("d = 'n7'", 1), ("other = 'added'", 401), ("other = 'more'", 0), ("b = 3", 401),
                             ("n < '2020-01-03'", 3), ("d IS NULL", 200), ("a BETWEEN 195 AND 204", 10)):
        assert query(directory, f"SELECT COUNT(*) FROM m WHERE {condition}")[1] == [[str(count)]], condition


def test_rows_are_changed_cloned_and_moved(tmp_path):
    directory = made(tmp_path)
    connection = attach(directory)
    before = head(connection)
    whole = theirs(connection)
    connection.close()
    sql(directory, "USE SCHEMA t.public; DELETE FROM m WHERE a % 10 = 3; UPDATE m SET b = 'changed' WHERE a IN (5, 205); "
        "CREATE TABLE c CLONE m; MERGE INTO m USING (SELECT 7 AS k UNION ALL SELECT 1000) ON a = k "
        "WHEN MATCHED THEN UPDATE SET n = 1 WHEN NOT MATCHED THEN INSERT (a) VALUES (k);")
    assert len(same(directory)) == 401 - 40 + 1
    connection = attach(directory)
    connection.execute(f"DELETE FROM {TABLE} WHERE a = 6")
    connection.execute(f"UPDATE {TABLE} SET b = 'duck' WHERE a = 8 OR a = 208")
    # The clone's files have a map of their own.
    clone = 'lake."T.PUBLIC"."C"'
    found = connection.execute(f"SELECT count(*), count(DISTINCT rowid), sum(a), count(b), max(n) FROM {clone}").fetchone()
    connection.execute(f"DELETE FROM {clone} WHERE a < 100")
    connection.close()
    assert found[0] == found[1] == 361
    assert query(directory, "SELECT COUNT(*), COUNT(b), MIN(a) FROM c")[1] == [["270", "91", "100"]]
    same(directory)
    sql(directory, "ALTER TABLE t.public.m DROP COLUMN d; ALTER TABLE t.public.m RENAME COLUMN n TO m;")
    rows = same(directory)
    files = [path.read_bytes() for path in tmp_path.glob("*.parquet")]
    for _ in range(2):
        maintain(directory)
        assert same(directory) == rows
        assert ours(directory, f"AT (VERSION => {before})") == whole
    connection = attach(directory)
    left = connection.execute("SELECT count(*) FROM __ducklake_metadata_lake.ducklake_data_file "
                              "WHERE mapping_id IS NOT NULL AND end_snapshot IS NULL").fetchone()
    connection.close()
    # Those of the table were merged, those of the clone may have been; nothing that was there before is removed.
    assert left[0] <= 2
    assert [path.read_bytes() for path in tmp_path.glob("*.parquet")] == files and len(files) == 2
    feed = query(directory, f"SELECT COUNT(*) FROM m CHANGES (INFORMATION => DEFAULT) AT (VERSION => {before})")[1]
    assert int(feed[0][0]) > 0


def test_types_of_files_are_those_of_the_table(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.other (a INT);")
    connection = attach(directory)
    connection.execute(f'CREATE TABLE {TABLE} ("A" BIGINT, "F" DOUBLE, "U" INTEGER, "T" TIMESTAMP, "Z" TIMESTAMPTZ, "S" VARCHAR, '
                       '"X" BLOB, "MISSING" INTEGER DEFAULT 42)')
    path = tmp_path / "types.parquet"
    connection.execute(
        "COPY (SELECT i::INTEGER AS a, CASE WHEN i % 5 = 0 THEN 'nan'::REAL ELSE i::REAL END AS f, (i % 7)::UTINYINT AS u, "
        "(TIMESTAMP '2020-01-01' + i * INTERVAL 1 HOUR)::TIMESTAMP_MS AS t, TIMESTAMPTZ '2020-01-01 00:00:00+00' + i * INTERVAL 1 DAY AS z, "
        "'s' || i AS s, ('x' || i)::BLOB AS x "
        f"FROM range(1000) r(i)) TO '{path}'"
    )
    add(connection, path, allow_missing="true")
    asked = ["a > 990", "f > 5000", "f = 'NaN'::{float}", "u = 6", "t >= '2020-02-01'", "s = 's77'", "missing = 42", "x IS NOT NULL"]
    expected = {condition: connection.execute(f"SELECT count(*) FROM {TABLE} WHERE {condition.format(float='DOUBLE')}").fetchone()[0]
                for condition in asked}
    connection.close()
    for condition, count in expected.items():
        found = query(directory, f"SELECT COUNT(*) FROM m WHERE {condition.format(float='FLOAT')}")[1]
        assert found == [[str(count)]], condition
    sql(directory, "UPDATE t.public.m SET s = 'nan' WHERE f > 5000; DELETE FROM t.public.m WHERE u = 6 AND a = 6;")
    assert query(directory, "SELECT COUNT(*), COUNT_IF(s = 'nan') FROM m")[1] == [["999", "200"]]


def test_files_that_bring_ids_or_another_writers_schema_are_read_by_the_map(tmp_path):
    """Field ids of another table, and the Arrow schema that some writers add, do not count."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.m (a NUMBER(18), b VARCHAR);")
    ids = [pyarrow.field(name, kind, metadata={"PARQUET:field_id": str(at)})
           for name, kind, at in (("b", pyarrow.large_string(), 1), ("a", pyarrow.int64(), 2))]
    values = [[f"v{i}" for i in range(100)], list(range(100))]
    parquet.write_table(pyarrow.table(values, schema=pyarrow.schema(ids)), tmp_path / "ids.parquet")
    dictionary = pyarrow.array([f"d{i % 3}" for i in range(100)]).dictionary_encode()
    parquet.write_table(pyarrow.table({"A": values[1], "B": dictionary}), tmp_path / "dictionary.parquet")
    connection = attach(directory)
    for path in ("ids", "dictionary"):
        add(connection, tmp_path / f"{path}.parquet")
    connection.close()
    assert len(same(directory)) == 200
    assert query(directory, "SELECT COUNT(*), SUM(a) FROM m WHERE b = 'v7' OR b = 'd1'")[1] == [["34", str(7 + sum(range(1, 100, 3)))]]
    sql(directory, "DELETE FROM t.public.m WHERE b = 'd2';")
    same(directory)


@pytest.mark.parametrize("options", [{}, {"write_statistics": False}, {"write_statistics": ["a"]}, {"row_group_size": 100, "write_page_index": True}])
def test_what_statistics_do_not_tell_hides_no_row(tmp_path, options):
    """Neither NaN nor NULLs nor zeros of either sign are told of by every writer."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.m (a NUMBER(18), f FLOAT, s VARCHAR, z FLOAT);")
    count = 1000
    columns = {
        "a": pyarrow.array([i if i % 3 else None for i in range(count)], pyarrow.int64()),
        "f": pyarrow.array([float("nan") if i % 100 == 0 else float(i) for i in range(count)]),
        "s": pyarrow.array([None if i % 2 else "x" * 300 + str(i) for i in range(count)]),
        "z": pyarrow.array([-0.0 if i % 2 else float(i) for i in range(count)]),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "m.parquet", **options)
    connection = attach(directory)
    add(connection, tmp_path / "m.parquet")
    asked = {
        "f > 5000": 10, "f = 'NaN'::FLOAT": 10, "f >= 999": 11, "NOT f < 100000": 10, "f IN (5, 'NaN'::FLOAT)": 11, "f IS NULL": 0,
        "a IS NULL": 334, "a IS NOT NULL": 666, "s IS NULL": 500, "s > 'x'": 500, "s >= 'y'": 0, "s LIKE 'xxx%'": 500,
        "z = 0": 501, "z <= '-0.0'::FLOAT": 501, "z < 0": 0, "z >= 0": 1000, "z > '-0.0'::FLOAT": 499, "f > 5000 OR a = 4": 11,
    }
    for condition, found in asked.items():
        assert query(directory, f"SELECT COUNT(*) AS c FROM m WHERE {condition}")[1] == [[str(found)]], condition
    assert query(directory, "SELECT COUNT(*), COUNT(a), COUNT(s), COUNT(f), MAX(f), MIN(a), MAX(a) FROM m")[1] == [
        ["1000", "666", "500", "1000", "NaN", "1", "998"]
    ]
    # Rows of ours must not be taken for all that there are: DuckDB plans with bounds of the whole table.
    connection.close()
    sql(directory, "INSERT INTO t.public.m VALUES (5000, 1, 'q', 1);")
    connection = attach(directory)
    for condition, found in {"a = 4": 1, "a < 100": 66, "f = 7": 1, "s > 'r'": 500, "s IS NULL": 500, "a = 5000": 1}.items():
        assert connection.execute(f"SELECT count(*) FROM {TABLE} WHERE {condition}").fetchone() == (found,), condition
        assert query(directory, f"SELECT COUNT(*) AS c FROM m WHERE {condition}")[1] == [[str(found)]], condition
    connection.close()


def test_times_of_the_oldest_form_reach_as_far_as_others(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.m (k NUMBER(18), at TIMESTAMP_NTZ);")
    times = [datetime.datetime(2020, 1, 1, 1, 2, 3, 456), datetime.datetime(9999, 12, 31), datetime.datetime(1600, 1, 1), None]
    file = pyarrow.table({"k": pyarrow.array(range(4), pyarrow.int64()), "at": pyarrow.array(times, pyarrow.timestamp("us"))})
    parquet.write_table(file, tmp_path / "m.parquet", use_deprecated_int96_timestamps=True)
    connection = attach(directory)
    add(connection, tmp_path / "m.parquet")
    connection.close()
    same = "SELECT k, TO_CHAR(at, 'YYYY-MM-DD HH24:MI:SS.FF6') FROM m ORDER BY k"
    shown = [f"{time:%Y-%m-%d %H:%M:%S.%f}" if time else "" for time in times]
    assert query(directory, same)[1] == [[str(k), text] for k, text in enumerate(shown)]
    for condition, count in (("at > '9000-01-01'", 1), ("at < '1700-01-01'", 1), ("at < '2021-01-01'", 2), ("at IS NULL", 1)):
        assert query(directory, f"SELECT COUNT(*) AS c FROM m WHERE {condition}")[1] == [[str(count)]], condition
    sql(directory, "DELETE FROM t.public.m WHERE k = 0; UPDATE t.public.m SET k = 10 WHERE at > '9000-01-01';")
    assert query(directory, same)[1] == [["2", shown[2]], ["3", ""], ["10", shown[1]]]


RESERVED = ["_ducklake_internal_row_id", "_ducklake_internal_snapshot_id", "row_id", "begin_snapshot", "rowid"]


@pytest.mark.parametrize("name", RESERVED)
def test_columns_with_names_of_ducklakes_own(tmp_path, name):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.other (a INT);")
    connection = attach(directory)
    connection.execute("CALL lake.set_option('data_inlining_row_limit', 0)")
    connection.execute(f'CREATE TABLE {TABLE} ("A" BIGINT, "{name}" VARCHAR)')
    for first in (0, 100):
        connection.execute(f"INSERT INTO {TABLE} SELECT i, 'v' || i FROM range({first}, {first} + 100) r(i)")
    connection.close()
    seen = f'SELECT COUNT(*), SUM(a), MIN("{name}"), MAX("{name}") FROM m'
    assert query(directory, seen)[1] == [["200", str(sum(range(200))), "v0", "v99"]]
    sql(directory, f"INSERT INTO t.public.m VALUES (1000, 'ours'); DELETE FROM t.public.m WHERE a = 5 OR \"{name}\" = 'v6';")
    update = f"UPDATE t.public.m SET a = -a WHERE \"{name}\" = 'v7';"
    if name.startswith("_ducklake"):
        assert "DuckLake's own in files" in sql(directory, update, fails=True)
        sql(directory, f'ALTER TABLE t.public.m RENAME COLUMN "{name}" TO free;')
        update, name = update.replace(name, "FREE"), "FREE"
    sql(directory, update)
    maintain(directory)
    total = sum(range(200)) - 5 - 6 - 14 + 1000
    assert query(directory, f'SELECT COUNT(*), SUM(a), MIN("{name}"), MAX("{name}") FROM m')[1] == [["199", str(total), "ours", "v99"]]
    connection = attach(directory)
    try:
        assert connection.execute(f'SELECT count(*), sum("A") FROM {TABLE}').fetchone() == (199, total)
    except duckdb.Error:
        assert name == "rowid"
    connection.close()
