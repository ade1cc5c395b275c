"""The Python connector as its users use it; the same under versions 4 and 5."""

import datetime
import decimal
import json
import threading
import time
import uuid

import pytest
import snowflake.connector
from conftest import CONNECTOR_MAJOR
from snowflake.connector import DictCursor, errors
from snowflake.connector.constants import QueryStatus

# Long enough to be interrupted, and made of work a cancelled query must drop.
ENDLESS = (
    "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) A, "
    "TABLE(GENERATOR(ROWCOUNT => 1000000)) B"
)


def test_login_sets_the_context(connect):
    connection = connect(session_parameters={"QUERY_TAG": "tests", "TIMEZONE": "Europe/Zurich"})
    cursor = connection.cursor()
    cursor.execute("SELECT CURRENT_USER(), CURRENT_DATABASE(), CURRENT_SCHEMA()")
    assert cursor.fetchone() == ("ADMIN", "CLIENTS", "TESTS")
    assert connection.database == "CLIENTS"
    assert connection.schema == "TESTS"
    cursor.execute("SHOW PARAMETERS LIKE 'TIMEZONE'")
    assert "Europe/Zurich" in cursor.fetchone()


def test_use_moves_the_context(connection, name):
    cursor = connection.cursor()
    cursor.execute(f"CREATE SCHEMA {name}")
    assert connection.schema == name
    cursor.execute("USE SCHEMA TESTS")
    assert connection.schema == "TESTS"
    cursor.execute(f"DROP SCHEMA {name}")


def test_pyformat_binds(cursor):
    cursor.execute(
        "SELECT %s, %s, %s, %s, %s", (1, "it's", None, 1.5, datetime.date(2024, 2, 29))
    )
    row = cursor.fetchone()
    assert row[:3] == (1, "it's", None)
    assert float(row[3]) == 1.5
    assert str(row[4]) == "2024-02-29"
    cursor.execute("SELECT %(a)s + %(b)s", {"a": 2, "b": 3})
    assert cursor.fetchone() == (5,)


def test_qmark_binds(connect, name):
    cursor = connect(paramstyle="qmark").cursor()
    cursor.execute(
        f"CREATE TABLE {name} (I INT, N NUMBER(10,2), S VARCHAR, F FLOAT, B BOOLEAN, D DATE, "
        "T TIME, TS TIMESTAMP_NTZ, BIN BINARY, X VARCHAR)"
    )
    row = (
        7,
        decimal.Decimal("1.20"),
        "it's \u00fcber",
        1.5,
        True,
        datetime.date(2024, 1, 2),
        datetime.time(1, 2, 3, 4),
        datetime.datetime(2024, 1, 1, 2, 3, 4, 5),
        b"\xab\x01",
        None,
    )
    cursor.execute(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    cursor.execute(f"SELECT * FROM {name}")
    found = cursor.fetchone()
    assert tuple(found[:8]) == row[:8]
    assert bytes(found[8]) == row[8]
    assert found[9] is None
    cursor.execute("SELECT COUNT(*) FROM IDENTIFIER(?) WHERE S = ?", (name, row[2]))
    assert cursor.fetchone() == (1,)


def test_missing_binds_are_an_error(connect):
    cursor = connect(paramstyle="qmark").cursor()
    with pytest.raises(errors.ProgrammingError):
        cursor.execute("SELECT ?, ?", (1,))


def test_executemany_formats(cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT, B VARCHAR)")
    cursor.executemany(f"INSERT INTO {name} VALUES (%s, %s)", [(i, f"r{i}") for i in range(20)])
    cursor.execute(f"SELECT SUM(A), COUNT(DISTINCT B) FROM {name}")
    assert cursor.fetchone() == (190, 20)


def test_describe_runs_nothing(cursor, name):
    columns = cursor.describe("SELECT 1::NUMBER(10,2) AS A, 'x' AS B, NULL::TIMESTAMP_LTZ AS C")
    assert [column.name for column in columns] == ["A", "B", "C"]
    assert (columns[0].precision, columns[0].scale) == (10, 2)
    cursor.describe(f"CREATE TABLE {name} (A INT)")
    with pytest.raises(errors.ProgrammingError):
        cursor.execute(f"SELECT * FROM {name}")


def test_every_type_arrives(cursor):
    cursor.execute("ALTER SESSION SET TIMEZONE = 'Europe/Zurich'")
    cursor.execute(
        """SELECT 1::NUMBER(38,0), 12345.67::NUMBER(12,2), 1.5::FLOAT, 'text', TRUE,
           '2024-02-29'::DATE, '01:02:03.000004'::TIME,
           '2024-01-01 02:03:04.000005'::TIMESTAMP_NTZ,
           '2024-01-01 02:03:04 +0000'::TIMESTAMP_LTZ,
           '2024-01-01 02:03:04 +0530'::TIMESTAMP_TZ,
           '9999-12-31 23:59:59.999999'::TIMESTAMP_NTZ,
           TO_BINARY('ab01', 'HEX'), NULL,
           99999999999999999999999999999999999999::NUMBER(38,0)"""
    )
    row = cursor.fetchone()
    assert row[0] == 1
    assert row[1] == decimal.Decimal("12345.67")
    assert row[2:5] == (1.5, "text", True)
    assert row[5] == datetime.date(2024, 2, 29)
    assert row[6] == datetime.time(1, 2, 3, 4)
    assert row[7] == datetime.datetime(2024, 1, 1, 2, 3, 4, 5)
    instant = datetime.datetime(2024, 1, 1, 2, 3, 4, tzinfo=datetime.timezone.utc)
    assert row[8] == instant
    assert row[8].utcoffset() == datetime.timedelta(hours=1)
    assert row[9] == instant - datetime.timedelta(hours=5, minutes=30)
    assert row[9].utcoffset() == datetime.timedelta(hours=5, minutes=30)
    assert row[10] == datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
    assert bytes(row[11]) == b"\xab\x01"
    assert row[12] is None
    assert row[13] == 99999999999999999999999999999999999999


def test_semi_structured_is_indented_json(cursor):
    cursor.execute("""SELECT PARSE_JSON('{"a":1,"b":[true,null]}'), ARRAY_CONSTRUCT(1, 'x')""")
    variant, array = cursor.fetchone()
    assert variant == '{\n  "a": 1,\n  "b": [\n    true,\n    null\n  ]\n}'
    assert json.loads(array) == [1, "x"]


def test_json_results_equal_arrow_results(connect):
    texts = []
    for result_format in ("ARROW", "JSON"):
        cursor = connect(
            session_parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": result_format}
        ).cursor()
        cursor.execute(
            "SELECT 1, 1.25::NUMBER(5,2), 1.5::FLOAT, 'x', FALSE, '2024-02-29'::DATE, "
            "'2024-01-01 02:03:04.5'::TIMESTAMP_NTZ, '1960-01-01 02:03:04.5'::TIMESTAMP_NTZ, NULL"
        )
        texts.append(cursor.fetchall())
    assert texts[0] == texts[1]


def test_a_large_result_comes_in_chunks(cursor):
    cursor.execute(
        "SELECT SEQ4() AS N, SEQ4() / 2 AS X, 'row ' || SEQ4() AS S "
        "FROM TABLE(GENERATOR(ROWCOUNT => 250000))"
    )
    frame = cursor.fetch_pandas_all()
    assert len(frame) == 250000
    assert int(frame["N"].sum()) == 250000 * 249999 // 2
    assert (frame["S"] == "row " + frame["N"].astype(str)).all()


def test_fetch_pandas_batches(cursor):
    cursor.execute(
        "SELECT SEQ4() AS N, REPEAT('y', 20) AS S FROM TABLE(GENERATOR(ROWCOUNT => 200000))"
    )
    frames = list(cursor.fetch_pandas_batches())
    assert sum(len(frame) for frame in frames) == 200000
    assert len({str(frame["N"].dtype) for frame in frames}) == 1


def test_dict_cursor_and_rowcount(connection):
    cursor = connection.cursor(DictCursor)
    cursor.execute("SELECT 1 AS A, 'x' AS \"b\"")
    assert cursor.rowcount == 1
    assert cursor.fetchone() == {"A": 1, "b": "x"}
    assert cursor.fetchone() is None


def test_syntax_errors_carry_code_and_state(cursor):
    with pytest.raises(errors.ProgrammingError) as caught:
        cursor.execute("SELECT FROM WHERE")
    assert caught.value.errno == 1003
    assert caught.value.sqlstate == "42000"
    assert uuid.UUID(caught.value.sfqid)


def test_missing_objects_carry_code_and_state(cursor):
    with pytest.raises(errors.ProgrammingError) as caught:
        cursor.execute("SELECT * FROM NO_SUCH_TABLE")
    assert caught.value.errno == 2003
    assert caught.value.sqlstate in ("02000", "42S02")
    assert "NO_SUCH_TABLE" in caught.value.msg


def test_execution_errors_carry_code_and_state(cursor):
    with pytest.raises(errors.ProgrammingError) as caught:
        cursor.execute("SELECT 1 / SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 3))")
    assert caught.value.errno == 100051
    assert caught.value.sqlstate == "22012"


def test_null_in_a_not_null_column_is_an_integrity_error(cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT NOT NULL)")
    with pytest.raises(errors.IntegrityError) as caught:
        cursor.execute(f"INSERT INTO {name} VALUES (NULL)")
    assert caught.value.errno == 100072


def wait_for_end(connection, query_id):
    while connection.is_still_running(connection.get_query_status(query_id)):
        time.sleep(0.05)


def test_async_queries(connection):
    cursor = connection.cursor()
    cursor.execute_async("SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000))")
    query_id = cursor.sfqid
    wait_for_end(connection, query_id)
    assert connection.get_query_status_throw_if_error(query_id) == QueryStatus.SUCCESS
    later = connection.cursor()
    later.get_results_from_sfqid(query_id)
    assert later.fetchall() == [(1000000,)]


def test_async_failures(connection):
    cursor = connection.cursor()
    cursor.execute_async("SELECT 1 / SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 3))")
    wait_for_end(connection, cursor.sfqid)
    assert connection.get_query_status(cursor.sfqid) == QueryStatus.FAILED_WITH_ERROR
    with pytest.raises(errors.ProgrammingError):
        connection.get_query_status_throw_if_error(cursor.sfqid)


def test_results_are_read_again_by_id(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1 AS A UNION ALL SELECT 2 ORDER BY A")
    query_id = cursor.sfqid
    cursor.execute(f"SELECT SUM(A) FROM TABLE(RESULT_SCAN('{query_id}'))")
    assert cursor.fetchone() == (3,)


def test_abort_stops_the_work(server, wire):
    request = str(uuid.uuid4())
    replies = []
    runner = threading.Thread(target=lambda: replies.append(wire.query(ENDLESS, request)))
    runner.start()
    while True:
        # Before the statement has arrived nothing runs, and it is ended when it comes.
        reply = wire.post(
            "/queries/v1/abort-request",
            {"sqlText": ENDLESS, "requestId": request},
            token=wire.token,
        )
        if reply["success"]:
            break
        assert reply["code"] == "000605"
        if not runner.is_alive():
            break
        time.sleep(0.05)
    runner.join(timeout=60)
    assert not runner.is_alive()
    assert replies[0]["success"] is False
    assert replies[0]["code"] == "000604"
    assert replies[0]["data"]["sqlState"] == "57014"
    if server.process:
        server.cpu_until_idle()


def test_abort_by_query_id(wire):
    query_id = wire.query(ENDLESS, asyncExec=True)["data"]["queryId"]
    assert wire.post(f"/queries/{query_id}/abort-request", {}, token=wire.token)["success"]
    reply = wire.get(f"/queries/{query_id}/result")
    assert reply["code"] == "000604"
    (entry,) = wire.get(f"/monitoring/queries/{query_id}")["data"]["queries"]
    assert entry["status"] == "ABORTED"


@pytest.mark.skipif(CONNECTOR_MAJOR >= 5, reason="connector 5 sends no abort on its timeout")
def test_client_timeout_aborts(cursor):
    with pytest.raises(errors.ProgrammingError) as caught:
        cursor.execute(ENDLESS, timeout=1)
    assert caught.value.errno == 604


def test_statement_timeout(cursor):
    cursor.execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 1")
    with pytest.raises(errors.ProgrammingError) as caught:
        cursor.execute(ENDLESS)
    assert caught.value.errno == 630
    assert caught.value.sqlstate == "57014"


def test_multi_statement_results(connection):
    cursor = connection.cursor()
    cursor.execute("SELECT 1 AS A; SELECT 'x' AS B, 2 AS C", num_statements=2)
    assert cursor.fetchall() == [(1,)]
    assert cursor.nextset()
    assert cursor.fetchall() == [("x", 2)]
    assert not cursor.nextset()


def test_transactions(connect, name):
    first, second = connect(), connect()
    first.cursor().execute(f"CREATE TABLE {name} (A INT)")
    first.autocommit(False)
    first.cursor().execute(f"INSERT INTO {name} VALUES (1)")
    assert second.cursor().execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (0,)
    first.commit()
    assert second.cursor().execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (1,)
    first.cursor().execute(f"INSERT INTO {name} VALUES (2)")
    first.rollback()
    assert second.cursor().execute(f"SELECT COUNT(*) FROM {name}").fetchone() == (1,)


def test_show_reads_as_rows(cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    cursor.execute(f"SHOW TABLES LIKE '{name}'")
    columns = [column.name for column in cursor.description]
    row = dict(zip(columns, cursor.fetchone()))
    assert row["name"] == name
    assert row["database_name"] == "CLIENTS"


def test_programmatic_access_tokens(server, connect, name):
    cursor = connect().cursor(DictCursor)
    cursor.execute(f"ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN {name}")
    row = cursor.fetchone()
    secret = row.get("token_secret") or row["TOKEN_SECRET"]
    as_password = server.connect(password=secret)
    assert as_password.cursor().execute("SELECT CURRENT_USER()").fetchone() == ("ADMIN",)
    as_password.close()
    as_token = server.connect(
        password=None, token=secret, authenticator="PROGRAMMATIC_ACCESS_TOKEN"
    )
    assert as_token.cursor().execute("SELECT CURRENT_USER()").fetchone() == ("ADMIN",)
    as_token.close()


def test_a_stalled_reader_costs_little_memory(server, connection):
    if not server.process:
        pytest.skip("the server's memory is out of reach")
    base = server.memory_bytes()
    cursor = connection.cursor()
    cursor.execute(
        "SELECT SEQ4() AS N, SEQ4() * 2 AS M, 'row number ' || SEQ4() AS S "
        "FROM TABLE(GENERATOR(ROWCOUNT => 10000000))"
    )
    assert cursor.fetchone() is not None
    peak = 0
    for _ in range(20):
        peak = max(peak, server.memory_bytes())
        time.sleep(0.25)
    assert peak - base < 300 * 1024 * 1024


def test_version_is_the_one_under_test():
    assert snowflake.connector.__version__ in ("4.8.1", "5.2.0")
