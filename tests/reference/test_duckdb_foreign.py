"""What DuckDB makes and Snowflake has not: numbers of 64 bits, dates beyond the calendar, views in its dialect."""

import pytest
from command_line import maintain, query, sql
from test_duckdb_attach import attach

LEAST, GREATEST = -(2**63), 2**63 - 1


def create(tmp_path, *statements):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    duck = attach(directory)
    duck.execute('USE lake."T.PUBLIC"')
    for statement in statements:
        duck.execute(statement)
    duck.execute("USE memory")
    duck.close()
    return directory


@pytest.mark.parametrize("inlined", [True, False])
def test_a_bigint_has_nineteen_digits(tmp_path, inlined):
    fill = f'INSERT INTO "B" VALUES (1, {GREATEST}), (2, {LEAST}), (3, 5), (4, NULL)'
    more = [] if inlined else ['INSERT INTO "B" SELECT i + 100, 7 FROM range(500) r(i)']
    directory = create(
        tmp_path, 'CREATE TABLE "B" ("K" INTEGER, "C" BIGINT)', fill, *more
    )
    rows = query(
        directory,
        "SELECT k, -c, c + 1, c - 1, c * 10, ABS(c), c::VARCHAR, c = 9223372036854775807, MOD(c, 10) FROM b WHERE k < 10 ORDER BY k",
    )[1]
    values = {1: GREATEST, 2: LEAST, 3: 5}
    for row in rows[:3]:
        value = values[int(row[0])]
        rest = (
            value - int(value / 10) * 10
            if abs(value) < 10
            else int(str(value)[-1]) * (1 if value > 0 else -1)
        )
        expected = [-value, value + 1, value - 1, value * 10, abs(value), value]
        assert [int(cell) for cell in row[1:7]] == expected, row
        assert row[7] == str(value == GREATEST).upper()
        assert int(row[8]) == rest
    assert rows[3][1:] == [""] * 8
    count = 4 if inlined else 504
    assert query(
        directory, "SELECT SUM(c), MIN(c), MAX(c), COUNT(*) FROM b WHERE k < 10"
    )[1] == [["4", str(LEAST), str(GREATEST), "4"]]
    assert query(directory, "SELECT k FROM b WHERE c < -1000")[1] == [["2"]]
    assert query(directory, f"SELECT k FROM b WHERE c >= {GREATEST}")[1] == [["1"]]
    assert query(
        directory,
        "SELECT COUNT(*) FROM b x JOIN b y ON x.c = y.c WHERE x.k < 10 AND y.k < 10",
    )[1] == [["3"]]
    assert ["C", "NUMBER(19,0)"] in [
        row[:2] for row in query(directory, "DESCRIBE TABLE b")[1]
    ]
    sql(
        directory,
        "USE SCHEMA t.public; UPDATE b SET k = 9 WHERE k = 2; INSERT INTO b SELECT 5, c FROM b WHERE k = 9;"
        "CREATE TABLE copy CLONE b; INSERT INTO copy SELECT 6, c FROM b WHERE k = 1; ALTER TABLE copy RENAME COLUMN c TO d;",
    )
    maintain(directory)
    assert query(directory, "SELECT COUNT(*), MIN(c), MAX(c) FROM b")[1] == [
        [str(count + 1), str(LEAST), str(GREATEST)]
    ]
    assert query(directory, "SELECT d FROM copy WHERE k = 6")[1] == [[str(GREATEST)]]
    duck = attach(directory)
    found = duck.execute(
        'SELECT "K", "C", typeof("C") FROM lake."T.PUBLIC"."B" WHERE "K" IN (1, 5, 9) ORDER BY "K"'
    ).fetchall()
    duck.close()
    assert found == [
        (1, GREATEST, "BIGINT"),
        (5, LEAST, "BIGINT"),
        (9, LEAST, "BIGINT"),
    ]


def test_a_date_beyond_the_calendar_stops_its_own_column_alone(tmp_path):
    directory = create(
        tmp_path,
        'CREATE TABLE "I" ("K" INTEGER, "D" DATE NOT NULL, "T" TIMESTAMP)',
        "INSERT INTO \"I\" VALUES (1, 'infinity', '2020-01-01'), (2, '2020-01-02', '20000-01-01'), (3, '2020-01-03', NULL)",
    )
    assert query(directory, "SELECT k FROM i ORDER BY k")[1] == [["1"], ["2"], ["3"]]
    assert query(directory, "SELECT COUNT(*) FROM i")[1] == [["3"]]
    for column in ("d", "t"):
        for text in (
            f"SELECT {column} FROM i",
            f"SELECT k FROM i WHERE {column} > '2020-01-01'",
            f"SELECT MAX({column}) FROM i",
        ):
            error = sql(directory, f"USE SCHEMA t.public; {text};", fails=True)
            assert (
                f"column {column.upper()} of T.PUBLIC.I" in error
                and "Internal" not in error
            ), error
    for change in (
        "UPDATE i SET k = 5",
        "CREATE TABLE j CLONE i",
        "CREATE TABLE j AS SELECT * FROM i",
    ):
        sql(directory, f"USE SCHEMA t.public; {change};", fails=True)
    assert query(directory, "SELECT COUNT(*) FROM i")[1] == [["3"]]
    sql(directory, "USE SCHEMA t.public; DELETE FROM i WHERE k = 1;")
    assert query(directory, "SELECT k, d FROM i ORDER BY k")[1] == [
        ["2", "2020-01-02"],
        ["3", "2020-01-03"],
    ]
    sql(directory, "USE SCHEMA t.public; SELECT t FROM i;", fails=True)
    sql(directory, "USE SCHEMA t.public; DELETE FROM i WHERE k = 2;")
    assert query(directory, "SELECT * FROM i")[1] == [["3", "2020-01-03", ""]]


def test_views_of_duckdb_are_read_where_they_mean_the_same(tmp_path):
    base = [
        'CREATE TABLE "B" ("K" INTEGER, "V" VARCHAR)',
        "INSERT INTO \"B\" VALUES (1, 'a'), (2, 'b'), (2, NULL)",
    ]
    same = {
        "PLAIN": 'SELECT * FROM "B"',
        "NAMED": 'SELECT "K" AS "X", count(*) AS "N" FROM lake."T.PUBLIC"."B" GROUP BY ALL',
        "JOINED": 'SELECT b."K", c."V" FROM "B" b LEFT JOIN lake."T.PUBLIC"."B" c ON b."K" = c."K" AND c."V" <> \'b\'',
        "CASES": "SELECT CASE WHEN \"K\" BETWEEN 2 AND 3 THEN 'in' ELSE coalesce(\"V\", 'it''s') END AS \"C\" FROM \"B\" "
        "ORDER BY 1 LIMIT 2",
        "OVER_A_VIEW": 'SELECT max("N") AS "M" FROM "NAMED_V"',
    }
    other = {
        "DIVIDED": 'SELECT "K" / 2 AS "H" FROM "B"',
        "LISTED": 'SELECT [1, 2][1] AS "L"',
        "SORTED": 'SELECT "V" FROM "B" ORDER BY "V" DESC LIMIT 1',
        "BACKSLASH": "SELECT 'a\\nb' AS \"S\"",
        "HALVED": 'SELECT "K" // 2 AS "H" FROM "B"',
        "GREATER": 'SELECT greatest("K", NULL) AS "G" FROM "B"',
        "JOINED_TEXT": 'SELECT "V" || 1.5 AS "T" FROM "B"',
        "TEXT": 'SELECT "K"::VARCHAR AS "T" FROM "B"',
    }
    made = [f'CREATE VIEW "{name}_V" AS {text}' for name, text in same.items()]
    made += [f'CREATE VIEW "{name}_V" AS {text}' for name, text in other.items()]
    made.append('CREATE VIEW "ALIASED_V" ("A", "b") AS SELECT "K", "V" FROM "B"')
    directory = create(tmp_path, *base, *made)
    duck = attach(directory)
    duck.execute('USE lake."T.PUBLIC"')
    expected = {}
    for name in same:
        rows = duck.execute(f'SELECT * FROM "{name}_V"').fetchall()
        expected[name] = sorted(
            [["" if cell is None else str(cell) for cell in row] for row in rows]
        )
    duck.execute("USE memory")
    duck.close()
    for name in same:
        assert (
            sorted(query(directory, f"SELECT * FROM {name}_v")[1]) == expected[name]
        ), name
        text = query(directory, f"SELECT GET_DDL('VIEW', '{name}_v')")[1][0][0]
        assert f"view {name}_V" in text, text
        if name != "JOINED":
            sql(directory, f"USE SCHEMA t.public; {text}")
            assert (
                sorted(query(directory, f"SELECT * FROM {name}_v")[1]) == expected[name]
            ), name
    assert query(directory, 'SELECT a, "b" FROM aliased_v WHERE a = 1')[1] == [
        ["1", "a"]
    ]
    for name in other:
        for text in (f"SELECT * FROM {name}_v", f"SELECT GET_DDL('VIEW', '{name}_v')"):
            error = sql(directory, f"USE SCHEMA t.public; {text};", fails=True)
            assert f"{name}_V" in error and "Internal" not in error, error
    # A new name here leaves the text as DuckDB reads it.
    sql(
        directory,
        "USE SCHEMA t.public; ALTER VIEW joined_v RENAME TO renamed_v; CREATE SCHEMA t.other CLONE t.public;",
    )
    assert sorted(query(directory, "SELECT * FROM renamed_v")[1]) == expected["JOINED"]
    assert (
        sorted(query(directory, "SELECT * FROM t.other.renamed_v")[1])
        == expected["JOINED"]
    )
    duck = attach(directory)
    assert len(
        duck.execute('SELECT * FROM lake."T.PUBLIC"."RENAMED_V"').fetchall()
    ) == len(expected["JOINED"])
    duck.close()
