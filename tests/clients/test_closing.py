"""The server is stopped while statements run: nobody is told a wrong outcome, and nothing runs twice."""

import random
import signal
import threading
import time
import uuid

import pytest
import requests

from conftest import CONNECTOR_MAJOR, Wire

pytestmark = pytest.mark.skipif(CONNECTOR_MAJOR != 4, reason="one connector generation is enough")

ROUNDS = 5
WRITERS = 8
STILL_RUNNING = "333333"
ENDLESS = (
    "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 1000000)) A, TABLE(GENERATOR(ROWCOUNT => 1000000)) B"
)


def rows_of(wire, text):
    answer = wire.query(text, parameters={"PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "JSON"})
    assert answer["success"], answer
    return answer["data"]["rowset"]


class Writer:
    """Inserts rows one by one until the server says no more, and notes what it was told of each."""

    def __init__(self, server, name):
        self.wire, self.name = Wire(server), name
        self.acknowledged, self.refused = [], {}
        # A request without an answer, which is to be sent again; a statement to ask for.
        self.open, self.polled = None, None

    def send(self, key, request_id, retry=0):
        params = {"requestId": request_id, **({"retryCount": retry} if retry else {})}
        return self.wire.http.post(
            self.wire.server.url + "/queries/v1/query-request",
            json={"sqlText": f"INSERT INTO closing.public.log VALUES ('{key}')", "asyncExec": False},
            headers={
                "Accept": "application/snowflake",
                "Authorization": f'Snowflake Token="{self.wire.token}"',
            },
            params=params,
        )

    def run(self):
        for step in range(1_000_000):
            key, request_id = f"{self.name}-{step}", str(uuid.uuid4())
            try:
                response = self.send(key, request_id)
            except requests.RequestException:
                self.open = (key, request_id)
                return
            if response.status_code != 200:
                assert response.status_code == 503, response.text
                self.open = (key, request_id)
                return
            if not self.told(key, response.json()):
                return

    def told(self, key, answer):
        if answer.get("code") == STILL_RUNNING:
            self.polled = (key, answer["data"]["getResultUrl"])
            return False
        if answer["success"]:
            self.acknowledged.append(key)
            return True
        self.refused[key] = answer
        return False

    def resume(self, server):
        """What a driver does once the server is back."""
        self.wire.server = server
        if self.open:
            key, request_id = self.open
            response = self.send(key, request_id, retry=1)
            assert response.status_code == 200, response.text
            assert self.told(key, response.json()), self.refused
        if self.polled:
            key, path = self.polled
            self.told(key, self.wire.get(path))


def test_writers_are_told_what_became_of_their_rows(own_server):
    server = own_server()
    wire = Wire(server)
    assert wire.query("CREATE DATABASE closing")["success"]
    assert wire.query("CREATE TABLE closing.public.log (id VARCHAR)")["success"]
    random.seed(5)
    acknowledged, refused = [], {}
    for round_number in range(ROUNDS):
        writers = [Writer(server, f"{round_number}-{number}") for number in range(WRITERS)]
        threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        time.sleep(0.3 + random.random() * 0.7)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0
        for thread in threads:
            thread.join(timeout=60)
        server = own_server()
        for writer in writers:
            writer.resume(server)
            acknowledged += writer.acknowledged
            refused.update(writer.refused)
    wire.server = server
    found = [row[0] for row in rows_of(wire, "SELECT id FROM closing.public.log")]
    assert len(found) == len(set(found)), "a row is there twice"
    assert not set(refused) & set(found), "a statement was told as failed and is there"
    assert set(found) == set(acknowledged)
    assert not refused, refused


def test_what_has_not_ended_is_to_be_sent_again(own_server):
    """A statement that would take for ever, alone and behind one that has committed."""
    server = own_server()
    wire = Wire(server)
    assert wire.query("CREATE DATABASE closing")["success"]
    assert wire.query("CREATE TABLE closing.public.t (a INT)")["success"]
    texts = {
        ENDLESS: {},
        f"INSERT INTO closing.public.t VALUES (1); {ENDLESS}": {"parameters": {"MULTI_STATEMENT_COUNT": 2}},
    }
    statuses = {}
    request_ids = {text: str(uuid.uuid4()) for text in texts}

    def run(text, body):
        own = Wire(server, token=wire.token, master_token=wire.master_token)
        response = own.http.post(
            server.url + "/queries/v1/query-request",
            json={"sqlText": text, "asyncExec": False, **body},
            headers={"Authorization": f'Snowflake Token="{wire.token}"'},
            params={"requestId": request_ids[text]},
        )
        statuses[text] = response.status_code

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in texts.items()]
    since = server.cpu_seconds()
    for thread in threads:
        thread.start()
    server.computes(since)
    server.stop()
    for thread in threads:
        thread.join(timeout=60)
    assert statuses == dict.fromkeys(texts, 503)
    wire.server = own_server()
    assert rows_of(wire, "SELECT a FROM closing.public.t") == [["1"]]
    both = list(texts)[1]
    again = wire.query(both, request_id=request_ids[both], retry=1, **texts[both])
    assert not again["success"] and "not run again" in again["message"], again


def test_connectors_notice_nothing_but_time(own_server):
    """Inserts of real connectors go on over restarts on the same port: none fails, each runs once."""
    server = own_server()
    with server.connect() as connection:
        connection.cursor().execute("CREATE DATABASE closing")
        connection.cursor().execute("CREATE TABLE closing.public.log (id VARCHAR)")
    stop, done, failed = threading.Event(), [], []

    def insert(number):
        connection = server.connect(database="CLOSING", schema="PUBLIC")
        step = 0
        while not stop.is_set():
            step += 1
            try:
                connection.cursor().execute(f"INSERT INTO log VALUES ('{number}-{step}')")
            except Exception as error:  # noqa: BLE001 - none is expected
                failed.append((number, step, error))
                return
            done.append(f"{number}-{step}")

    threads = [threading.Thread(target=insert, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    current = server
    for _ in range(3):
        time.sleep(2)
        current.stop()
        current = own_server(port=server.port)
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join(timeout=120)
    assert not failed, failed
    with current.connect(database="CLOSING", schema="PUBLIC") as connection:
        found = [row[0] for row in connection.cursor().execute("SELECT id FROM log").fetchall()]
    assert sorted(found) == sorted(done)
