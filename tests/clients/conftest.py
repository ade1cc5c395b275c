"""A frazil server of its own for the tests, and connections to it."""

import gzip
import json
import os
import queue
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid
from pathlib import Path

import pytest
import requests
import snowflake.connector

PASSWORD = os.environ.get("FRAZIL_BOOTSTRAP_PASSWORD", "client-tests-7")
CONNECTOR_MAJOR = int(snowflake.connector.__version__.split(".")[0])
START_SECONDS = 120

# What a stopped statement may still use: one second of every core.
STOPS_WITHIN_CPU_SECONDS = os.cpu_count()

# Connections need no home directory settings of whoever runs the tests.
os.environ.pop("SNOWFLAKE_HOME", None)


class Server:
    """A running server: its address, process and password."""

    def __init__(self, url, process=None, data_dir=None):
        self.url = url
        self.process = process
        self.data_dir = data_dir
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port

    def arguments(self, **more):
        arguments = {
            "user": "admin",
            "password": PASSWORD,
            "account": "any_name",
            "host": self.host,
            "port": self.port,
            "protocol": "http",
        }
        arguments.update(more)
        return {name: value for name, value in arguments.items() if value is not None}

    def connect(self, **more):
        return snowflake.connector.connect(**self.arguments(**more))

    def catalog(self, statement, *values):
        """Changes the catalog behind the server's back, to make time pass."""
        with sqlite3.connect(Path(self.data_dir) / "catalog.sqlite", timeout=30) as database:
            assert database.execute(statement, values).rowcount > 0
        database.close()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=60) == 0

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=60)

    def memory_bytes(self):
        """Resident memory of the server process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def cpu_seconds(self):
        """Processor time the server has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def aborts(self, connection, query_id, code):
        """Aborts a running statement; it ends with the code, and soon computes no more."""
        assert connection.is_still_running(connection.get_query_status(query_id))
        assert connection.cursor().abort_query(query_id)
        deadline = time.monotonic() + 30
        while connection.is_still_running(connection.get_query_status(query_id)):
            assert time.monotonic() < deadline, "the statement goes on"
            time.sleep(0.05)
        with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
            connection.get_query_status_throw_if_error(query_id)
        assert raised.value.errno == code
        return self.cpu_until_idle()

    def cpu_until_idle(self):
        """Waits until the server computes nothing; the processor time it used until then."""
        if not self.process:
            pytest.skip("the server's process is not known")
        first = self.cpu_seconds()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(1)
            after = self.cpu_seconds()
            if after - before < 0.3:
                return after - first
        pytest.fail("the server goes on computing")

    def computes(self, since):
        """Waits until the server has computed for a while after `since`, its processor time then."""
        deadline = time.monotonic() + 60
        while self.process and self.cpu_seconds() - since < 1.5:
            assert time.monotonic() < deadline, "the work does not start"
            time.sleep(0.05)


def binary():
    given = os.environ.get("FRAZIL_BIN")
    if given:
        return given
    root = Path(__file__).resolve().parents[2]
    for profile in ("release", "debug"):
        path = root / "target" / profile / "frazil"
        if path.exists():
            return str(path)
    pytest.exit("build frazil first, or name the binary in FRAZIL_BIN", returncode=2)


def start_server(data_dir, *options, log=None, port=0, **variables):
    """Starts a server on a data directory; `log` takes what it writes to standard error."""
    environment = {**os.environ, "FRAZIL_BOOTSTRAP_PASSWORD": PASSWORD, **variables}
    process = subprocess.Popen(
        [binary(), "serve", "--data-dir", str(data_dir), "--listen", f"127.0.0.1:{port}", *options],
        stdout=subprocess.PIPE,
        stderr=log or sys.stderr,
        env=environment,
        text=True,
    )
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            continue
        if line is None:
            raise RuntimeError(f"the server ended with status {process.wait()}")
        if line.startswith("listening on "):
            return Server(line.split()[-1], process, data_dir)
    process.kill()
    raise RuntimeError("the server did not start listening")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    if os.environ.get("FRAZIL_URL"):
        yield Server(os.environ["FRAZIL_URL"])
        return
    started = start_server(tmp_path_factory.mktemp("data"))
    yield started
    started.process.terminate()
    # A clean shutdown is part of the contract.
    assert started.process.wait(timeout=60) == 0


@pytest.fixture
def own_server(tmp_path):
    """Starts servers on a data directory of the test's own, one after another."""
    started = []

    def start(*options, **more):
        started.append(start_server(tmp_path / "data", *options, **more))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture(scope="session")
def database(server):
    with server.connect() as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE IF NOT EXISTS CLIENTS")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS CLIENTS.TESTS")
    return "CLIENTS"


@pytest.fixture
def connect(server, database):
    """Makes connections in the tests' schema; closes them in the end."""
    opened = []

    def make(**more):
        arguments = {"database": database, "schema": "TESTS", **more}
        connection = server.connect(**arguments)
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def connection(connect):
    return connect()


@pytest.fixture
def cursor(connection):
    with connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def name():
    """A fresh identifier."""
    return f"T_{uuid.uuid4().hex[:12].upper()}"


class Wire:
    """The protocol by hand, for what the connectors hide."""

    def __init__(
        self,
        server,
        app="PythonConnector",
        version="4.8.1",
        token=None,
        master_token=None,
        password=PASSWORD,
        **query,
    ):
        self.server = server
        self.http = requests.Session()
        if token:
            # A session that exists already.
            self.token, self.master_token = token, master_token
            return
        data = {
            "CLIENT_APP_ID": app,
            "CLIENT_APP_VERSION": version,
            "ACCOUNT_NAME": "any",
            "LOGIN_NAME": "admin",
            "PASSWORD": password,
            "SESSION_PARAMETERS": {},
        }
        self.login = self.post("/session/v1/login-request", {"data": data}, params=query)
        self.token = self.login["data"]["token"]
        self.master_token = self.login["data"]["masterToken"]

    def post(self, path, body, token=None, zipped=False, **more):
        headers = {"Content-Type": "application/json", "Accept": "application/snowflake"}
        if token:
            headers["Authorization"] = f'Snowflake Token="{token}"'
        content = json.dumps(body).encode()
        if zipped:
            content = gzip.compress(content)
            headers["Content-Encoding"] = "gzip"
        response = self.http.post(self.server.url + path, data=content, headers=headers, **more)
        assert response.status_code == 200, response.text
        return response.json()

    def get(self, path):
        headers = {"Authorization": f'Snowflake Token="{self.token}"'}
        response = self.http.get(self.server.url + path, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def query(self, text, request_id=None, retry=0, zipped=False, **body):
        params = {"requestId": request_id or str(uuid.uuid4())}
        if retry:
            params["retryCount"] = retry
        return self.post(
            "/queries/v1/query-request",
            {"sqlText": text, "asyncExec": False, "sequenceId": 1, **body},
            token=self.token,
            zipped=zipped,
            params=params,
        )


@pytest.fixture
def wire(server, database):
    return Wire(server, databaseName=database, schemaName="TESTS", warehouse="", roleName="")
