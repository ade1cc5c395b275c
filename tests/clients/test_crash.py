"""The server is killed while several writers commit; every acknowledged commit must be there."""

import os
import random
import signal
import subprocess
import threading
import time
import uuid

import pytest

from conftest import CONNECTOR_MAJOR, Wire, start_server

KILLS = int(os.environ.get("FRAZIL_CRASH_KILLS", "50"))
WRITERS = 3


def writer(server, number, round_number, acknowledged, stop):
    """Commits rows one by one and in transactions; notes each commit the server confirmed."""
    try:
        connection = server.connect(database="CRASH", schema="PUBLIC", login_timeout=5, network_timeout=5)
        cursor = connection.cursor()
        step = 0
        while not stop.is_set():
            step += 1
            key = f"{round_number}-{number}-{step}"
            kind = step % 4
            if kind == 0:
                cursor.execute("BEGIN")
                cursor.execute(f"INSERT INTO log VALUES ('{key}', 1)")
                cursor.execute(f"INSERT INTO log VALUES ('{key}', 2)")
                cursor.execute("COMMIT")
                acknowledged[key] = 3
            elif kind == 1:
                cursor.execute(f"INSERT INTO log VALUES ('{key}', 5)")
                acknowledged[key] = 5
            elif kind == 2:
                previous = f"{round_number}-{number}-{step - 1}"
                acknowledged.pop(previous, None)
                cursor.execute(f"UPDATE log SET amount = 7 WHERE id = '{previous}'")
                acknowledged[previous] = 7
            else:
                cursor.execute(f"INSERT INTO log VALUES ('{key}', 9)")
                cursor.execute(f"DELETE FROM log WHERE id = '{key}'")
                acknowledged[key] = None
    except Exception:  # noqa: BLE001 - the server is killed under the client's feet
        return


@pytest.mark.skipif(CONNECTOR_MAJOR != 4, reason="one connector generation is enough")
def test_acknowledged_commits_survive_kill(tmp_path):
    directory = tmp_path / "data"
    server = start_server(directory)
    connection = server.connect()
    connection.cursor().execute("CREATE DATABASE crash")
    connection.cursor().execute("CREATE TABLE crash.public.log (id VARCHAR, amount NUMBER(5))")
    connection.close()
    random.seed(7)
    everything = {}
    for round_number in range(KILLS):
        acknowledged, stop = {}, threading.Event()
        threads = [
            threading.Thread(target=writer, args=(server, n, round_number, acknowledged, stop), daemon=True)
            for n in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.3 + random.random() * 0.7)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        stop.set()
        # A writer may still be retrying against the dead server; nothing more is acknowledged.
        for thread in threads:
            thread.join(timeout=1)
        everything.update(dict(list(acknowledged.items())))
        server = start_server(directory)
    connection = server.connect(database="CRASH", schema="PUBLIC")
    rows = connection.cursor().execute("SELECT id, SUM(amount), COUNT(*) FROM log GROUP BY id").fetchall()
    found = {row[0]: (int(row[1]), row[2]) for row in rows}
    assert len(everything) > KILLS
    for key, amount in everything.items():
        if amount is None:
            assert key not in found, key
        else:
            assert found.get(key, (None,))[0] == amount, key
    # A transaction is there as a whole or not at all.
    for key, (total, count) in found.items():
        if int(key.rsplit("-", 1)[1]) % 4 == 0:
            assert (total, count) == (3, 2), key
    connection.close()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)
    doctor = subprocess.run(
        [os.environ["FRAZIL_BIN"], "doctor", "--data-dir", str(directory)],
        capture_output=True,
        text=True,
    )
    assert "fault" not in doctor.stdout.replace("no fault found", ""), doctor.stdout
    assert "missing file" not in doctor.stdout, doctor.stdout


@pytest.mark.skipif(CONNECTOR_MAJOR != 4, reason="one connector generation is enough")
def test_a_killed_copy_leaves_all_or_nothing(tmp_path):
    """Files of 1000 rows each are loaded one by one; the server dies in between, at random."""
    directory = tmp_path / "data"
    files, kills = 40, 8
    server = start_server(directory)
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE crash")
        cursor.execute("CREATE STAGE crash.public.st")
        cursor.execute("CREATE TABLE crash.public.t (f INT, n INT)")
        for number in range(files):
            cursor.execute(
                f"COPY INTO @crash.public.st/{number}.csv FROM (SELECT {number}, SEQ4() FROM"
                " TABLE(GENERATOR(ROWCOUNT => 1000))) SINGLE = TRUE FILE_FORMAT = (TYPE = CSV COMPRESSION = NONE)"
            )
    random.seed(11)
    pattern = [f"FILES = ('{n}.csv', '{n + 1}.csv')" for n in range(0, files, 2)]

    def load(server):
        try:
            connection = server.connect(database="CRASH", schema="PUBLIC", login_timeout=5, network_timeout=5)
            for chosen in pattern:
                connection.cursor().execute(f"COPY INTO t FROM @st {chosen}")
        except Exception:  # noqa: BLE001 - the server is killed under the client's feet
            return

    for _ in range(kills):
        loaders = [threading.Thread(target=load, args=(server,), daemon=True) for _ in range(2)]
        for thread in loaders:
            thread.start()
        time.sleep(0.2 + random.random() * 0.6)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        for thread in loaders:
            thread.join(timeout=1)
        server = start_server(directory)
        with server.connect(database="CRASH", schema="PUBLIC") as connection:
            found = connection.cursor().execute("SELECT f, COUNT(*), COUNT(DISTINCT n) FROM t GROUP BY f").fetchall()
        loaded = {row[0] for row in found}
        assert all(row[1:] == (1000, 1000) for row in found), found
        # A statement's two files are there together or not at all.
        assert all((number ^ 1) in loaded for number in loaded), loaded
    load(server)
    with server.connect(database="CRASH", schema="PUBLIC") as connection:
        total = connection.cursor().execute("SELECT COUNT(*), COUNT(DISTINCT f) FROM t").fetchone()
        assert total == (files * 1000, files)
    server.process.terminate()
    assert server.process.wait(timeout=60) == 0


@pytest.mark.skipif(CONNECTOR_MAJOR != 4, reason="one connector generation is enough")
def test_a_request_that_is_sent_again_after_a_kill_runs_once(own_server):
    """The answers are lost with the server; what has committed is answered and does not run again."""
    server = own_server()
    wire = Wire(server)
    several = {"parameters": {"MULTI_STATEMENT_COUNT": 2}}
    assert wire.query("CREATE DATABASE again")["success"]
    requests = {}

    def run(text, **body):
        requests[text] = str(uuid.uuid4())
        answer = wire.query(text, request_id=requests[text], **body)
        assert answer["success"], answer
        return answer["data"]

    def again(text, **body):
        return wire.query(text, request_id=requests[text], retry=1, **body)

    texts = [
        "CREATE TABLE again.public.t (a INT)",
        "INSERT INTO again.public.t VALUES (1), (2)",
        "UPDATE again.public.t SET a = a + 10",
        "DELETE FROM again.public.t WHERE a = 11",
        "MERGE INTO again.public.t USING (SELECT 5 AS b) ON a = b WHEN NOT MATCHED THEN INSERT VALUES (b)",
        "INSERT INTO again.public.t SELECT a + 100 FROM again.public.t",
    ]
    answers = {text: run(text) for text in texts}
    both = "INSERT INTO again.public.t VALUES (7); INSERT INTO again.public.t VALUES (8)"
    run(both, **several)
    run("BEGIN")
    run("INSERT INTO again.public.t VALUES (9)")
    run("COMMIT")
    run("BEGIN ")
    run("INSERT INTO again.public.t VALUES (10)")
    rows = "SELECT a FROM again.public.t ORDER BY a"

    server.process.kill()
    server.process.wait()
    wire.server = own_server()
    for text in texts:
        answer = again(text)
        assert answer["success"], answer
        assert answer["data"]["queryId"] == answers[text]["queryId"], text
        if not text.startswith("CREATE"):
            # An UPDATE's number of multi-joined rows is not known any more.
            assert answer["data"]["rowset"][0][0] == answers[text]["rowset"][0][0], text
    # Of several statements nobody knows how far they came.
    refused = again(both, **several)
    assert not refused["success"] and refused["code"] == "000625", refused
    assert "not run again" in refused["message"]
    # What was not committed is gone with its transaction, and the client is told.
    lost = again("INSERT INTO again.public.t VALUES (10)")
    assert not lost["success"] and "restarted" in lost["message"], lost
    assert wire.query("ROLLBACK")["success"]
    assert again("COMMIT")["success"]
    expected = [["5"], ["7"], ["8"], ["9"], ["12"], ["105"], ["112"]]
    found = wire.query(rows, parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"})
    assert found["data"]["rowset"] == expected
    # A request of which nothing has committed runs.
    fresh = wire.query("INSERT INTO again.public.t VALUES (1)", request_id=str(uuid.uuid4()), retry=1)
    assert fresh["success"] and fresh["data"]["rowset"] == [["1"]]
    # A session that is gone runs nothing.
    wire.post("/session?delete=true", {}, token=wire.token)
    gone = again("INSERT INTO again.public.t VALUES (1), (2)")
    assert not gone["success"] and gone["code"] in ("390104", "390111"), gone
