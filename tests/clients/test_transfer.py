"""Files and frames: PUT, GET, COPY and write_pandas through the connector."""

import datetime
import gzip
import threading
import time

import pandas as pd
import pytest
import requests
from conftest import Wire
from snowflake.connector import ProgrammingError
from snowflake.connector.pandas_tools import write_pandas


@pytest.mark.parametrize("compress", [True, False])
def test_put_and_get(cursor, name, tmp_path, compress):
    cursor.execute(f"CREATE STAGE {name}")
    source = tmp_path / "some data.csv"
    source.write_text("1,a\n2,b\n" * 1000)
    option = str(compress).upper()
    cursor.execute(f"PUT 'file://{source}' @{name}/in AUTO_COMPRESS = {option}")
    row = cursor.fetchone()
    stored = "some data.csv.gz" if compress else "some data.csv"
    assert row[0] == "some data.csv"
    assert row[1] == stored
    assert row[6] == "UPLOADED"
    cursor.execute(f"LIST @{name}")
    listed = cursor.fetchall()
    assert len(listed) == 1
    assert listed[0][0].lower() == f"{name.lower()}/in/{stored}"
    target = tmp_path / "back"
    target.mkdir()
    cursor.execute(f"GET '@{name}/in/{stored}' 'file://{target}/'")
    row = cursor.fetchone()
    assert row[2] == "DOWNLOADED"
    content = (target / stored).read_bytes()
    if compress:
        content = gzip.decompress(content)
    assert content == source.read_bytes()


def test_an_address_of_a_file_ends_with_the_right_to_read_it(server, database, cursor, name):
    statements = [
        f"CREATE STAGE {name}",
        f"COPY INTO @{name}/f FROM (SELECT 1) FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE)",
        f"CREATE ROLE {name}",
        f"GRANT ROLE {name} TO USER admin",
        f"GRANT USAGE ON DATABASE {database} TO ROLE {name}",
        f"GRANT USAGE ON SCHEMA {database}.TESTS TO ROLE {name}",
        f"GRANT READ ON STAGE {name} TO ROLE {name}",
        f"CREATE USER {name} PASSWORD = 'correct-horse-7' DEFAULT_ROLE = {name}",
        f"GRANT ROLE {name} TO USER {name}",
    ]
    for statement in statements:
        cursor.execute(statement)
    data = {"LOGIN_NAME": name, "PASSWORD": "correct-horse-7", "CLIENT_APP_ID": "JavaScript"}
    login = requests.post(server.url + "/session/v1/login-request", json={"data": data}).json()
    wire = Wire(server, token=login["data"]["token"])
    answer = wire.query(f"GET @{database}.TESTS.{name}/f file:///tmp/")
    (address,) = answer["data"]["presignedUrls"]
    assert requests.get(address).text == "1\n"
    cursor.execute(f"REVOKE READ ON STAGE {name} FROM ROLE {name}")
    assert requests.get(address).status_code == 403
    cursor.execute(f"GRANT READ ON STAGE {name} TO ROLE {name}")
    assert requests.get(address).text == "1\n"
    cursor.execute(f"DROP USER {name}")
    cursor.execute(f"DROP ROLE {name}")


def test_put_takes_patterns_and_feeds_copy(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}_S")
    cursor.execute(f"CREATE TABLE {name} (A INT, B VARCHAR)")
    for part in range(3):
        (tmp_path / f"part{part}.csv").write_text(f"{part},x\n{part + 10},y\n")
    cursor.execute(f"PUT file://{tmp_path}/part*.csv @{name}_S")
    assert [row[6] for row in cursor.fetchall()] == ["UPLOADED"] * 3
    cursor.execute(f"COPY INTO {name} FROM @{name}_S FILE_FORMAT = (TYPE = CSV)")
    assert sum(row[3] for row in cursor.fetchall()) == 6
    cursor.execute(f"SELECT SUM(A), COUNT(*) FROM {name}")
    assert cursor.fetchone() == (36, 6)


def test_put_keeps_what_is_there_unless_told(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}")
    source = tmp_path / "a.txt"
    put = f"PUT file://{source} @{name} AUTO_COMPRESS = FALSE"
    source.write_text("first")
    cursor.execute(put)
    cursor.execute(put)
    assert cursor.fetchone()[6] in ("SKIPPED", "UPLOADED")
    source.write_text("second")
    cursor.execute(f"{put} OVERWRITE = TRUE")
    assert cursor.fetchone()[6] == "UPLOADED"
    target = tmp_path / "back"
    target.mkdir()
    cursor.execute(f"GET @{name}/a.txt file://{target}/")
    assert (target / "a.txt").read_text() == "second"


@pytest.mark.parametrize("compress", ["TRUE", "FALSE"])
def test_the_same_content_put_again_is_not_loaded_again(cursor, name, tmp_path, compress):
    cursor.execute(f"CREATE TABLE {name} (a INT)")
    cursor.execute(f"CREATE STAGE {name}_STAGE")
    path = tmp_path / "rows.csv"
    load = f"COPY INTO {name} FROM @{name}_STAGE FILE_FORMAT = (TYPE = CSV)"

    def put(text):
        path.write_text(text)
        options = f"OVERWRITE = TRUE AUTO_COMPRESS = {compress}"
        cursor.execute(f"PUT 'file://{path}' @{name}_STAGE {options}")

    for text, count in [("1\n2\n", 2), ("1\n2\n", 2), ("3\n4\n", 4), ("1\n2\n", 6), ("1\n2\n", 6)]:
        put(text)
        cursor.execute(load)
        assert cursor.execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (count,), text
    cursor.execute(f"{load} FORCE = TRUE")
    assert cursor.execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (8,)


def test_write_pandas(connection, name):
    frame = pd.DataFrame(
        {
            "ID": range(1000),
            "NAME": [f"n{i}" for i in range(1000)],
            "SCORE": [i / 7 for i in range(1000)],
            "mixed Case": [i % 2 == 0 for i in range(1000)],
        }
    )
    success, chunks, rows, _ = write_pandas(connection, frame, name, auto_create_table=True)
    assert success and rows == 1000
    cursor = connection.cursor()
    cursor.execute(f'SELECT COUNT(*), SUM(ID), COUNT_IF("mixed Case") FROM {name}')
    assert cursor.fetchone() == (1000, 499500, 500)
    back = cursor.execute(f"SELECT * FROM {name} ORDER BY ID").fetch_pandas_all()
    assert list(back["NAME"]) == list(frame["NAME"])
    assert (back["SCORE"] - frame["SCORE"]).abs().max() < 1e-12


def test_put_detects_what_is_packed_already(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"1\n2\n"))
    (tmp_path / "b.csv").write_text("3\n")
    cursor.execute(f"PUT file://{tmp_path}/*.csv* @{name} PARALLEL = 2")
    rows = {row[0]: row for row in cursor.fetchall()}
    assert {row[6] for row in rows.values()} == {"UPLOADED"}
    assert (rows["a.csv.gz"][1], rows["a.csv.gz"][4].upper()) == ("a.csv.gz", "GZIP")
    assert (rows["b.csv"][1], rows["b.csv"][5].upper()) == ("b.csv.gz", "GZIP")
    cursor.execute(f"SELECT SUM($1::INT) FROM @{name}")
    assert cursor.fetchone() == (6,)


def test_table_and_user_stages(cursor, name, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text("1\n2\n")
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    cursor.execute(f"PUT file://{source} @%{name}")
    cursor.execute(f"LIST @%{name}")
    assert [row[0] for row in cursor.fetchall()] == ["rows.csv.gz"]
    cursor.execute(f"COPY INTO {name} PURGE = TRUE")
    assert cursor.fetchone()[:4] == ("rows.csv.gz", "LOADED", 2, 2)
    cursor.execute(f"LIST @%{name}")
    assert cursor.fetchall() == []
    cursor.execute(f"PUT file://{source} @~/{name} AUTO_COMPRESS = FALSE")
    cursor.execute(f"COPY INTO {name} FROM @~/{name}")
    assert cursor.fetchone()[3] == 2
    cursor.execute(f"REMOVE @~/{name}")
    assert cursor.fetchone() == (f"{name}/rows.csv", "removed")


def test_unload_and_get(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}")
    cursor.execute(
        f"COPY INTO @{name}/part FROM (SELECT SEQ4() AS N, 'x,y' AS T FROM TABLE(GENERATOR(ROWCOUNT => 5000)))"
        " FILE_FORMAT = (TYPE = CSV FIELD_OPTIONALLY_ENCLOSED_BY = '\"') HEADER = TRUE MAX_FILE_SIZE = 20000"
    )
    assert cursor.fetchone()[0] == 5000
    target = tmp_path / "back"
    target.mkdir()
    cursor.execute(f"GET @{name} file://{target}/ PARALLEL = 4 PATTERN = '.*csv.*'")
    assert {row[2] for row in cursor.fetchall()} == {"DOWNLOADED"}
    frames = [pd.read_csv(path) for path in sorted(target.iterdir())]
    frame = pd.concat(frames)
    assert list(frame.columns) == ["N", "T"]
    assert sorted(frame["N"]) == list(range(5000))
    assert set(frame["T"]) == {"x,y"}
    cursor.execute(
        f"COPY INTO @{name}/t.parquet FROM (SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => 10)))"
        " FILE_FORMAT = (TYPE = PARQUET) HEADER = TRUE SINGLE = TRUE"
    )
    cursor.execute(f"GET @{name}/t.parquet file://{target}/")
    assert sorted(pd.read_parquet(target / "t.parquet")["N"]) == list(range(10))


def test_write_pandas_options(connection, name):
    frame = pd.DataFrame(
        {
            "id": range(100),
            "at": pd.date_range("2024-01-01", periods=100, freq="h"),
            "zoned": pd.date_range("2024-01-01", periods=100, freq="h", tz="UTC"),
            "text": [None if i % 10 == 0 else f"é{i}" for i in range(100)],
        }
    )
    options = {"auto_create_table": True, "quote_identifiers": False, "use_logical_type": True}
    success, chunks, rows, _ = write_pandas(connection, frame, name, chunk_size=30, **options)
    assert (success, chunks, rows) == (True, 4, 100)
    cursor = connection.cursor()
    cursor.execute(f"SELECT COUNT(*), COUNT(text), MIN(at)::VARCHAR, MAX(id) FROM {name}")
    assert cursor.fetchone() == (100, 90, "2024-01-01 00:00:00.000", 99)
    success, _, rows, _ = write_pandas(connection, frame.head(5), name, overwrite=True, **options)
    assert (success, rows) == (True, 5)
    assert cursor.execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (5,)
    success, _, rows, _ = write_pandas(
        connection, frame.tail(3), name, quote_identifiers=False, use_logical_type=True, compression="snappy"
    )
    assert (success, rows) == (True, 3)
    assert cursor.execute(f"SELECT COUNT(*), MAX(id) FROM {name}").fetchone() == (8, 99)


def test_a_file_that_is_replaced_while_it_is_loaded_comes_once(connect, name, tmp_path):
    loader, other = connect(), connect()
    cursor = loader.cursor()
    cursor.execute(f"CREATE STAGE {name}")
    cursor.execute(f"CREATE TABLE {name} (v VARCHAR)")
    cursor.execute(f"CREATE TABLE {name}_src AS SELECT SEQ4() AS n FROM TABLE(GENERATOR(ROWCOUNT => 50000))")
    for part in range(12):
        cursor.execute(
            f"COPY INTO @{name}/f{part:02}.csv FROM (SELECT 'x' || n FROM {name}_src) SINGLE = TRUE "
            "FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE)"
        )
    source = tmp_path / "f99.csv"
    source.write_text("old\n" * 1000)
    put = f"PUT file://{source} @{name} AUTO_COMPRESS = FALSE OVERWRITE = TRUE"
    cursor.execute(put)
    copy = f"COPY INTO {name} FROM @{name} FILE_FORMAT = (TYPE = CSV)"
    loading = threading.Thread(target=loader.cursor().execute, args=(copy,))
    loading.start()
    time.sleep(0.3)
    source.write_text("new\n" * 1000)
    other.cursor().execute(put)
    loading.join()
    for _ in range(2):
        cursor.execute(copy)
    cursor.execute(f"SELECT v, COUNT(*) FROM {name} WHERE v IN ('old', 'new') GROUP BY v")
    counts = dict(cursor.fetchall())
    # The old rows are there where the file was replaced after it was loaded.
    assert counts.pop("old", 1000) == 1000
    assert counts == {"new": 1000}


@pytest.mark.parametrize("threshold", [1, 4])
def test_large_array_binds_travel_through_a_stage(connect, name, threshold):
    connection = connect(
        paramstyle="qmark",
        session_parameters={"CLIENT_STAGE_ARRAY_BINDING_THRESHOLD": threshold},
    )
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE {name} (A INT, B VARCHAR, C DATE, D TIMESTAMP_NTZ, E BOOLEAN)")
    rows = [
        (1, 'quote " and, comma', datetime.date(2024, 2, 29), None, True),
        (2, None, datetime.date(1750, 5, 9), datetime.datetime(2024, 1, 1, 2, 3, 4, 5), False),
        (3, "line\nbreak", None, datetime.datetime(1980, 12, 31, 23, 59, 59), None),
    ]
    cursor.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?)", rows)
    assert cursor.rowcount == 3
    cursor.execute(f"SELECT * FROM {name} ORDER BY A")
    assert cursor.fetchall() == rows
    # The driver's stage was really used.
    cursor.execute("SHOW STAGES LIKE 'SYSTEM%BIND'")
    assert len(cursor.fetchall()) == 1


def test_addresses_of_files_are_signed_for_the_session_that_asked(wire, server, database, name):
    assert wire.query(f"CREATE STAGE {name}")["success"]
    put = wire.query(f"PUT 'file:///no/such/file.csv' @{name} AUTO_COMPRESS = FALSE")
    assert put["success"]
    path = f"/queries/{put['data']['queryId']}/result"
    # The answer may have been lost.
    assert wire.get(path)["data"]["stageInfo"]
    other = Wire(server, databaseName=database, schemaName="TESTS", warehouse="", roleName="")
    answer = other.get(path)
    assert not answer["success"] and "not found" in answer["message"], answer


def test_a_damaged_parquet_file_on_a_stage_is_no_internal_error(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}")
    cursor.execute(f"CREATE FILE FORMAT {name} TYPE = PARQUET")
    file = tmp_path / "t.parquet"
    pd.DataFrame({"N": range(100), "S": [f"text {n}" for n in range(100)]}).to_parquet(file)
    whole = file.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    schema = whole.index(b"ARROW:schema")
    refused = 0
    for at in [*range(schema, schema + 400, 23), *range(footer, len(whole), 61)]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        file.write_bytes(damaged)
        cursor.execute(f"PUT file://{file} @{name} OVERWRITE = TRUE AUTO_COMPRESS = FALSE")
        try:
            cursor.execute(f"SELECT $1 FROM @{name}/t.parquet (FILE_FORMAT => {name})").fetchall()
        except ProgrammingError as error:
            assert "Internal error" not in error.msg, f"{at}: {error.msg}"
            refused += 1
    assert refused > 3
