"""Many one-row commits: whether they stay as fast, and what several writers reach together.

The writers speak plain HTTP from processes of their own, so that the clients' cost does not hide the
server's.
"""

import http.client
import json
import multiprocessing
import statistics
import time
import urllib.parse
import uuid

COMMITS = 20_000
WRITERS = 8
SECONDS = 5


class Writer:
    """A session of its own that sends statements over one connection."""

    def __init__(self, url, password):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port)
        self.headers = {"Content-Type": "application/json", "Accept": "application/snowflake"}
        data = {"LOGIN_NAME": "admin", "PASSWORD": password, "ACCOUNT_NAME": "bench"}
        reply = self.post("/session/v1/login-request", {"data": data})
        self.headers["Authorization"] = f'Snowflake Token="{reply["data"]["token"]}"'

    def post(self, path, body):
        self.connection.request("POST", path, json.dumps(body), self.headers)
        reply = json.loads(self.connection.getresponse().read())
        if not reply["success"]:
            raise RuntimeError(reply["message"])
        return reply

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


def run(page, server, cursor, password):
    cursor.execute("CREATE OR REPLACE TABLE many (a NUMBER(10), b VARCHAR)")
    cursor.execute("CREATE OR REPLACE TABLE crowd (a NUMBER(10), b VARCHAR)")
    writer = Writer(server.url, password)
    times = []
    for i in range(COMMITS):
        start = time.perf_counter()
        writer.execute(f"INSERT INTO bench.tpch.many VALUES ({i}, 'x')")
        times.append(time.perf_counter() - start)
    if cursor.execute("SELECT COUNT(*), SUM(a) FROM many").fetchone() != (COMMITS, COMMITS * (COMMITS - 1) // 2):
        raise AssertionError("rows were lost")
    page.section(
        "Many commits",
        f"{COMMITS:,} one-row INSERTs in a row by plain HTTP, each synced to disk; then one and {WRITERS} "
        f"writers for {SECONDS} seconds each, from processes of their own on the same cores.",
    )
    first, last = statistics.median(times[:1000]), statistics.median(times[-1000:])
    ordered = sorted(times)
    page.row("p50 of the first 1,000", f"{first * 1000:.2f} ms", "–", "–", "–")
    page.row("p50 of the last 1,000", f"{last * 1000:.2f} ms", f"{first * 1000:.2f} ms", f"{last / first:.2f}", "the first")
    page.row("p99 of all", f"{ordered[COMMITS * 99 // 100] * 1000:.2f} ms", "–", "–", "–")
    alone = rate(server.url, password, 1)
    together = rate(server.url, password, WRITERS)
    page.row("commits a second, one writer", f"{alone:,.0f}", "–", "–", "–")
    page.row(
        f"commits a second, {WRITERS} writers",
        f"{together:,.0f}",
        f"{alone:,.0f}",
        f"{together / alone:.2f}",
        "one writer; above 1 is faster",
    )
