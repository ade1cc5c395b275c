"""What breaks a naive server: one test for each of the ten traps of the wire protocol."""

import base64
import datetime
import gzip
import io
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import requests
from conftest import Wire
from snowflake.connector import errors


def chunk_tables(data):
    """All Arrow parts of an answer: the inline one and every chunk."""
    parts = [pa.ipc.open_stream(base64.b64decode(data["rowsetBase64"])).read_all()]
    for chunk in data["chunks"]:
        # Chunks are fetched without a session.
        response = requests.get(chunk["url"], headers=data.get("chunkHeaders"))
        assert response.status_code == 200, response.text
        table = pa.ipc.open_stream(response.content).read_all()
        assert table.num_rows == chunk["rowCount"]
        parts.append(table)
    return parts


def test_trap_1_stage_transfers_need_no_shared_disk(server, database, cursor, name):
    cursor.execute(f"CREATE STAGE {name}")
    for version in ("4.8.1", "5.2.0"):
        wire = Wire(server, version=version, databaseName=database, schemaName="TESTS")
        data = wire.query(f"PUT file:///tmp/a.csv @{name}")["data"]
        assert data["command"] == "UPLOAD"
        assert data["stageInfo"]["locationType"] == "GCS"
        assert data["encryptionMaterial"] is None


def test_trap_2_one_integer_width_per_column(wire):
    data = wire.query(
        "SELECT SEQ4() AS N, REPEAT('x', 40) AS T FROM TABLE(GENERATOR(ROWCOUNT => 400000))"
    )["data"]
    assert len(data["chunks"]) >= 2
    tables = chunk_tables(data)
    types = {table.schema.field("N").type for table in tables}
    assert len(types) == 1 and pa.types.is_integer(types.pop())
    numbers = pa.concat_tables(tables)["N"].to_pylist()
    assert sorted(numbers) == list(range(400000))


def test_trap_2_sums_are_right_through_the_connector(cursor):
    cursor.execute("SELECT SEQ4() AS N FROM TABLE(GENERATOR(ROWCOUNT => 300000))")
    assert sum(row[0] for row in cursor) == 300000 * 299999 // 2


def test_trap_3_empty_results(wire, cursor):
    data = wire.query("SELECT 1 AS A WHERE FALSE")["data"]
    assert data["queryResultFormat"] == "arrow"
    assert data["rowsetBase64"] == ""
    assert data["total"] == 0
    cursor.execute("SELECT 1 AS A, 'x' AS B WHERE FALSE")
    assert cursor.fetchall() == []
    cursor.execute("SELECT 1 AS A, 'x' AS B WHERE FALSE")
    frame = cursor.fetch_pandas_all()
    assert len(frame) == 0
    assert list(frame.columns) == ["A", "B"]


def test_trap_4_nested_arrow_children_carry_their_type(wire):
    data = wire.query("SELECT [1.5, 2.5]::VECTOR(FLOAT, 2) AS V")["data"]
    (table,) = [pa.ipc.open_stream(base64.b64decode(data["rowsetBase64"])).read_all()]
    field = table.schema.field("V")
    assert field.metadata[b"logicalType"] == b"VECTOR"
    assert field.type.value_field.metadata[b"logicalType"] == b"REAL"
    assert data["rowtype"][0]["vectorDimension"] == 2
    assert table["V"].to_pylist() == [[1.5, 2.5]]


def test_trap_5_sql_errors_are_http_200(wire):
    # The helper asserts the status.
    reply = wire.query("SELECT * FROM NO_SUCH_TABLE")
    assert reply["success"] is False
    assert reply["code"] == "002003"
    assert reply["data"]["sqlState"] in ("02000", "42S02")
    assert uuid.UUID(reply["data"]["queryId"])
    reply = wire.query("SELEC 1")
    assert reply["code"] == "001003"
    assert reply["data"]["line"] == 1
    assert reply["data"]["type"] == "COMPILATION"


def test_trap_6_executemany_finds_its_threshold(connect, name):
    connection = connect(paramstyle="qmark")
    cursor = connection.cursor()
    cursor.execute(f"CREATE TABLE {name} (A INT, B VARCHAR)")
    rows = [(i, f"row {i}") for i in range(500)]
    cursor.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
    assert cursor.rowcount == 500
    cursor.execute(f"SELECT A, B FROM {name} ORDER BY A")
    assert cursor.fetchall() == rows


def test_trap_7_login_answers_everything(wire):
    data = wire.login["data"]
    assert data["token"] and data["masterToken"]
    assert isinstance(data["sessionId"], int)
    assert data["validityInSeconds"] > 0 and data["masterValidityInSeconds"] > 0
    assert data["sessionInfo"]["databaseName"] == "CLIENTS"
    names = {parameter["name"] for parameter in data["parameters"]}
    assert {"AUTOCOMMIT", "TIMEZONE", "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD"} <= names


def test_trap_8_double_slash_in_monitoring(wire):
    query_id = wire.query("SELECT 1")["data"]["queryId"]
    for path in (f"/monitoring/queries/{query_id}", f"/monitoring/queries//{query_id}"):
        (entry,) = wire.get(path)["data"]["queries"]
        assert entry["id"] == query_id
        assert entry["status"] == "SUCCESS"
    assert wire.get(f"/monitoring/queries/{uuid.uuid4()}")["data"]["queries"] == []


def test_trap_9_every_answer_lists_the_parameters(server, database):
    wire = Wire(server, app="JavaScript", version="3.3.0", databaseName=database)
    data = wire.query("SELECT TO_BINARY('ab01', 'HEX') AS B, TRUE AS T")["data"]
    names = {parameter["name"] for parameter in data["parameters"]}
    assert {"BINARY_OUTPUT_FORMAT", "DATE_OUTPUT_FORMAT", "TIMESTAMP_OUTPUT_FORMAT"} <= names
    assert data["queryResultFormat"] == "json"
    assert data["rowset"] == [["AB01", "1"]]


def test_trap_10_dml_answers_are_json_with_counts(wire, cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    for text, statement_type, column, count in [
        (f"INSERT INTO {name} VALUES (1), (2), (3)", 0x3100, "number of rows inserted", 3),
        (f"UPDATE {name} SET A = 9 WHERE A > 1", 0x3200, "number of rows updated", 2),
        (f"DELETE FROM {name} WHERE A = 1", 0x3300, "number of rows deleted", 1),
    ]:
        data = wire.query(text)["data"]
        assert data["queryResultFormat"] == "json"
        assert data["statementTypeId"] == statement_type
        assert data["rowtype"][0]["name"] == column
        assert data["rowset"][0][0] == str(count)
    cursor.execute(f"INSERT INTO {name} SELECT * FROM {name}")
    assert cursor.rowcount == 2


def test_json_rows_have_exactly_scale_digits(wire):
    data = wire.query(
        "SELECT 12345.67::NUMBER(12,2), TRUE, '2024-01-01'::DATE, "
        "'2024-01-01 02:03:04.123456'::TIMESTAMP_NTZ(3), '01:02:03.5'::TIME(0), "
        "'2024-01-01 02:03:04 +0530'::TIMESTAMP_TZ(9), NULL, 1.5::FLOAT",
        parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"},
    )["data"]
    assert data["queryResultFormat"] == "json"
    epoch = int(datetime.datetime(2024, 1, 1, 2, 3, 4, tzinfo=datetime.timezone.utc).timestamp())
    assert data["rowset"] == [
        [
            "12345.67",
            "1",
            "19723",
            f"{epoch}.123",
            "3723",
            f"{epoch - 5 * 3600 - 1800}.000000000 1770",
            None,
            "1.5",
        ]
    ]


def test_json_chunks_have_no_outer_brackets(wire):
    data = wire.query(
        "SELECT SEQ4() AS N, REPEAT('x', 30) AS T FROM TABLE(GENERATOR(ROWCOUNT => 100000))",
        parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"},
    )["data"]
    rows = list(data["rowset"])
    for chunk in data["chunks"]:
        response = requests.get(chunk["url"])
        rows += json.loads(f"[{response.text}]")
    assert len(rows) == data["total"] == 100000
    assert sorted(int(row[0]) for row in rows) == list(range(100000))


def test_bodies_are_decoded_by_their_header(wire):
    assert wire.query("SELECT 1", zipped=True)["success"]
    assert wire.query("SELECT 1", zipped=False)["success"]


def test_a_retried_request_runs_once(wire, cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    request = str(uuid.uuid4())
    first = wire.query(f"INSERT INTO {name} VALUES (1)", request_id=request)
    again = wire.query(f"INSERT INTO {name} VALUES (1)", request_id=request, retry=1)
    assert first["data"]["queryId"] == again["data"]["queryId"]
    cursor.execute(f"SELECT COUNT(*) FROM {name}")
    assert cursor.fetchone() == (1,)


def test_attempts_of_a_request_that_come_together_run_once(wire, server, cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    attempts = [Wire(server, token=wire.token, master_token=wire.master_token) for _ in range(6)]
    for row in range(10):
        request = str(uuid.uuid4())

        def attempt(number):
            text = f"INSERT INTO {name} VALUES ({row})"
            return attempts[number].query(text, request_id=request, retry=number)["data"]["queryId"]

        with ThreadPoolExecutor(len(attempts)) as pool:
            # The first attempt may be read last.
            ids = set(pool.map(attempt, reversed(range(len(attempts)))))
        assert len(ids) == 1
    cursor.execute(f"SELECT COUNT(*), COUNT(DISTINCT A) FROM {name}")
    assert cursor.fetchone() == (10, 10)


def test_chunk_urls_are_signed(wire):
    data = wire.query(
        "SELECT SEQ4() AS N, REPEAT('x', 40) AS T FROM TABLE(GENERATOR(ROWCOUNT => 200000))"
    )["data"]
    url = data["chunks"][0]["url"]
    assert requests.get(url).status_code == 200
    # The last character of a token may carry unused bits; one in the middle never does.
    middle = len(url) - 20
    forged = url[:middle] + ("A" if url[middle] != "A" else "B") + url[middle + 1 :]
    assert requests.get(forged).status_code == 403


def test_tokens_renew_and_end(wire):
    reply = wire.post(
        "/session/token-request",
        {"oldSessionToken": wire.token, "requestType": "RENEW"},
        token=wire.master_token,
    )
    assert reply["success"], reply
    wire.token = reply["data"]["sessionToken"]
    assert reply["data"]["sessionId"] == wire.login["data"]["sessionId"]
    assert wire.query("SELECT 1")["success"]
    assert wire.post("/session/heartbeat", None, token=wire.token)["success"]
    assert wire.post("/session?delete=true", {}, token=wire.token)["success"]
    reply = wire.query("SELECT 1")
    assert reply["success"] is False
    assert reply["code"] in ("390104", "390111")


@pytest.mark.parametrize(
    "authenticator, code",
    [("OAUTH", "390303"), ("OKTA", "390190")],
)
def test_other_authenticators_are_refused_by_name(wire, authenticator, code):
    data = {"LOGIN_NAME": "admin", "AUTHENTICATOR": authenticator, "TOKEN": "x"}
    reply = wire.post("/session/v1/login-request", {"data": data})
    assert reply["success"] is False
    assert reply["code"] == code
    assert "not supported" in reply["message"]


def test_wrong_password_is_a_database_error(server):
    with pytest.raises(errors.DatabaseError) as caught:
        server.connect(password="wrong", login_timeout=10)
    assert caught.value.errno == 390100


def test_gzip_garbage_is_an_error_not_a_crash(server, wire):
    headers = {
        "Authorization": f'Snowflake Token="{wire.token}"',
        "Content-Encoding": "gzip",
        "Content-Type": "application/json",
    }
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as packed:
        packed.write(b"{}")
    response = requests.post(
        server.url + "/queries/v1/query-request", data=buffer.getvalue()[:-6], headers=headers
    )
    assert response.status_code == 200
    assert response.json()["success"] is False
    assert wire.query("SELECT 1")["success"]


def test_slow_statements_are_polled(wire):
    slow = (
        "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) A, "
        "TABLE(GENERATOR(ROWCOUNT => 1000000)) B"
    )
    # The first answer comes when the server no longer holds the request.
    reply = wire.query(slow)
    assert reply["success"] and reply["code"] == "333333"
    query_id = reply["data"]["queryId"]
    assert reply["data"]["getResultUrl"].startswith(f"/queries/{query_id}/result")
    (entry,) = wire.get(f"/monitoring/queries/{query_id}")["data"]["queries"]
    assert entry["status"] == "RUNNING"
    assert wire.post(f"/queries/{query_id}/abort-request", {}, token=wire.token)["success"]
    assert wire.get(reply["data"]["getResultUrl"])["code"] == "000604"
