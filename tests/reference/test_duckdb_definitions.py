"""Clones, undropped tables, evolved tables and change feeds: DuckDB reads the same catalog."""

import hashlib
import random
import struct

import pytest
from command_line import maintain, query, sql
from test_duckdb_attach import attach

COLUMNS = "id, name, price"
FILLED = [
    "CREATE DATABASE t; CREATE TABLE t.public.item (id NUMBER(10), name VARCHAR, price NUMBER(12,2)) "
    "CHANGE_TRACKING = TRUE",
    "INSERT INTO t.public.item SELECT SEQ4(), 'name ' || SEQ4(), SEQ4() * 1.25 FROM TABLE(GENERATOR(ROWCOUNT => 2000))",
    "DELETE FROM t.public.item WHERE id % 10 = 3",
    "UPDATE t.public.item SET price = price + 100, name = NULL WHERE id < 50",
    "DELETE FROM t.public.item WHERE id = 1999",
]


def fill(directory):
    for statement in FILLED:
        sql(directory, f"{statement};")


def ours(directory, table, suffix=""):
    _, rows = query(directory, f"SELECT {COLUMNS} FROM {table} {suffix} ORDER BY id, price")
    return [[None if value == "" else value for value in row] for row in rows]


def theirs(connection, table, suffix=""):
    rows = connection.execute(f"SELECT {COLUMNS} FROM {table} {suffix} ORDER BY id, price").fetchall()
    return [[None if value is None else str(value) for value in row] for row in rows]


def head(connection):
    return connection.execute("SELECT MAX(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()[0]


def test_a_clone_is_a_table_of_its_own_for_duckdb(tmp_path):
    directory = tmp_path / "lake"
    fill(directory)
    connection = attach(directory)
    # Rows that DuckDB keeps in the catalog are cloned too.
    connection.execute('INSERT INTO lake."T.PUBLIC"."ITEM" VALUES (5000, \'inlined\', 1)')
    then = head(connection)
    before = theirs(connection, 'lake."T.PUBLIC"."ITEM"')
    connection.close()
    sql(directory, "UPDATE t.public.item SET name = 'later' WHERE id < 20;")
    sql(directory, "CREATE TABLE t.public.now CLONE t.public.item;")
    sql(directory, f"CREATE TABLE t.public.past CLONE t.public.item AT (VERSION => {then});")
    sql(directory, "CREATE SCHEMA t.other CLONE t.public;")
    source = ours(directory, "t.public.item")
    assert source != before
    connection = attach(directory)
    for table, expected in [
        ('"T.PUBLIC"."NOW"', source),
        ('"T.PUBLIC"."PAST"', before),
        ('"T.OTHER"."ITEM"', source),
        ('"T.OTHER"."PAST"', before),
    ]:
        assert theirs(connection, f"lake.{table}") == expected, table
    ids = 'SELECT count(*), count(DISTINCT rowid) FROM lake."T.PUBLIC"."PAST"'
    assert connection.execute(ids).fetchone() == (len(before), len(before))
    connection.execute('DELETE FROM lake."T.PUBLIC"."PAST" WHERE id % 2 = 0')
    connection.execute('UPDATE lake."T.PUBLIC"."PAST" SET name = \'duck\' WHERE id = 7')
    connection.execute('INSERT INTO lake."T.PUBLIC"."PAST" SELECT i, \'duck\', 0 FROM range(6000, 7000) r(i)')
    changed = theirs(connection, 'lake."T.PUBLIC"."PAST"')
    assert connection.execute(ids).fetchone() == (len(changed), len(changed))
    connection.close()
    assert ours(directory, "t.public.past") == changed
    assert ours(directory, "t.other.past") == before
    assert ours(directory, "t.public.item") == source
    sql(directory, "INSERT INTO t.public.past VALUES (8000, 'ours', 2); DELETE FROM t.public.past WHERE id = 6001;")
    connection = attach(directory)
    assert theirs(connection, 'lake."T.PUBLIC"."PAST"') == ours(directory, "t.public.past")
    assert theirs(connection, 'lake."T.PUBLIC"."ITEM"') == source
    connection.close()


def test_a_table_that_came_back_has_its_past(tmp_path):
    directory = tmp_path / "lake"
    fill(directory)
    connection = attach(directory)
    kept = head(connection)
    rows = theirs(connection, 'lake."T.PUBLIC"."ITEM"')
    connection.close()
    sql(directory, "DROP TABLE t.public.item; UNDROP TABLE t.public.item;")
    sql(directory, "DROP SCHEMA t.public;")
    connection = attach(directory)
    with pytest.raises(Exception, match="ITEM"):
        connection.execute('SELECT * FROM lake."T.PUBLIC"."ITEM"')
    connection.close()
    sql(directory, "UNDROP SCHEMA t.public;")
    connection = attach(directory)
    assert theirs(connection, 'lake."T.PUBLIC"."ITEM"') == rows
    assert theirs(connection, 'lake."T.PUBLIC"."ITEM"', f"AT (VERSION => {kept})") == rows
    connection.execute('DELETE FROM lake."T.PUBLIC"."ITEM" WHERE id < 1000')
    left = theirs(connection, 'lake."T.PUBLIC"."ITEM"')
    connection.close()
    assert ours(directory, "t.public.item") == left
    assert ours(directory, "t.public.item", f"AT (VERSION => {kept})") == rows


def test_old_files_are_read_right_after_every_change_of_columns(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.e (a NUMBER(4), b VARCHAR(3), c FLOAT);"
        "INSERT INTO t.public.e SELECT SEQ4(), 'x' || (SEQ4() % 10), SEQ4() / 4 FROM TABLE(GENERATOR(ROWCOUNT => 100));")
    states = []

    def state():
        connection = attach(directory)
        cursor = connection.execute('SELECT * FROM lake."T.PUBLIC"."E" ORDER BY 1')
        names = [column[0] for column in cursor.description]
        rows = [[None if v is None else str(v) for v in row] for row in cursor.fetchall()]
        states.append((head(connection), names, rows))
        connection.close()

    state()
    for change in [
        "ADD COLUMN d NUMBER(6,1) DEFAULT 2.5",
        "DROP COLUMN c",
        "RENAME COLUMN b TO bb",
        "ALTER COLUMN a SET DATA TYPE NUMBER(9), bb SET DATA TYPE VARCHAR(20)",
        "ADD COLUMN c VARCHAR DEFAULT 'again'",
        "ALTER COLUMN d DROP DEFAULT",
    ]:
        sql(directory, f"ALTER TABLE t.public.e {change};")
        sql(directory, "UPDATE t.public.e SET a = a WHERE a = 5; INSERT INTO t.public.e (a) VALUES "
            f"({1000 + len(states)});")
        state()
    for snapshot, names, rows in states:
        columns, found = query(directory, f"SELECT * FROM t.public.e AT (VERSION => {snapshot}) ORDER BY 1")
        assert columns == names, snapshot
        assert [[None if v == "" else v for v in row] for row in found] == [
            [None if v is None else shown(v) for v in row] for row in rows
        ], snapshot


@pytest.mark.parametrize("rows", [2, 300])
def test_rows_older_than_a_column_are_found_by_its_value(tmp_path, rows):
    """DuckDB plans with bounds of the whole table: they must not be those of the younger rows alone."""
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; USE SCHEMA t.public; CREATE TABLE item (id NUMBER(18)); "
        f"INSERT INTO item SELECT SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => {rows})); "
        "ALTER TABLE item ADD COLUMN name VARCHAR DEFAULT 'old'; ALTER TABLE item ADD COLUMN price NUMBER(12,2); "
        "INSERT INTO item VALUES (1000, 'new', 5);")
    for _ in range(2):
        connection = attach(directory)
        for where, count in (("name = 'old'", rows), ("price IS NULL", rows), ("name = 'new' AND price = 5", 1)):
            found = connection.execute(f'SELECT count(*) FROM lake."T.PUBLIC"."ITEM" WHERE {where}').fetchone()
            assert found == (count,), where
        connection.close()
        maintain(directory)


def shown(value):
    """Floats without a fraction: DuckDB writes 1.0 where Snowflake writes 1."""
    return value[:-2] if value.endswith(".0") and value.count(".") == 1 and value[:-2].isdigit() else value


def identity(uuid, rowid):
    """What our feed calls the row: a digest, so that nobody counts the rows between two."""
    return hashlib.sha256(uuid.encode() + struct.pack("<q", rowid)).digest()[:20].hex()


def net(connection, start, end):
    """The difference that DuckDB's feed of single changes adds up to, by row id."""
    feed = connection.execute(
        f"SELECT rowid, change_type, {COLUMNS} FROM "
        f"ducklake_table_changes('lake', 'T.PUBLIC', 'ITEM', {start + 1}, {end}) "
        "ORDER BY rowid, snapshot_id, CASE change_type WHEN 'delete' THEN 0 WHEN 'update_preimage' THEN 0 ELSE 1 END"
    ).fetchall()
    uuid = connection.execute(
        "SELECT table_uuid::VARCHAR FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = 'ITEM'"
    ).fetchone()[0]
    rows = {}
    for rowid, kind, *values in feed:
        rows.setdefault(rowid, []).append((kind, [None if v is None else str(v) for v in values]))
    expected = []
    for rowid, changes in rows.items():
        before = changes[0][1] if changes[0][0] in ("delete", "update_preimage") else None
        after = changes[-1][1] if changes[-1][0] in ("insert", "update_postimage") else None
        update = before is not None and after is not None
        if before is not None:
            expected.append([identity(uuid, rowid), "DELETE", update, *before])
        if after is not None:
            expected.append([identity(uuid, rowid), "INSERT", update, *after])
    return sorted(expected, key=str)


def feed(directory, start, end, information="DEFAULT"):
    _, rows = query(
        directory,
        f"SELECT METADATA$ROW_ID, METADATA$ACTION, METADATA$ISUPDATE, {COLUMNS} FROM t.public.item "
        f"CHANGES (INFORMATION => {information}) AT (VERSION => {start}) END (VERSION => {end})",
    )
    return sorted(
        (
            [row[0], row[1], row[2].lower() == "true", *[None if v == "" else v for v in row[3:]]]
            for row in rows
        ),
        key=str,
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_change_feed_adds_up_to_duckdbs(tmp_path, seed):
    directory = tmp_path / "lake"
    fill(directory)
    choose = random.Random(seed)
    snapshots = []
    inserted = {}
    for step in range(8):
        first = 10_000 + step * 100
        low = choose.randrange(0, 1800)
        by_duckdb = choose.random() < 0.3
        table = 'lake."T.PUBLIC"."ITEM"' if by_duckdb else "t.public.item"
        statement = choose.choice(
            [
                f"INSERT INTO {table} VALUES ({first}, 'new', {step}), ({first + 1}, NULL, NULL)",
                f"UPDATE {table} SET price = {step} WHERE id BETWEEN {low} AND {low + 40}",
                f"UPDATE {table} SET name = 'again' WHERE id >= 10000",
                f"DELETE FROM {table} WHERE id BETWEEN {low} AND {low + 15} OR id = {10_000 + step * 50}",
                f"MERGE INTO {table} t USING (SELECT {low} AS id UNION ALL SELECT {first + 5}) s ON t.id = s.id "
                f"WHEN MATCHED THEN UPDATE SET name = 'merged' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, 'm')",
            ]
        )
        connection = attach(directory)
        before = head(connection)
        if by_duckdb:
            connection.execute(statement)
        connection.close()
        if not by_duckdb:
            sql(directory, f"{statement};")
        connection = attach(directory)
        snapshots.append(head(connection))
        new = [row for row in net(connection, before, snapshots[-1]) if row[1] == "INSERT" and not row[2]]
        inserted[snapshots[-1]] = new
        connection.close()
    connection = attach(directory)
    ranges = [(snapshots[a], snapshots[b]) for a in range(len(snapshots)) for b in range(a + 1, len(snapshots))]
    ranges = choose.sample(ranges, 8)
    expected = {span: net(connection, *span) for span in ranges}
    connection.close()
    for span in ranges:
        assert feed(directory, *span) == expected[span], span
        appended = [row for at, rows in inserted.items() if span[0] < at <= span[1] for row in rows]
        assert feed(directory, *span, information="APPEND_ONLY") == sorted(appended, key=str), span
    # Compaction changes no row, so it adds no change.
    connection = attach(directory)
    connection.execute("CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)")
    last = head(connection)
    rows = theirs(connection, 'lake."T.PUBLIC"."ITEM"')
    connection.close()
    assert ours(directory, "t.public.item") == rows
    first = snapshots[0]
    connection = attach(directory)
    assert feed(directory, first, last) == net(connection, first, snapshots[-1])
    connection.close()


def sort_keys(connection, table):
    return connection.execute(
        "SELECT e.expression, e.sort_direction, e.null_order FROM __ducklake_metadata_lake.ducklake_sort_info i "
        "JOIN __ducklake_metadata_lake.ducklake_sort_expression e USING (sort_id) "
        "JOIN __ducklake_metadata_lake.ducklake_table t ON t.table_id = i.table_id AND t.end_snapshot IS NULL "
        "WHERE i.end_snapshot IS NULL AND t.table_name = ? ORDER BY e.sort_key_index",
        [table],
    ).fetchall()


def test_clustering_keys_are_sort_keys_of_both(tmp_path):
    directory = tmp_path / "lake"
    sql(
        directory,
        "CREATE DATABASE t; USE SCHEMA t.public; CREATE TABLE ours (a INT, \"b c\" VARCHAR) CLUSTER BY (\"b c\", a);"
        "CREATE TABLE theirs (a INT, b VARCHAR); ALTER TABLE ours RENAME COLUMN a TO a2;",
    )
    connection = attach(directory)
    assert sort_keys(connection, "OURS") == [('"b c"', "ASC", "NULLS_LAST"), ('"A2"', "ASC", "NULLS_LAST")]
    # DuckDB sorts what it writes by our keys: it would fail on keys it cannot read.
    connection.execute("INSERT INTO lake.\"T.PUBLIC\".\"OURS\" SELECT 1000 - i, 'x' || (i % 7) FROM range(1000) r(i)")
    connection.execute("CALL ducklake_flush_inlined_data('lake')")
    connection.execute('ALTER TABLE lake."T.PUBLIC"."THEIRS" SET SORTED BY (b DESC NULLS FIRST, a)')
    connection.close()
    _, rows = query(directory, "SELECT COUNT(*), SUM(a2) FROM ours")
    assert rows == [["1000", str(sum(range(1, 1001)))]]
    shown = "SELECT table_name, clustering_key FROM information_schema.tables WHERE table_schema = 'PUBLIC' ORDER BY 1"
    _, rows = query(directory, shown)
    assert rows == [["OURS", 'LINEAR("b c", A2)'], ["THEIRS", "LINEAR(b, a)"]]
    sql(
        directory,
        "USE SCHEMA t.public; INSERT INTO theirs SELECT SEQ4(), 'x' || MOD(SEQ4(), 7) FROM TABLE(GENERATOR(ROWCOUNT => 1000)); "
        "ALTER TABLE ours DROP CLUSTERING KEY;",
    )
    connection = attach(directory)
    assert sort_keys(connection, "OURS") == []
    # Our file of their table has their order.
    (path,) = connection.execute(
        "SELECT data_file FROM ducklake_list_files('lake', 'THEIRS', schema => 'T.PUBLIC')"
    ).fetchone()
    found = connection.execute(f"SELECT b, a FROM read_parquet('{path}', file_row_number=true) ORDER BY file_row_number").fetchall()
    assert found == sorted(found, key=lambda row: (-int(row[0][1:]), row[1])) and len(found) == 1000
    connection.execute('ALTER TABLE lake."T.PUBLIC"."THEIRS" RESET SORTED BY')
    connection.close()
    _, rows = query(directory, shown)
    assert rows == [["OURS", ""], ["THEIRS", ""]]


def test_keys_of_what_came_back_leave_the_gap_out(tmp_path):
    """Sort and partition keys at snapshots without their table made DuckDB refuse every other one."""
    directory = tmp_path / "lake"
    sql(
        directory,
        "CREATE DATABASE t; CREATE TABLE t.public.sorted (a INT, b VARCHAR) CLUSTER BY (b, a);"
        "CREATE TABLE t.public.parted (a INT, b VARCHAR); INSERT INTO t.public.sorted VALUES (1, 'x');"
        "CREATE DATABASE o; CREATE TABLE o.public.c (k INT); INSERT INTO o.public.c VALUES (7);",
    )
    connection = attach(directory)
    connection.execute('ALTER TABLE lake."T.PUBLIC"."PARTED" SET PARTITIONED BY (b)')
    connection.close()
    insert = "INSERT INTO t.public.{0} SELECT SEQ4() + {1}, 'v' || MOD(SEQ4(), 3) FROM TABLE(GENERATOR(ROWCOUNT => 3000));"
    sql(directory, insert.format("parted", 0) + insert.format("sorted", 0))
    for turn, what in enumerate(["TABLE t.public.parted", "TABLE t.public.sorted", "SCHEMA t.public", "DATABASE t"]):
        sql(directory, f"DROP {what};")
        sql(directory, f"CREATE TABLE o.public.c{turn} (k INT); INSERT INTO o.public.c{turn} VALUES ({turn});")
        sql(directory, f"UNDROP {what};" + insert.format("parted", 10_000 * (turn + 1)))
    connection = attach(directory)
    first = connection.execute('SELECT min(snapshot_id) FROM ducklake_snapshots(\'lake\') WHERE changes::VARCHAR LIKE \'%O.PUBLIC%C%\'').fetchone()[0]
    for snapshot in range(first + 1, head(connection) + 1):
        assert connection.execute(f'SELECT k FROM lake."O.PUBLIC"."C" AT (VERSION => {snapshot})').fetchall() == [(7,)]
    for turn in range(4):
        assert connection.execute(f'SELECT k FROM lake."O.PUBLIC"."C{turn}"').fetchall() == [(turn,)]
    assert sort_keys(connection, "SORTED") == [('"B"', "ASC", "NULLS_LAST"), ('"A"', "ASC", "NULLS_LAST")]
    # DuckDB writes by the keys, and moves rows of files that name them.
    connection.execute('INSERT INTO lake."T.PUBLIC"."PARTED" SELECT i, \'v\' || (i % 3) FROM range(50000, 53000) r(i)')
    connection.execute("CALL ducklake_merge_adjacent_files('lake')")
    counted = 'SELECT b, count(*), min(a), max(a) FROM lake."T.PUBLIC"."PARTED" GROUP BY b ORDER BY b'
    rows = connection.execute(counted).fetchall()
    assert [(b, n) for b, n, *_ in rows] == [(f"v{i}", 6000) for i in range(3)]
    connection.close()
    shown = "SELECT clustering_key FROM information_schema.tables WHERE table_name = 'SORTED'"
    assert query(directory, shown)[1] == [["LINEAR(b, a)"]]
    _, ours = query(directory, "SELECT b, COUNT(*), MIN(a), MAX(a) FROM parted GROUP BY b ORDER BY b")
    assert ours == [[str(value) for value in row] for row in rows]


def test_columns_of_types_that_are_not_written_are_not_changed(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.other (a INT);")
    connection = attach(directory)
    connection.execute('CREATE TABLE lake."T.PUBLIC"."LISTS" ("K" INT, "L" INT[])')
    connection.execute('INSERT INTO lake."T.PUBLIC"."LISTS" VALUES (1, [1])')
    connection.close()
    for statement in [
        "ALTER TABLE t.public.lists ALTER COLUMN l SET DATA TYPE VARCHAR",
        "ALTER TABLE t.public.lists ALTER COLUMN l SET DEFAULT 'x'",
    ]:
        assert "COLUMN L of table T.PUBLIC.LISTS, which is of DuckDB's type list(int32)" in sql(directory, f"{statement};", fails=True)
    sql(directory, "ALTER TABLE t.public.lists ALTER COLUMN l COMMENT 'a list';")
    connection = attach(directory)
    assert connection.execute('SELECT * FROM lake."T.PUBLIC"."LISTS"').fetchall() == [(1, [1])]
    assert connection.execute('SELECT * FROM lake."T.PUBLIC"."OTHER"').fetchall() == []
    connection.close()
