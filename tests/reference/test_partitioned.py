"""Tables that DuckDB partitions: both read, write, update, merge and flush them, and both prune."""

import itertools

import duckdb
import pytest
from command_line import maintain, query, results, sql
from test_duckdb_attach import attach

TABLE = 'lake."T.PUBLIC"."PART"'
META = "__ducklake_metadata_lake"


class Lake:
    """A data directory that DuckDB and we write in turn."""

    def __init__(self, path):
        self.directory = path / "lake"

    def ours(self, text):
        sql(self.directory, f"USE SCHEMA t.public; {text}")

    def theirs(self, *statements, zone="UTC"):
        connection = attach(self.directory)
        connection.execute(f"SET TimeZone = '{zone}'")
        rows = None
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    def rows(self, columns, order="k"):
        """The rows as both see them."""
        (ours,) = results(self.directory, [f"SELECT {columns} FROM t.public.part ORDER BY {order}"])
        theirs = self.theirs(f"SELECT {columns} FROM {TABLE} ORDER BY {order}")
        assert [list(row.values()) for row in ours] == [[text(value) for value in row] for row in theirs]
        return theirs

    def parts(self, name="PART"):
        """Partition values of the live files with those of the current keys, and the files' rows."""
        return self.theirs(
            f"SELECT list(v.partition_value ORDER BY v.partition_key_index), any_value(f.record_count), "
            f"any_value(f.path), any_value(f.partition_id = i.partition_id) FROM {META}.ducklake_data_file f "
            f"JOIN {META}.ducklake_table t ON t.table_id = f.table_id AND t.end_snapshot IS NULL "
            f"LEFT JOIN {META}.ducklake_partition_info i ON i.table_id = t.table_id AND i.end_snapshot IS NULL "
            f"LEFT JOIN {META}.ducklake_file_partition_value v ON v.data_file_id = f.data_file_id "
            f"WHERE t.table_name = '{name}' AND f.end_snapshot IS NULL GROUP BY f.data_file_id ORDER BY 1, f.data_file_id"
        )

    def files_read_by_duckdb(self, where):
        plan = self.theirs(f"EXPLAIN ANALYZE SELECT * FROM {TABLE} WHERE {where}")[0][1]
        return int(plan.split("Total Files Read:")[1].split()[0]) if "Total Files Read:" in plan else 0


def text(value):
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture
def lake(tmp_path):
    made = Lake(tmp_path)
    sql(made.directory, "CREATE DATABASE t;")
    return made


STRINGS = ["", "a/b=c%d e", "it's", "é☃𝄞", "NULL", "__HIVE_DEFAULT_PARTITION__", " pad ", "a\nb", ".", "..", "x" * 200, None]


def quoted(value):
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def listed(rows):
    return ", ".join(f"({k}, {quoted(value)})" for k, value in rows)


def test_strings_of_all_kinds(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18), v VARCHAR);")
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (v)")
    # Files of DuckDB's, in folders that are named by the values.
    strings = [value for value in STRINGS if value != ".."]
    rows = list(zip(itertools.count(), strings, strict=False))
    lake.theirs(f"INSERT INTO {TABLE} SELECT k, v FROM (VALUES {listed(rows)}) r(k, v), range(100)")
    assert len(lake.rows("k, v")) == 100 * len(rows)
    # Ours.
    own = listed([(100 + k, value) for k, value in enumerate(STRINGS)]).replace("\n", "\\n")
    lake.ours(f"INSERT INTO part SELECT a, b FROM (VALUES {own}) AS r (a, b), TABLE(GENERATOR(ROWCOUNT => 300));")
    assert len(lake.rows("k, v")) == 100 * len(rows) + 300 * len(STRINGS)
    parts = lake.parts()
    assert sorted(str(values[0]) for values, *_ in parts) == sorted(map(str, [*strings, *STRINGS]))
    assert all(current for *_, current in parts)
    for value in STRINGS[:4]:
        expected = 100 * (value in strings) + 300
        assert lake.theirs(f"SELECT count(*) FROM {TABLE} WHERE v = {quoted(value)}") == [(expected,)]
        assert lake.files_read_by_duckdb(f"v = {quoted(value)}") == 2
        _, found = query(lake.directory, f"SELECT COUNT(*) FROM part WHERE v = {quoted(value)}")
        assert found == [[str(expected)]]
    # Merges stay within a partition: both sides' files of each become one.
    maintain(lake.directory)
    parts = lake.parts()
    assert sorted(str(values[0]) for values, *_ in parts) == sorted(map(str, STRINGS))
    assert all(current for *_, current in parts)
    lake.rows("k, v")
    lake.ours("UPDATE part SET v = 'moved' WHERE k >= 105; DELETE FROM part WHERE v = 'it''s' AND k = 102;")
    lake.rows("k, v")
    assert ["moved"] in [values for values, *_ in lake.parts()]


KINDS = {
    # Type, key, values.
    "ints": ("NUMBER(18)", "v", ["-1", "0", "34", "-999999999999999999", "NULL"]),
    "decimals": ("NUMBER(12,2)", "v", ["14.20", "-0.01", "0", "NULL"]),
    "wide": ("NUMBER(38,0)", "v", ["-99999999999999999999999999999999999999", "7", "NULL"]),
    "floats": ("FLOAT", "v", ["1.5", "0.1", "1e16", "1e15", "1.5e-7", "123456789012345678", "0.0001", "NULL"]),
    "booleans": ("BOOLEAN", "v", ["TRUE", "FALSE", "NULL"]),
    "dates": ("DATE", "v", ["'1969-12-31'", "'0001-01-01'", "'9999-12-31'", "'2024-02-29'", "NULL"]),
    "times": ("TIME", "v", ["'01:02:03'", "'23:59:59.9999'", "NULL"]),
    "stamps": ("TIMESTAMP_NTZ", "v", ["'1969-12-31 23:59:59.999999'", "'0001-01-01'", "'2024-02-29 05:06:07.5'", "NULL"]),
    "nanos": ("TIMESTAMP_NTZ(9)", "v", ["'1969-12-31 23:59:59.999999999'", "'2024-02-29 00:00:00.5'", "NULL"]),
    "zoned": ("TIMESTAMP_LTZ", "v", ["'1969-12-31 23:59:59.999999 +0000'", "'2024-02-29 01:00:00 +0200'", "NULL"]),
}
DATES = ["'1969-12-31'", "'0001-01-01'", "'9999-12-31'", "'2024-02-29'", "'1600-03-01'", "NULL"]
MOMENTS = [
    "'1969-12-31 23:59:59.999999'", "'0001-01-01 00:00:00'", "'9999-12-31 23:59:59'", "'2024-02-29 05:06:07'",
    "'1850-06-01 01:02:03'", "NULL",
]
for part in ("year", "month", "day", "hour"):
    KINDS[f"{part} of dates"] = ("DATE", f"{part}(v)", DATES)
    KINDS[f"{part} of stamps"] = ("TIMESTAMP_NTZ", f"{part}(v)", MOMENTS)
    KINDS[f"{part} of nanos"] = (
        "TIMESTAMP_NTZ(9)", f"{part}(v)", ["'1969-12-31 23:59:59.999999999'", "'2023-12-31 23:59:59.9999997'", "NULL"],
    )
    zoned = [moment if moment == "NULL" else f"{moment[:-1]} +0000'" for moment in MOMENTS[3:]]
    KINDS[f"{part} of zoned"] = ("TIMESTAMP_LTZ", f"{part}(v)", zoned)
KINDS["hour of times"] = ("TIME", "hour(v)", KINDS["times"][2])
for name in ("ints", "decimals", "wide", "floats", "booleans", "dates", "times", "stamps", "nanos", "zoned"):
    kind, _, values = KINDS[name]
    KINDS[f"buckets of {name}"] = (kind, "bucket(16, v)", values)
KINDS["buckets of strings"] = ("VARCHAR", "bucket(1000, v)", [quoted(value) for value in STRINGS])
KINDS["buckets of bytes"] = ("BINARY", "bucket(1000, v)", ["''::BINARY", "'00ff'::BINARY", "'616263'::BINARY", "NULL"])
KINDS["buckets of nanosecond times"] = ("TIME(9)", "bucket(1000, v)", ["'01:02:03.000000004'", "NULL"])
KINDS["times of nanoseconds"] = ("TIME(9)", "v", ["'01:02:03.000000004'", "NULL"])


def test_partition_values_are_those_of_duckdb(lake):
    """The same values written by us and by DuckDB lie in partitions of the same name."""
    statements, keys = [], []
    for index, (kind, transform, values) in enumerate(KINDS.values()):
        statements.append(f"CREATE TABLE s{index} (k NUMBER(18), v {kind})")
        statements.append(f"CREATE TABLE d{index} (k NUMBER(18), v {kind})")
        for at, value in enumerate(values):
            escaped = value.replace("\n", "\\n")
            # More than are kept in the catalog.
            statements.append(
                f"INSERT INTO s{index} SELECT {at}, {escaped}::{kind} FROM TABLE(GENERATOR(ROWCOUNT => 300))"
            )
        keys.append(f'ALTER TABLE lake."T.PUBLIC"."D{index}" SET PARTITIONED BY ({transform})')
    lake.ours(";\n".join(statements) + ";")
    lake.theirs(*keys)
    copies = [
        f'INSERT INTO lake."T.PUBLIC"."D{index}" SELECT * FROM lake."T.PUBLIC"."S{index}"' for index in range(len(KINDS))
    ]
    lake.theirs(*copies)
    theirs = [lake.parts(f"D{index}") for index in range(len(KINDS))]
    ours = "; ".join(
        f"DELETE FROM d{index}; INSERT INTO d{index} SELECT * FROM s{index} ORDER BY RANDOM()" for index in range(len(KINDS))
    )
    lake.ours(f"{ours};")
    for index, name in enumerate(KINDS):
        found = lake.parts(f"D{index}")
        expected = [(values, rows, current) for values, rows, _, current in theirs[index]]
        assert [(values, rows, current) for values, rows, _, current in found] == expected, name
        compared = f'FROM (FROM lake."T.PUBLIC"."D{index}" EXCEPT ALL FROM lake."T.PUBLIC"."S{index}")'
        assert lake.theirs(f"SELECT count(*) {compared}") == [(0,)], name
    # Every value is found in its file, by both.
    queries, expected, asked = [], [], []
    for index, (kind, _, values) in enumerate(KINDS.values()):
        for at, value in enumerate(values):
            if value == "NULL":
                continue
            escaped = value.replace("\n", "\\n")
            where = f"v = {escaped}::{kind}" if kind != "BINARY" else f"v = {escaped}"
            queries.append(f"SELECT COUNT(*) AS \"n\", MAX(k) AS \"k\" FROM t.public.d{index} WHERE {where}")
            expected.append({"n": "300", "k": str(at)})
            asked.append(
                f'SELECT count(*) FROM lake."T.PUBLIC"."D{index}" WHERE v = '
                f'(SELECT any_value(v) FROM lake."T.PUBLIC"."S{index}" WHERE k = {at})'
            )
    assert [rows[0] for rows in results(lake.directory, queries)] == expected
    connection = attach(lake.directory)
    for statement in asked:
        assert connection.execute(statement).fetchall() == [(300,)], statement
    connection.close()


def test_zones_of_the_writer_change_no_row(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18), v TIMESTAMP_LTZ);")
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (year(v), hour(v))")
    moments = "(VALUES (1, '2023-12-31 23:30:00+00'), (2, '2024-01-01 04:00:00+00'), (3, NULL)) r(k, v), range(100)"
    lake.theirs(f"INSERT INTO {TABLE} SELECT k, v::TIMESTAMPTZ FROM {moments}", zone="America/New_York")
    lake.ours(
        "INSERT INTO part SELECT a, b::TIMESTAMP_LTZ FROM (VALUES (4, '2023-12-31 23:30:00 +0000'), "
        "(5, '2024-01-01 04:00:00 +0000'), (6, NULL)) AS r (a, b), TABLE(GENERATOR(ROWCOUNT => 200));"
    )
    for where, count in [
        ("v = '2024-01-01 04:00:00 +0000'::TIMESTAMP_LTZ", 300),
        ("v >= '2024-01-01 00:00:00 +0000'::TIMESTAMP_LTZ", 300),
        ("v < '2024-01-01 00:00:00 +0000'::TIMESTAMP_LTZ", 300),
        ("v IS NULL", 300),
    ]:
        _, found = query(lake.directory, f"SELECT COUNT(*) FROM part WHERE {where}")
        assert found == [[str(count)]], where
    for zone in ("UTC", "Asia/Tokyo"):
        for where, count in [
            ("v = '2024-01-01 04:00:00+00'::TIMESTAMPTZ", 300),
            ("v < '2024-01-01 00:00:00+00'::TIMESTAMPTZ", 300),
            ("year(v AT TIME ZONE 'UTC') = 2023", 300),
        ]:
            assert lake.theirs(f"SELECT count(*) FROM {TABLE} WHERE {where}", zone=zone) == [(count,)], where


def test_every_write_splits_rows_and_every_move_keeps_them_apart(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18), region VARCHAR, day TIMESTAMP_NTZ, id NUMBER(18));")
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (region, year(day), bucket(4, id))")
    row = (
        "SELECT SEQ4() + {0} AS k, CASE MOD(SEQ4(), 3) WHEN 0 THEN 'north' WHEN 1 THEN 'it''s south' END AS region, "
        "DATEADD(day, SEQ4(), '1969-06-01'::TIMESTAMP_NTZ) AS day, MOD(SEQ4() * 7, 40) AS id "
        "FROM TABLE(GENERATOR(ROWCOUNT => {1}))"
    )
    expected = 0

    def same(count):
        nonlocal expected
        expected += count
        rows = lake.theirs(f"SELECT k, region, day, id FROM {TABLE} ORDER BY k")
        _, ours = query(lake.directory, "SELECT k, region, day, id FROM part ORDER BY k")
        assert len(rows) == expected
        assert [[*map(str, row[:1])] for row in rows] == [row[:1] for row in ours]
        for values, *_, path, current in lake.parts():
            assert current and len(values) == 3, path
        # Each file's rows are all of its partition.
        paths = lake.theirs("SELECT data_file FROM ducklake_list_files('lake', 'PART', schema => 'T.PUBLIC')")
        parts = [tuple(values) for values, *_ in lake.parts()]
        listed = ", ".join(quoted(path) for (path,) in paths)
        found = lake.theirs(
            "SELECT DISTINCT region, year(day)::VARCHAR, ((murmur3_32(id) & 2147483647) % 4)::VARCHAR, filename "
            f"FROM read_parquet([{listed}], hive_partitioning => false, union_by_name => true)"
        )
        found = [row[:3] for row in found]
        assert sorted(map(str, found)) == sorted(map(str, parts))

    lake.ours(f"INSERT INTO part {row.format(0, 900)};")
    same(900)
    # A few rows wait in the catalog, of both writers.
    lake.ours(f"INSERT INTO part {row.format(2000, 20)};")
    lake.theirs(f"INSERT INTO {TABLE} VALUES (3001, 'theirs', '2024-01-01', 3), (3002, NULL, NULL, NULL)")
    same(22)
    lake.ours("UPDATE part SET region = 'south', day = '2024-06-01' WHERE MOD(k, 2) = 0;")
    same(0)
    lake.ours(
        f"MERGE INTO part t USING ({row.format(500, 800)}) s ON t.k = s.k WHEN MATCHED AND MOD(s.k, 5) = 0 THEN DELETE "
        "WHEN MATCHED THEN UPDATE SET id = t.id + 1 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 'merged', s.day, s.id);"
    )
    same(400 - 80)
    lake.theirs(f"UPDATE {TABLE} SET region = 'duck' WHERE k < 50", f"DELETE FROM {TABLE} WHERE k BETWEEN 60 AND 69")
    same(lake.theirs(f"SELECT count(*) FROM {TABLE}")[0][0] - expected)
    before = lake.parts()
    maintain(lake.directory)
    same(0)
    after = lake.parts()
    assert len(after) < len(before)
    assert len({tuple(values) for values, *_ in after}) == len(after)
    lake.ours("CREATE STAGE st; COPY INTO @st/rows FROM part FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE;")
    lake.ours("TRUNCATE TABLE part; COPY INTO part FROM @st FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE;")
    same(0)
    lake.ours("INSERT OVERWRITE INTO part SELECT * FROM part WHERE k < 700;")
    same(lake.theirs(f"SELECT count(*) FROM {TABLE}")[0][0] - expected)
    # Equality in every key reads few files.
    for where in ("region = 'north'", "id = 7", "day = TIMESTAMP '1969-06-01'"):
        assert lake.files_read_by_duckdb(where) < len(lake.parts())
    lake.theirs("CALL ducklake_merge_adjacent_files('lake')", "CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)")
    same(0)


def test_a_change_of_keys_leaves_old_files_valid(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18), v VARCHAR, w NUMBER(18));")
    rows = "SELECT SEQ4() + {0}, 'v' || MOD(SEQ4(), 3), MOD(SEQ4(), 5) FROM TABLE(GENERATOR(ROWCOUNT => 300))"
    lake.ours(f"INSERT INTO part {rows.format(0)};")
    for start, keys in enumerate(["(v)", "(bucket(4, k), v)", "(w)", "(v)"], 1):
        lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY {keys}")
        lake.ours(f"INSERT INTO part {rows.format(1000 * start)};")
        lake.theirs(f"INSERT INTO {TABLE} SELECT i + {1000 * start + 500}, 'd' || (i % 2), i % 3 FROM range(100) r(i)")
        assert len(lake.rows("k, v, w")) == 300 + 400 * start
    for where in ("k = 7", "k = 1007", "k = 2007", "k = 2507", "v = 'v1' AND k = 4", "w = 2 AND k = 3002"):
        _, found = query(lake.directory, f"SELECT COUNT(*) FROM part WHERE {where}")
        assert found == [["1"]], where
    before = lake.parts()
    maintain(lake.directory)
    lake.rows("k, v, w")
    # Files of former keys, and of none, are merged among themselves.
    after = lake.parts()
    assert {tuple(v) for v, *_ in after} == {tuple(v) for v, *_ in before} and len(after) < len(before)
    lake.theirs(f"ALTER TABLE {TABLE} RESET PARTITIONED BY")
    lake.ours(f"INSERT INTO part {rows.format(9000)};")
    lake.rows("k, v, w")
    assert [values for values, count, path, _ in lake.parts() if values == [None]] == [[None]] * 2


def test_clones_and_undropped_tables_keep_their_partitions(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18), v VARCHAR);")
    rows = "SELECT SEQ4() + {0}, 'v' || MOD(SEQ4(), 3) FROM TABLE(GENERATOR(ROWCOUNT => 300))"
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (bucket(8, v))")
    lake.ours(f"INSERT INTO part {rows.format(0)};")
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (v)")
    lake.ours(f"INSERT INTO part {rows.format(1000)}; INSERT INTO part VALUES (2000, 'few');")
    lake.ours(f"BEGIN; CREATE TABLE copy CLONE part; INSERT INTO copy {rows.format(3000)}; COMMIT;")
    source, clone = lake.parts(), lake.parts("COPY")
    assert {tuple(v) for v, *_ in clone} == {tuple(v) for v, *_ in source} | {("few",)}
    assert sorted(count for _, count, _, current in clone if current) == [1, *[100] * 6]
    lake.ours("DROP TABLE copy; UNDROP TABLE copy;")
    lake.ours(f"INSERT INTO copy {rows.format(4000)};")
    assert sorted(count for _, count, _, current in lake.parts("COPY") if current) == [1, *[100] * 9]
    maintain(lake.directory)
    for table, count in (("PART", 601), ("COPY", 1201)):
        theirs = lake.theirs(f'SELECT k, v FROM lake."T.PUBLIC"."{table}" ORDER BY k')
        _, ours = query(lake.directory, f"SELECT k, v FROM {table} ORDER BY k")
        assert [[str(v) for v in row] for row in theirs] == ours and len(ours) == count
        assert lake.theirs(f'SELECT count(*) FROM lake."T.PUBLIC"."{table}" WHERE v = \'v1\'') == [(count // 3,)]
    lake.theirs('ALTER TABLE lake."T.PUBLIC"."COPY" SET PARTITIONED BY (k)', f'DROP TABLE {TABLE}')
    _, found = query(lake.directory, "SELECT COUNT(*) FROM copy WHERE v = 'v1'")
    assert found == [["400"]]
    lake.ours("UNDROP TABLE part;")
    assert len(lake.rows("k, v")) == 601


def test_columns_that_are_younger_than_the_rows(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18)); INSERT INTO part VALUES (1), (2);")
    lake.ours("ALTER TABLE part ADD COLUMN v VARCHAR DEFAULT 'old'; ALTER TABLE part ADD COLUMN n NUMBER(18);")
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (v, bucket(4, n))")
    lake.ours("INSERT INTO part VALUES (3, 'new', 5);")
    maintain(lake.directory)
    assert len(lake.rows("k, v, n")) == 3
    assert [values[:1] for values, *_ in lake.parts()] == [["new"], ["old"]]
    assert [values[1] is None for values, *_ in lake.parts()] == [False, True]
    for where, count in (("v = 'old'", 2), ("v = 'new' AND n = 5", 1), ("n = 6", 0)):
        _, found = query(lake.directory, f"SELECT COUNT(*) FROM part WHERE {where}")
        assert found == [[str(count)]]
        assert lake.theirs(f"SELECT count(*) FROM {TABLE} WHERE {where}") == [(count,)], where


def test_what_cannot_be_written_is_refused_by_name(lake):
    lake.ours("CREATE TABLE part (k NUMBER(18), v BINARY, n NUMBER(10)); INSERT INTO part VALUES (1, NULL, 1), (2, NULL, 2);")
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (v)", f"INSERT INTO {TABLE} VALUES (3, 'abc', 3)")
    refused = [
        "INSERT INTO part VALUES (1, NULL, 1)",
        "INSERT INTO part SELECT SEQ4(), NULL, 1 FROM TABLE(GENERATOR(ROWCOUNT => 1000))",
        "UPDATE part SET k = 5",
        "MERGE INTO part t USING (SELECT 8 AS k) s ON t.k = s.k WHEN NOT MATCHED THEN INSERT (k) VALUES (s.k)",
    ]
    for statement in refused:
        message = sql(lake.directory, f"USE SCHEMA t.public; {statement};", fails=True)
        assert "partitioned by identity of column V of type blob" in message
    lake.ours("DELETE FROM part WHERE k = 2;")
    maintain(lake.directory)
    assert [k for (k,) in lake.rows("k")] == [1, 3]
    lake.theirs(f"ALTER TABLE {TABLE} SET PARTITIONED BY (bucket(4, n))")
    message = sql(lake.directory, "ALTER TABLE t.public.part DROP COLUMN n;", fails=True)
    assert "dropping column N, by bucket(4) of which another client partitions the table" in message
    message = sql(lake.directory, "ALTER TABLE t.public.part ALTER COLUMN n SET DATA TYPE NUMBER(38);", fails=True)
    assert "changing column N" in message
    lake.ours("ALTER TABLE part ALTER COLUMN n SET DATA TYPE NUMBER(18); ALTER TABLE part RENAME COLUMN n TO m;")
    lake.ours("INSERT INTO part SELECT SEQ4(), NULL, SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 300));")
    lake.rows("k, m", order="k, m")
    assert lake.theirs(f"SELECT count(*) FROM {TABLE} WHERE m = 77") == [(1,)]
    message = sql(lake.directory, "CREATE TABLE t.public.no (a INT) PARTITION BY (a);", fails=True)
    assert "PARTITION" in message
    connection = attach(lake.directory)
    with pytest.raises(duckdb.Error, match="partitioned by this column"):
        connection.execute(f"ALTER TABLE {TABLE} DROP COLUMN m")
    connection.close()
