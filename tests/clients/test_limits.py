"""Limits of the server as the connector meets them."""

import threading
import time

import pytest
import requests
from snowflake.connector.errors import DatabaseError, ProgrammingError

ENDLESS = "SELECT COUNT(*) FROM TABLE(GENERATOR(TIMELIMIT => 600))"
FEW = "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 10))"


def metric(server, name):
    text = requests.get(server.url + "/metrics", timeout=30).text
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refused(cursor, statement, code):
    with pytest.raises(ProgrammingError) as error:
        cursor.execute(statement)
    assert error.value.errno == code
    return error.value.msg


def test_sizes(own_server, tmp_path):
    server = own_server(
        "--result-limit", "1MB", "--upload-limit", "100KB", "--spill-limit", "1MB",
        "--memory-limit", "64MB",
    )
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE d")
        message = refused(
            cursor, "SELECT SEQ8() FROM TABLE(GENERATOR(ROWCOUNT => 1000000))", 300005
        )
        assert "--result-limit" in message
        message = refused(
            cursor,
            "CREATE TABLE t AS SELECT RANDOM() AS a, REPEAT('x', 100) || SEQ8() AS b "
            "FROM TABLE(GENERATOR(ROWCOUNT => 1500000)) ORDER BY 1",
            300005,
        )
        assert "--spill-limit" in message
        cursor.execute("CREATE STAGE s")
        large, small = tmp_path / "large.csv", tmp_path / "small.csv"
        large.write_bytes(b"1\n" * 100_000)
        small.write_bytes(b"1\n" * 1000)
        try:
            answer = cursor.execute(
                f"PUT file://{large} @s AUTO_COMPRESS = FALSE"
            ).fetchall()
            assert answer[0][6] == "ERROR"
        except DatabaseError:
            pass
        cursor.execute(f"PUT file://{small} @s AUTO_COMPRESS = FALSE")
        listed = cursor.execute("LIST @s").fetchall()
        assert [row[0].rsplit("/")[-1] for row in listed] == ["small.csv"]
        assert cursor.execute(FEW).fetchone() == (10,)


def test_kept_results(own_server):
    server = own_server("--kept-results-limit", "20MB")
    with server.connect() as connection:
        cursor = connection.cursor()
        ids = []
        for number in range(4):
            cursor.execute(
                f"SELECT SEQ8() AS A, REPEAT('{number}', 50) AS B FROM TABLE(GENERATOR(ROWCOUNT => 100000))"
            )
            ids.append(cursor.sfqid)
        scan = "SELECT COUNT(*), MIN(B) FROM TABLE(RESULT_SCAN('{}'))"
        assert cursor.execute(scan.format(ids[3])).fetchone() == (100000, "3" * 50)
        with pytest.raises(ProgrammingError) as gone:
            cursor.execute(scan.format(ids[0]))
        assert gone.value.errno == 707
        assert "--kept-results-limit" in gone.value.msg


def test_sessions(own_server):
    server = own_server("--sessions-per-user", "2")
    first, second = server.connect(), server.connect()
    with pytest.raises(DatabaseError) as error:
        server.connect(login_timeout=10)
    assert "--sessions-per-user" in error.value.msg
    assert first.cursor().execute(FEW).fetchone() == (10,)
    second.close()
    server.connect().close()
    first.close()


def test_queue(own_server):
    server = own_server("--concurrency", "1", "--queue-length", "1")
    with server.connect() as one, server.connect() as two, server.connect() as three:
        running, waiting, cursor = one.cursor(), two.cursor(), three.cursor()
        running.execute_async(ENDLESS)
        until(lambda: metric(server, "frazil_statements_computing") == 1)
        answers = []
        thread = threading.Thread(target=lambda: answers.extend(waiting.execute(FEW).fetchall()))
        thread.start()
        until(lambda: metric(server, "frazil_statements_queued") == 1)
        assert "--queue-length" in refused(cursor, FEW, 300005)
        # What reads no rows is answered, and so the place can be made free.
        cursor.execute(f"SELECT SYSTEM$CANCEL_QUERY('{running.sfqid}')")
        thread.join(timeout=60)
        assert answers == [(10,)]


def test_warehouse(own_server):
    server = own_server("--require-warehouse")
    with server.connect() as connection:
        cursor = connection.cursor()
        refused(cursor, FEW, 606)
        cursor.execute("CREATE WAREHOUSE w INITIALLY_SUSPENDED = TRUE AUTO_RESUME = FALSE")
        assert "'W' is suspended" in refused(cursor, FEW, 606)
        cursor.execute("ALTER WAREHOUSE w RESUME")
        assert cursor.execute(FEW).fetchone() == (10,)
        cursor.execute("CREATE RESOURCE MONITOR m WITH CREDIT_QUOTA = 1 TRIGGERS ON 1 PERCENT DO SUSPEND")
        cursor.execute("ALTER WAREHOUSE w SET RESOURCE_MONITOR = m")
        message = refused(cursor, FEW, 90073)
        assert "resource monitor 'M' has exceeded its quota" in message
