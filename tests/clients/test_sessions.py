"""The life of sessions: expiry, renewal, restarts, and ending what they run."""

import threading
import time

import pytest
from conftest import Wire
from snowflake.connector import errors

ENDLESS = (
    "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) A, "
    "TABLE(GENERATOR(ROWCOUNT => 1000000)) B"
)


def value(cursor, text):
    return cursor.execute(text).fetchone()[0]


def expire(server, session_id, what):
    server.catalog(f"UPDATE frazil_session SET {what} = 1 WHERE session_id = ?", int(session_id))


def test_an_expired_token_is_renewed_by_the_client(own_server):
    server = own_server()
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("ALTER SESSION SET QUERY_TAG = 'kept'")
        session = value(cursor, "SELECT CURRENT_SESSION()")
        expire(server, session, "session_expires_on")
        assert value(cursor, "SELECT CURRENT_SESSION()") == session
        cursor.execute("SHOW PARAMETERS LIKE 'QUERY_TAG'")
        assert "kept" in cursor.fetchone()


def test_expired_tokens_have_their_codes(own_server):
    server = own_server()
    wire = Wire(server)
    session = wire.login["data"]["sessionId"]
    expire(server, session, "session_expires_on")
    reply = wire.query("SELECT 1")
    assert (reply["success"], reply["code"]) == (False, "390112")
    assert wire.post("/session/heartbeat", None, token=wire.token)["code"] == "390112"
    expire(server, session, "master_expires_on")
    renewal = {"oldSessionToken": wire.token, "requestType": "RENEW"}
    reply = wire.post("/session/token-request", renewal, token=wire.master_token)
    assert (reply["success"], reply["code"]) == (False, "390114")
    reply = wire.post("/session/token-request", renewal, token="none of ours")
    assert (reply["success"], reply["code"]) == (False, "390113")


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_keeps_tokens_and_settings(own_server, end):
    server = own_server()
    wire = Wire(server)
    for text in (
        "CREATE DATABASE D",
        "CREATE SCHEMA S",
        "USE SCHEMA D.PUBLIC",
        "USE SCHEMA D.S",
        "CREATE ROLE R",
        "GRANT ROLE R TO USER ADMIN",
        "ALTER SESSION SET TIMEZONE = 'Asia/Tokyo', QUERY_TAG = 'before'",
    ):
        assert wire.query(text)["success"], text
    getattr(server, end)()
    again = Wire(own_server(), token=wire.token, master_token=wire.master_token)
    data = again.query(
        "SELECT CURRENT_DATABASE(), CURRENT_SCHEMA(), CURRENT_SESSION()",
        parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"},
    )["data"]
    assert data["rowset"] == [["D", "S", str(wire.login["data"]["sessionId"])]]
    parameters = {entry["name"]: entry["value"] for entry in data["parameters"]}
    assert parameters["TIMEZONE"] == "Asia/Tokyo"
    assert parameters["QUERY_TAG"] == "before"
    renewal = {"oldSessionToken": again.token, "requestType": "RENEW"}
    assert again.post("/session/token-request", renewal, token=again.master_token)["success"]


def test_a_restart_loses_the_open_transaction_and_says_so(own_server):
    server = own_server()
    wire = Wire(server)
    for text in ("CREATE DATABASE D", "CREATE TABLE T (A INT)", "BEGIN", "INSERT INTO T VALUES (1)"):
        assert wire.query(text)["success"], text
    server.kill()
    again = Wire(own_server(), token=wire.token, master_token=wire.master_token)
    # Nothing may run as if the transaction were still there.
    for text in ("INSERT INTO T VALUES (2)", "COMMIT"):
        reply = again.query(text)
        assert not reply["success"], text
        assert reply["data"]["sqlState"] == "57014"
        assert "restarted" in reply["message"]
    count = again.query(
        "SELECT COUNT(*) FROM T", parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"}
    )
    assert count["data"]["rowset"] == [["0"]]
    assert again.query("BEGIN")["success"]
    assert again.query("INSERT INTO T VALUES (3)")["success"]
    assert again.query("COMMIT")["success"]


def test_a_restart_leaves_no_statement_without_an_end(own_server):
    server = own_server()
    wire = Wire(server)
    assert wire.query("CREATE DATABASE D")["success"]
    assert wire.query("CREATE TABLE T (A INT)")["success"]

    def state(wire, query_id):
        (entry,) = wire.get(f"/monitoring/queries/{query_id}")["data"]["queries"]
        return entry

    def start(text):
        return wire.query(text, asyncExec=True)["data"]["queryId"]

    done, failed = start("INSERT INTO T VALUES (1), (2)"), start("CREATE TABLE U AS SELECT 1 / 0 A")
    lost = start(ENDLESS)
    until(lambda: state(wire, done)["status"] == "SUCCESS")
    until(lambda: state(wire, failed)["status"] == "FAILED_WITH_ERROR")
    time.sleep(1)  # until the history is written
    assert state(wire, lost)["status"] == "RUNNING"
    server.kill()
    again = Wire(own_server(), token=wire.token, master_token=wire.master_token)
    assert state(again, done)["status"] == "SUCCESS"
    assert state(again, failed)["status"] == "FAILED_WITH_ERROR"
    assert state(again, failed)["errorCode"] == "100051"
    assert state(again, lost)["status"] == "FAILED_WITH_INCIDENT"
    assert "restarted" in state(again, lost)["errorMessage"]
    for query_id, words in ((done, "success"), (failed, "100051"), (lost, "restarted")):
        reply = again.get(f"/queries/{query_id}/result")
        assert (reply["success"], reply["code"]) == (False, "000709")
        assert words in reply["message"]


def test_temporary_tables_end_with_their_session(connect, name):
    first = connect()
    first.cursor().execute(f"CREATE TEMPORARY TABLE {name} (A INT)")
    second = connect().cursor()
    with pytest.raises(errors.ProgrammingError):
        second.execute(f"SELECT * FROM {name}")
    first.close()
    second.execute(f"CREATE TABLE {name} (B INT)")
    assert second.execute(f"SELECT * FROM {name}").fetchall() == []


def running(connection, text=ENDLESS):
    """Runs a statement in a thread; its errors arrive in the list."""
    caught = []

    def run():
        try:
            connection.cursor().execute(text)
        except errors.Error as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, caught


def until(condition):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen")


def test_cancel_all_queries_of_a_session(connect):
    busy, other = connect(), connect().cursor()
    session = value(busy.cursor(), "SELECT CURRENT_SESSION()")
    thread, caught = running(busy)
    until(lambda: value(other, f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session})").startswith("1 "))
    thread.join(timeout=60)
    assert [error.errno for error in caught] == [604]
    # The session itself goes on.
    assert value(busy.cursor(), "SELECT 1") == 1
    assert value(other, f"CALL SYSTEM$CANCEL_ALL_QUERIES({session})").startswith("0 ")


def test_cancel_query_by_id(connect):
    busy, other = connect(), connect().cursor()
    cursor = busy.cursor()
    cursor.execute_async(ENDLESS)
    query_id = cursor.sfqid
    cancel = f"SELECT SYSTEM$CANCEL_QUERY('{query_id}')"
    until(lambda: value(other, cancel) == f"query [{query_id}] terminated.")
    until(lambda: not busy.is_still_running(busy.get_query_status(query_id)))
    assert "not currently executing" in value(other, cancel)


def test_system_functions_run_once_and_not_when_described(connect):
    connection = connect()
    cursor = connection.cursor()
    session = value(cursor, "SELECT CURRENT_SESSION()")
    cursor.describe(f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session}) AS X")
    cursor.execute(f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session}) AS X, 1 + 1")
    assert cursor.fetchall()[0][1] == 2
    with pytest.raises(errors.ProgrammingError):
        cursor.execute("SELECT SYSTEM$CANCEL_ALL_QUERIES(123456789)")
    with pytest.raises(errors.ProgrammingError):
        cursor.execute(
            f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session}) "
            "FROM TABLE(GENERATOR(ROWCOUNT => 3))"
        )


def test_wait_can_be_cancelled(connect):
    busy, other = connect(), connect().cursor()
    assert value(other, "SELECT SYSTEM$WAIT(1, 'MILLISECONDS')") == "waited 1 milliseconds"
    session = value(busy.cursor(), "SELECT CURRENT_SESSION()")
    thread, caught = running(busy, "SELECT SYSTEM$WAIT(1, 'HOURS')")
    until(lambda: value(other, f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session})").startswith("1 "))
    thread.join(timeout=60)
    assert [error.errno for error in caught] == [604]


def test_transactions_are_shown_and_aborted(connect, name):
    holder, other = connect(), connect().cursor()
    cursor = holder.cursor()
    cursor.execute(f"CREATE TABLE {name} (A INT)")
    cursor.execute("BEGIN NAME T1")
    cursor.execute(f"INSERT INTO {name} VALUES (1)")
    session = value(cursor, "SELECT CURRENT_SESSION()")
    transaction = value(cursor, "SELECT CURRENT_TRANSACTION()")
    other.execute("SHOW TRANSACTIONS")
    columns = [column.name for column in other.description]
    rows = [dict(zip(columns, row)) for row in other.fetchall()]
    (row,) = [row for row in rows if str(row["session"]) == session]
    assert (str(row["id"]), row["name"], row["state"]) == (transaction, "T1", "running")
    assert transaction in value(other, f"SELECT SYSTEM$ABORT_TRANSACTION({transaction})")
    # Nothing goes on as if it had never been: the client must say that it knows.
    with pytest.raises(errors.ProgrammingError) as raised:
        cursor.execute(f"SELECT COUNT(*) FROM {name}")
    assert raised.value.errno == 625
    cursor.execute("ROLLBACK")
    assert value(cursor, f"SELECT COUNT(*) FROM {name}") == 0
    assert value(cursor, "SELECT CURRENT_TRANSACTION()") is None


def test_an_aborted_session_is_gone(server, connect):
    wire = Wire(server)
    session = wire.login["data"]["sessionId"]
    other = connect().cursor()
    assert str(session) in value(other, f"SELECT SYSTEM$ABORT_SESSION({session})")
    assert wire.query("SELECT 1")["code"] in ("390104", "390111")


def test_others_sessions_are_out_of_reach(server, connect, name):
    admin = connect().cursor()
    session = value(admin, "SELECT CURRENT_SESSION()")
    admin.execute(f"CREATE USER {name} PASSWORD = 'a-password-7'")
    stranger = server.connect(user=name, password="a-password-7").cursor()
    for function in ("SYSTEM$ABORT_SESSION", "SYSTEM$CANCEL_ALL_QUERIES"):
        with pytest.raises(errors.ProgrammingError):
            stranger.execute(f"SELECT {function}({session})")
    admin.execute(f"DROP USER {name}")


def test_a_renewal_that_is_sent_again_has_the_same_answer(own_server):
    server = own_server()
    wire = Wire(server)
    renewal = {"oldSessionToken": wire.token, "requestType": "RENEW"}

    def renewed():
        reply = wire.post("/session/token-request", renewal, token=wire.master_token)
        assert reply["success"], reply
        return reply["data"]["sessionToken"], reply["data"]["masterToken"]

    answers = []
    threads = [threading.Thread(target=lambda: answers.append(renewed())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and len(set(answers + [renewed()])) == 1
    again = Wire(server, token=answers[0][0], master_token=answers[0][1])
    assert again.query("SELECT 1")["success"]
    assert again.post("/session", {}, token=again.token, params={"delete": "true"})["success"]
    assert wire.post("/session/token-request", renewal, token=wire.master_token)["code"] == "390113"


def test_a_request_that_was_aborted_on_its_way_does_not_run(own_server):
    wire = Wire(own_server())
    assert wire.query("CREATE DATABASE D")["success"]
    assert wire.query("CREATE TABLE T (A INT)")["success"]
    request_id = "11111111-2222-4333-8444-555555555555"
    reply = wire.post("/queries/v1/abort-request", {"requestId": request_id}, token=wire.token)
    assert reply["code"] == "000605"
    reply = wire.query("INSERT INTO T VALUES (1)", request_id=request_id)
    assert (reply["success"], reply["code"]) == (False, "000604")
    assert wire.query("INSERT INTO T VALUES (2)")["success"]
    rows = wire.query(
        "SELECT A FROM T", parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"}
    )
    assert rows["data"]["rowset"] == [["2"]]


def test_a_session_held_to_a_role_is_so_after_a_restart(own_server):
    server = own_server()
    admin = Wire(server)
    shown = {"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"}
    for text in ("CREATE ROLE R", "GRANT ROLE R TO USER ADMIN"):
        assert admin.query(text)["success"], text
    add = "ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN T ROLE_RESTRICTION = 'R'"
    secret = admin.query(add, parameters=shown)["data"]["rowset"][0][1]

    def held(server):
        return Wire(server, password=secret)

    def reads(asking, reply):
        return asking.query(f"SELECT * FROM TABLE(RESULT_SCAN('{reply['data']['queryId']}'))")["success"]

    before = held(server)
    assert reads(held(server), before.query("SELECT 1"))
    server.stop()
    server = own_server()
    again = Wire(server, token=before.token, master_token=before.master_token)
    role = again.query("SELECT CURRENT_ROLE()", parameters=shown)
    assert role["data"]["rowset"] == [["R"]]
    assert not again.query("USE ROLE ACCOUNTADMIN")["success"]
    # It and a new session of the same token read each other's results, and nobody else's.
    fresh, free = held(server), Wire(server)
    assert reads(fresh, again.query("SELECT 2")) and reads(again, fresh.query("SELECT 3"))
    assert not reads(again, free.query("SELECT 4"))
