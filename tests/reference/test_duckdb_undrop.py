"""What DuckDB made, or dropped, comes back with UNDROP: it is ACCOUNTADMIN's, as long as nobody else owns it."""

from command_line import query, sql
from test_duckdb_attach import attach


def duck(directory, *statements):
    connection = attach(directory)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_tables_of_duckdb_come_back(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t; CREATE TABLE t.public.own (a INT); INSERT INTO t.public.own VALUES (7);")
    duck(
        directory,
        'CREATE TABLE lake."T.PUBLIC"."UP" (a INTEGER)',
        'INSERT INTO lake."T.PUBLIC"."UP" VALUES (1)',
    )
    sql(directory, "DROP TABLE t.public.up; UNDROP TABLE t.public.up;")
    assert query(directory, 'SELECT "a" FROM up')[1] == [["1"]]
    # DuckDB drops one of its own and one that has an owner.
    duck(directory, 'DROP TABLE lake."T.PUBLIC"."UP"', 'DROP TABLE lake."T.PUBLIC"."OWN"')
    sql(directory, "UNDROP TABLE t.public.up; UNDROP TABLE t.public.own;")
    assert query(directory, 'SELECT "a" FROM up')[1] == [["1"]]
    assert query(directory, "SELECT a FROM own")[1] == [["7"]]


def test_schemas_of_duckdb_come_back_with_what_is_in_them(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    duck(
        directory,
        'CREATE SCHEMA lake."T.NEW"',
        'CREATE TABLE lake."T.NEW"."X" (a INTEGER)',
        'INSERT INTO lake."T.NEW"."X" VALUES (1)',
    )
    sql(
        directory,
        "CREATE TABLE t.new.y (a INT); INSERT INTO t.new.y VALUES (2); DROP SCHEMA t.new; UNDROP SCHEMA t.new;",
    )
    assert query(directory, 'SELECT "a" FROM t.new.x')[1] == [["1"]]
    assert query(directory, "SELECT a FROM t.new.y")[1] == [["2"]]
    # Who has no right on them cannot bring them back.
    error = sql(
        directory,
        "CREATE ROLE other; GRANT ROLE other TO USER admin; GRANT USAGE ON DATABASE t TO ROLE other; "
        "GRANT USAGE, CREATE TABLE ON SCHEMA t.new TO ROLE other; DROP TABLE t.new.x; "
        "USE ROLE other; UNDROP TABLE t.new.x;",
        fails=True,
    )
    assert "did not exist or was purged" in error
