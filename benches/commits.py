"""Many one-row commits: whether they stay as fast, and what several writers reach together.

The writers speak plain HTTP over sockets from processes of their own, so that the clients' cost hides as
little of the server's as possible. What several writers gain depends on how much of a commit is waiting
for the disk: the same is measured with a disk whose syncs take a few milliseconds more.
"""

import json
import multiprocessing
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import time
import urllib.parse
import uuid

from harness import Server

COMMITS = 20_000
# Appends that are synced without any database, before the commits and after them: disks differ, and a disk's
# hours do too.
APPENDS = 500
APPEND_BYTES = 8 * 1024
WRITERS = 8
SECONDS = 5

# A sync of a network volume takes about this long.
SLOW_SYNC_MICROS = 4_000

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def synced_append(folder):
    """The median seconds that an append takes until it is on the disk: what no commit can be faster than."""
    path = folder / "appends"
    times = []
    with open(path, "wb", buffering=0) as file:
        for _ in range(APPENDS):
            start = time.perf_counter()
            file.write(bytes(APPEND_BYTES))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(times)


class Writer:
    """A session of its own that sends statements over one connection."""

    def __init__(self, url, password):
        parts = urllib.parse.urlsplit(url)
        self.host = f"{parts.hostname}:{parts.port}"
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.authorization = ""
        data = {"LOGIN_NAME": "admin", "PASSWORD": password, "ACCOUNT_NAME": "bench"}
        reply = json.loads(self.post("/session/v1/login-request", {"data": data}))
        token = reply["data"]["token"]
        self.authorization = f'Authorization: Snowflake Token="{token}"\r\n'

    def post(self, path, body):
        body = json.dumps(body)
        self.socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
            f"Accept: application/snowflake\r\n{self.authorization}"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        reply = b""
        while (end := reply.find(b"\r\n\r\n")) < 0:
            reply += self.receive()
        length = end + 4 + int(LENGTH.search(reply, 0, end)[1])
        while len(reply) < length:
            reply += self.receive()
        reply = reply[end + 4 :]
        if b'"success":true' not in reply:
            raise RuntimeError(reply.decode())
        return reply

    def receive(self):
        received = self.socket.recv(65536)
        if not received:
            raise RuntimeError("the server closed the connection")
        return received

    def execute(self, text):
        body = {"sqlText": text, "asyncExec": False, "sequenceId": 1}
        return self.post(f"/queries/v1/query-request?requestId={uuid.uuid4()}", body)


def write_on(url, password, seconds, barrier, counts):
    """Commits rows for a while; puts their number into the queue."""
    writer = Writer(url, password)
    barrier.wait()
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        writer.execute(f"INSERT INTO bench.tpch.crowd VALUES ({count}, 'x')")
        count += 1
    counts.put(count)


def rate(url, password, writers):
    """Commits a second of so many writers at once."""
    barrier, counts = multiprocessing.Barrier(writers), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=write_on, args=(url, password, SECONDS, barrier, counts))
        for _ in range(writers)
    ]
    for process in processes:
        process.start()
    total = sum(counts.get() for _ in processes)
    for process in processes:
        process.join()
    return total / SECONDS


def run(page, server, cursor, password, temporary):
    cursor.execute("CREATE OR REPLACE TABLE many (a NUMBER(10), b VARCHAR)")
    cursor.execute("CREATE OR REPLACE TABLE crowd (a NUMBER(10), b VARCHAR)")
    writer = Writer(server.url, password)
    times = []
    append_before = synced_append(temporary)
    for i in range(COMMITS):
        start = time.perf_counter()
        writer.execute(f"INSERT INTO bench.tpch.many VALUES ({i}, 'x')")
        times.append(time.perf_counter() - start)
    if cursor.execute("SELECT COUNT(*), SUM(a) FROM many").fetchone() != (COMMITS, COMMITS * (COMMITS - 1) // 2):
        raise AssertionError("rows were lost")
    append_after = synced_append(temporary)
    page.section(
        "Many commits",
        f"{COMMITS:,} one-row INSERTs in a row by plain HTTP, each synced to disk; then one and {WRITERS} "
        f"writers for {SECONDS} seconds each, from processes of their own on the same cores.",
    )
    first, last = statistics.median(times[:1000]), statistics.median(times[-1000:])
    ordered = sorted(times)
    for which, commit, append in (("first", first, append_before), ("last", last, append_after)):
        page.row(
            f"p50 of the {which} 1,000",
            f"{commit * 1000:.2f} ms",
            f"{append * 1000:.2f} ms",
            f"{commit / append:.2f}",
            f"a synced append of {APPEND_BYTES // 1024} kB to a file, no database",
        )
    page.row("p50 of the last 1,000, beside the first", f"{last * 1000:.2f} ms", f"{first * 1000:.2f} ms", f"{last / first:.2f}", "the first")
    page.row("p99 of all", f"{ordered[COMMITS * 99 // 100] * 1000:.2f} ms", "–", "–", "–")
    together(page, server, password, "")
    slow = temporary / "slow"
    slow.mkdir()
    library = slow / "slow_sync.so"
    source = pathlib.Path(__file__).with_name("slow_sync.c")
    compiler = shutil.which(os.environ.get("CC", "cc"))
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    delayed = Server(slow / "data", LD_PRELOAD=str(library), FRAZIL_SYNC_MICROS=str(SLOW_SYNC_MICROS))
    try:
        connection = delayed.connect()
        for text in ("DATABASE bench", "SCHEMA bench.tpch", "TABLE bench.tpch.crowd (a NUMBER(10), b VARCHAR)"):
            connection.cursor().execute(f"CREATE {text}")
        together(page, delayed, password, f", syncs {SLOW_SYNC_MICROS // 1000} ms slower")
        connection.close()
    finally:
        delayed.stop()


def together(page, server, password, where):
    """Adds the rates of one writer and of several."""
    alone = rate(server.url, password, 1)
    crowd = rate(server.url, password, WRITERS)
    page.row(f"commits a second, one writer{where}", f"{alone:,.0f}", "–", "–", "–")
    page.row(
        f"commits a second, {WRITERS} writers{where}",
        f"{crowd:,.0f}",
        f"{alone:,.0f}",
        f"{crowd / alone:.2f}",
        "one writer; above 1 is faster",
    )
