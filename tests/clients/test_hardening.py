"""What strangers and slips of the keyboard may not do to a server."""

import gzip
import re
import socket
import subprocess
import threading
import time

import pytest
import requests
from conftest import Wire, binary

MB = 1_000_000


def bomb(text=b" ", megabytes=255):
    """A small gzip of very much."""
    return gzip.compress(text * (megabytes * MB // len(text)), compresslevel=9)


def post(url, body, token="Bearer invented", **more):
    headers = {
        "Authorization": token,
        "Content-Encoding": "gzip",
        "Content-Type": "application/json",
        "X-Snowflake-Authorization-Token-Type": "PROGRAMMATIC_ACCESS_TOKEN",
        **more,
    }
    return requests.post(url, data=body, headers=headers, timeout=60)


def test_strangers_cannot_fill_the_memory(own_server):
    server = own_server()
    spaces, rows = bomb(), bomb(b'{"a":1},', 100)
    before = server.memory_bytes()
    attempts = []
    for _ in range(8):
        attempts += [
            ("/session/v1/login-request", spaces, "Bearer x"),
            ("/session/token-request", spaces, 'Snowflake Token="invented"'),
            ("/api/v2/statements", spaces, "Bearer invented"),
            ("/endpoints/x/invocations", rows, "Bearer invented"),
        ]
    statuses = {}

    def attempt(path, body, token):
        statuses.setdefault(path, set()).add(post(server.url + path, body, token).status_code)

    threads = [threading.Thread(target=attempt, args=one) for one in attempts]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, server.memory_bytes())
        assert requests.get(server.url + "/healthz", timeout=10).status_code == 200
        time.sleep(0.05)
    assert most - before < 300 * MB, f"{most - before} bytes more"
    # The drivers' door answers with failed statements, for statuses mean "again" to them.
    assert statuses == {
        "/session/v1/login-request": {200},
        "/session/token-request": {200},
        "/api/v2/statements": {401},
        "/endpoints/x/invocations": {401},
    }
    reply = post(server.url + "/session/v1/login-request", spaces).json()
    assert not reply["success"] and "larger than 131072 bytes" in reply["message"]


def test_a_length_above_the_limit_is_refused_at_once(own_server):
    server = own_server()
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /session/v1/login-request HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n"
        )
        assert b"larger than 131072 bytes" in connection.recv(65536)


def test_large_statements_of_users_still_run(own_server):
    server = own_server()
    wire = Wire(server)
    text = "SELECT LENGTH('" + "x" * (3 * MB) + "')"
    for zipped in (False, True):
        reply = wire.query(text, zipped=zipped)
        assert reply["success"], reply["message"]


def test_slow_headers_end(own_server):
    server = own_server()
    connections = []
    for _ in range(20):
        connection = socket.create_connection((server.host, server.port), timeout=60)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        connections.append(connection)
    began = time.monotonic()
    for connection in connections:
        while connection.recv(4096):
            pass
        connection.close()
    assert 20 < time.monotonic() - began < 50


@pytest.mark.parametrize(
    "path",
    ["/session?delete=abc", "/queries/v1/query-request?requestId=1&requestId=2"],
)
def test_malformed_query_strings_of_drivers(server, path):
    wire = Wire(server)
    reply = wire.post(path, {}, token=wire.token)
    assert not reply["success"] and "query string" in reply["message"]


def test_malformed_query_strings(server):
    reply = requests.get(
        server.url + "/api/v2/statements/1?partition=abc",
        headers={"Authorization": "Bearer x"},
        timeout=30,
    )
    assert reply.status_code == 400 and "query string" in reply.json()["message"]
    reply = requests.post(
        server.url + "/endpoints/x/invocations?foo=1",
        json=[{"a": 1}],
        headers={"Authorization": "Bearer x"},
        timeout=30,
    )
    assert reply.status_code == 400 and reply.json()["error"] == "BAD_REQUEST"


def refused(*words, **more):
    done = subprocess.run(
        [binary(), *map(str, words)], capture_output=True, text=True, timeout=60, **more
    )
    assert done.returncode != 0 and "panicked" not in done.stderr
    assert "Internal error" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--threads", "0", "from 1 to 1024"),
        ("--threads", "20000", "from 1 to 1024"),
        ("--concurrency", "18446744073709551615", "from 1 to"),
        ("--memory-limit", "1KB", "at least 64 MB"),
        ("--bootstrap-user", "", "needs a name"),
        ("--external-url", "notaurl", "https://"),
    ],
)
def test_options_that_cannot_work(tmp_path, option, value, expected):
    assert expected in refused("serve", "--data-dir", tmp_path / "d", option, value)
    assert not (tmp_path / "d").exists()


def test_the_filter_of_the_log(tmp_path):
    for bad in ("debgu", "[[[bad=,,"):
        text = refused("serve", "--data-dir", tmp_path / "d", env={"FRAZIL_LOG": bad})
        assert "FRAZIL_LOG" in text and "info" in text


def test_folders_that_are_no_data_directories(tmp_path):
    file = tmp_path / "file.txt"
    file.write_text("a letter")
    assert "is a file, not a folder" in refused("serve", "--data-dir", file)
    assert "not a data directory" in refused("serve", "--data-dir", tmp_path)
    absent = tmp_path / "absent"
    assert "not a data directory" in refused(
        "backup", "--data-dir", absent, "--to", tmp_path / "backups"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt"]


def test_others_of_the_machine_cannot_read(own_server, tmp_path):
    own_server().stop()
    folder = tmp_path / "data"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    with open(tmp_path / "log", "w+") as log:
        own_server(log=log).stop()
        log.seek(0)
        assert re.search(r"chmod 700 .*data", log.read())


def test_a_damaged_generated_certificate(own_server, tmp_path):
    own_server("--tls-generate").stop()
    folder = tmp_path / "data" / "tls"
    (folder / "certificate.pem").write_text("")
    text = refused(
        "serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", "--tls-generate"
    )
    assert f"delete the folder {folder}" in text


def test_health_tells_of_a_directory_that_was_moved_and_nothing_is_written_in_its_place(own_server):
    own = own_server()
    wait = 1.1  # A health check is tried once a second.

    def health():
        time.sleep(wait)
        return requests.get(own.url + "/healthz", timeout=10).status_code

    assert health() == 200
    place = own.data_dir
    place.rename(place.with_name("moved"))
    assert health() == 503
    assert not place.exists()
    place.with_name("moved").rename(place)
    assert health() == 200


def test_doctor_says_what_to_do_where_the_catalog_is_missing(tmp_path):
    directory = tmp_path / "data"
    (directory / "data").mkdir(parents=True)
    (directory / "format").write_text("frazil 1\n")
    done = subprocess.run([binary(), "doctor", "--data-dir", str(directory)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "catalog.sqlite is missing" in done.stderr and "backup" in done.stderr, done.stderr
