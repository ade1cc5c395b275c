"""Snowflake's SQL API, version 2: statements over HTTP without a driver."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

ENDLESS = (
    "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) A, "
    "TABLE(GENERATOR(ROWCOUNT => 1000000)) B"
)


class Api:
    def __init__(self, server, token):
        self.url = server.url + "/api/v2/statements"
        self.headers = {
            "Authorization": f"Bearer {token}",
            "X-Snowflake-Authorization-Token-Type": "PROGRAMMATIC_ACCESS_TOKEN",
            "Accept": "application/json",
            "User-Agent": "tests/1",
        }

    def post(self, statement, expect=200, query=None, **body):
        body = {"statement": statement, "database": "CLIENTS", "schema": "TESTS", **body}
        reply = requests.post(self.url, json=body, params=query, headers=self.headers)
        assert reply.status_code == expect, reply.text
        return reply.json()

    def get(self, handle, expect=200, **query):
        reply = requests.get(f"{self.url}/{handle}", params=query, headers=self.headers)
        assert reply.status_code == expect, reply.text
        return reply.json()

    def cancel(self, handle, expect=200):
        reply = requests.post(f"{self.url}/{handle}/cancel", headers=self.headers)
        assert reply.status_code == expect, reply.text
        return reply.json()


@pytest.fixture
def api(server, cursor, name):
    cursor.execute(f"ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN {name}")
    yield Api(server, cursor.fetchone()[1])
    cursor.execute(f"ALTER USER ADMIN REMOVE PROGRAMMATIC ACCESS TOKEN {name}")


def test_a_statement_answers_with_rows_and_their_types(api):
    reply = api.post(
        "SELECT 12.50::NUMBER(10,2) AS N, 'x' AS S, TRUE AS B, NULL AS E, '2024-01-01'::DATE AS D,"
        " '2024-01-01 02:03:04.5'::TIMESTAMP_NTZ(3) AS T,"
        " '2024-01-01 02:03:04.5 +0530'::TIMESTAMP_TZ(3) AS Z, '01:02:03'::TIME(0) AS C"
    )
    assert reply["code"] == "090001"
    assert reply["sqlState"] == "00000"
    assert uuid.UUID(reply["statementHandle"])
    meta = reply["resultSetMetaData"]
    assert (meta["numRows"], meta["format"]) == (1, "jsonv2")
    assert [column["name"] for column in meta["rowType"]] == list("NSBEDTZC")
    assert meta["rowType"][0]["type"] == "fixed"
    assert (meta["rowType"][0]["precision"], meta["rowType"][0]["scale"]) == (10, 2)
    assert reply["data"] == [
        [
            "12.50",
            "x",
            "true",
            None,
            "19723",
            "1704074584.500000000",
            "1704054784.500000000 1770",
            "3723.000000000",
        ]
    ]
    assert api.post("SELECT NULL", query={"nullable": "false"})["data"] == [["null"]]


def test_bindings_context_and_parameters(api, cursor, name):
    reply = api.post(
        "SELECT ? + 1, ?, CURRENT_SCHEMA(), CURRENT_ROLE(), CURRENT_TIMESTAMP()::VARCHAR",
        bindings={"1": {"type": "FIXED", "value": "41"}, "2": {"type": "TEXT", "value": "it's"}},
        role="PUBLIC",
        parameters={"TIMEZONE": "Asia/Tokyo"},
    )
    (row,) = reply["data"]
    # The role sees no schema.
    assert row[:4] == ["42", "it's", None, "PUBLIC"]
    assert row[4].endswith("+0900")


def test_nothing_outlives_a_request(api):
    api.post("CREATE TEMPORARY TABLE SHORT_LIVED (A INT)")
    reply = api.post("SELECT * FROM SHORT_LIVED", expect=422)
    assert (reply["code"], reply["sqlState"]) == ("002003", "42S02")
    assert "SHORT_LIVED" in reply["message"]
    assert uuid.UUID(reply["statementHandle"])


def test_parts_together_are_the_whole(api):
    reply = api.post("SELECT SEQ4() AS N, REPEAT('x', 50) FROM TABLE(GENERATOR(ROWCOUNT => 300000))")
    parts = reply["resultSetMetaData"]["partitionInfo"]
    assert len(parts) > 1
    numbers = [row[0] for row in reply["data"]]
    assert len(numbers) == parts[0]["rowCount"]
    for index, part in enumerate(parts[1:], start=1):
        more = api.get(reply["statementHandle"], partition=index)
        assert set(more) == {"data"}
        assert len(more["data"]) == part["rowCount"]
        numbers += [row[0] for row in more["data"]]
    assert sorted(map(int, numbers)) == list(range(300000))
    api.get(reply["statementHandle"], partition=len(parts), expect=400)


def test_asynchronous_statements(api):
    reply = api.post("SELECT 7", expect=202, query={"async": "true"})
    assert reply["code"] == "333334"
    deadline = time.monotonic() + 30
    while True:
        answer = requests.get(f"{api.url}/{reply['statementHandle']}", headers=api.headers)
        if answer.status_code == 200:
            break
        assert answer.status_code == 202 and time.monotonic() < deadline
    assert answer.json()["data"] == [["7"]]


def test_cancelling(api):
    handle = api.post(ENDLESS, expect=202, query={"async": "true"})["statementHandle"]
    assert api.get(handle, expect=202)["code"] == "333333"
    assert api.cancel(handle)["code"] == "000604"
    deadline = time.monotonic() + 30
    while requests.get(f"{api.url}/{handle}", headers=api.headers).status_code == 202:
        assert time.monotonic() < deadline
    assert api.get(handle, expect=422)["code"] == "000604"
    api.cancel(handle, expect=422)
    api.cancel(str(uuid.uuid4()), expect=404)


def test_a_time_limit(api):
    assert api.post(ENDLESS, expect=408, timeout=1)["code"] == "000630"


def test_a_repeated_request_runs_once(api, cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    query = {"requestId": str(uuid.uuid4())}
    first = api.post(f"INSERT INTO {name} VALUES (1)", query=query)
    again = api.post(f"INSERT INTO {name} VALUES (1)", query={**query, "retry": "true"})
    assert first["statementHandle"] == again["statementHandle"]
    assert api.post(f"SELECT COUNT(*) FROM {name}")["data"] == [["1"]]


def test_attempts_that_come_together_run_once(api, cursor, name):
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    for row in range(10):
        query = {"requestId": str(uuid.uuid4())}

        def attempt(retry):
            return api.post(f"INSERT INTO {name} VALUES ({row})", query={**query, **retry})

        with ThreadPoolExecutor(3) as pool:
            replies = list(pool.map(attempt, [{"retry": "true"}, {"retry": "true"}, {}]))
        assert len({reply["statementHandle"] for reply in replies}) == 1
    assert api.post(f"SELECT COUNT(*), COUNT(DISTINCT A) FROM {name}")["data"] == [["10", "10"]]


def test_a_repeated_request_runs_once_over_a_kill(own_server):
    server = own_server()
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE CLIENTS")
        cursor.execute("CREATE TABLE CLIENTS.PUBLIC.T (A INT)")
        cursor.execute("ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN T")
        api = Api(server, cursor.fetchone()[1])
    insert = {"statement": "INSERT INTO T VALUES (1)", "schema": "PUBLIC"}
    query = {"requestId": str(uuid.uuid4())}
    first = api.post(query=query, **insert)
    server.process.kill()
    server.process.wait()
    api.url = own_server().url + "/api/v2/statements"
    again = api.post(query={**query, "retry": "true"}, **insert)
    assert again["statementHandle"] == first["statementHandle"]
    assert again["data"] == first["data"] == [["1"]]
    assert api.post("SELECT COUNT(*) FROM T", schema="PUBLIC")["data"] == [["1"]]


def test_several_statements(api):
    reply = api.post("SELECT 1; SELECT 'b'", parameters={"MULTI_STATEMENT_COUNT": "2"})
    handles = reply["statementHandles"]
    assert [api.get(handle)["data"] for handle in handles] == [[["1"]], [["b"]]]
    assert api.post("SELECT 1; SELECT 2", expect=422)["code"] == "000008"


def test_refusals(server, api, cursor, name):
    stranger = {**api.headers, "Authorization": "Bearer none"}
    body = {"statement": "SELECT 1"}
    assert requests.post(api.url, json=body, headers=stranger).status_code == 401
    assert requests.post(api.url, json=body).status_code == 401
    oauth = {**api.headers, "X-Snowflake-Authorization-Token-Type": "OAUTH"}
    reply = requests.post(api.url, json=body, headers=oauth)
    assert reply.status_code == 401 and "OAUTH" in reply.json()["message"]
    assert requests.post(api.url, data="{", headers=api.headers).status_code == 400
    # Another user's statement is as good as none.
    handle = api.post("SELECT 1")["statementHandle"]
    cursor.execute(f"CREATE USER {name}")
    cursor.execute(f"ALTER USER {name} ADD PROGRAMMATIC ACCESS TOKEN T")
    other = Api(server, cursor.fetchone()[1])
    other.get(handle, expect=404)
    cursor.execute(f"DROP USER {name}")


def test_after_a_restart_a_statement_is_told_from_the_history(own_server):
    server = own_server()
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN T")
        token = cursor.fetchone()[1]
        cursor.execute("ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN H ROLE_RESTRICTION = 'PUBLIC'")
        held_token = cursor.fetchone()[1]
    api = Api(server, token)
    done = api.post("SELECT 7")["statementHandle"]
    failed = api.post("SELECT 1 / 0", expect=422)["statementHandle"]
    assert api.get(failed, expect=422)["code"] == "100051"
    server.stop()

    server = own_server()
    api, held = Api(server, token), Api(server, held_token)
    reply = api.get(done, expect=422)
    assert (reply["code"], reply["sqlState"]) == ("000709", "02000")
    assert "no longer kept" in reply["message"] and reply["statementHandle"] == done
    reply = api.get(failed, expect=422)
    assert (reply["code"], reply["sqlState"]) == ("100051", "22012")
    assert "Division by zero" in reply["message"]
    # Who is held to one role learns that it failed, and not what of.
    reply = held.get(failed, expect=422)
    assert reply["code"] == "100051" and "zero" not in reply["message"]
    assert api.get(str(uuid.uuid4()), expect=404)["code"] == "000709"


def test_the_secret_of_a_token_is_shown_once(api, cursor, name):
    add = "ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN "
    request = {"requestId": str(uuid.uuid4())}
    reply = api.post(f"{add}{name}_A", query=request)
    secret = reply["data"][0][1]
    again = api.post(f"{add}{name}_A", query={**request, "retry": "true"})
    assert again["data"][0][1] == secret
    assert "shown once" in api.get(reply["statementHandle"], expect=404)["message"]
    # What nobody waited for is shown to who asks first.
    handle = api.post(f"{add}{name}_B", expect=202, query={"async": "true"})["statementHandle"]
    while (reply := requests.get(f"{api.url}/{handle}", headers=api.headers)).status_code == 202:
        pass
    assert reply.json()["data"][0][1] != secret
    assert "shown once" in api.get(handle, expect=404)["message"]
    # Not what a session of a driver was answered.
    cursor.execute(f"{add}{name}_C")
    assert secret not in str(api.get(cursor.sfqid, expect=404))
    for token in "ABC":
        cursor.execute(f"ALTER USER admin REMOVE PROGRAMMATIC ACCESS TOKEN {name}_{token}")
