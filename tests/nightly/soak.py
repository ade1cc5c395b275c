"""Many sessions for many minutes: no error, and memory that stays flat.

    python tests/nightly/soak.py [--minutes 10] [--idle 200] [--busy 20] [--bin PATH]

Starts a server of its own, opens idle sessions that only renew themselves, and busy ones that read,
write, train and score. Samples the server's memory; fails where a statement failed, or where the last
third of the run needed clearly more memory than the middle third.
"""

import argparse
import collections
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

# How much more memory the last third may need than the middle one.
GROWTH = 1.15
SAMPLE_SECONDS = 2

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("--minutes", type=float, default=10)
arguments.add_argument("--idle", type=int, default=200)
arguments.add_argument("--busy", type=int, default=20)
arguments.add_argument("--bin", help="the server's binary")
chosen = arguments.parse_args()
os.environ.setdefault("FRAZIL_LOG", "warn")
if chosen.bin:
    os.environ["FRAZIL_BIN"] = chosen.bin

from conftest import start_server  # noqa: E402

PREPARE = [
    "CREATE DATABASE soak",
    "USE SCHEMA soak.public",
    "CREATE WAREHOUSE busy WAREHOUSE_SIZE = LARGE MAX_CONCURRENCY_LEVEL = 8",
    "CREATE TABLE facts (id INT, part INT, amount FLOAT, note VARCHAR) AS "
    "SELECT SEQ8(), SEQ8() % 100, UNIFORM(0, 1000, RANDOM())::FLOAT, 'note ' || SEQ8() "
    "FROM TABLE(GENERATOR(ROWCOUNT => 200000))",
    "CREATE TABLE events (worker INT, at INT, note VARCHAR)",
    "CREATE MODEL amounts USING LINEAR TARGET amount FEATURES (part) AS "
    "SELECT part, amount FROM facts",
]


def work(worker, number, random):
    """The statements of one round."""
    part = random.randrange(100)
    yield f"SELECT COUNT(*), SUM(amount) FROM facts WHERE part = {part}"
    yield f"INSERT INTO events VALUES ({worker}, {number}, 'round {number}')"
    yield f"SELECT COUNT(*) FROM events WHERE worker = {worker}"
    if number % 5 == 0:
        yield "SELECT part, COUNT(*), AVG(amount) FROM facts GROUP BY part ORDER BY 2 DESC"
        yield f"DELETE FROM events WHERE worker = {worker} AND at < {number - 20}"
    if number % 11 == 0:
        yield "SELECT AVG(amounts!PREDICT(part)) FROM facts WHERE part < 10"
    if number % 17 == 0:
        yield "SELECT * FROM facts WHERE id < 20000"
    if number % 23 == 0:
        yield (
            f"CREATE OR REPLACE MODEL m{worker} USING LINEAR TARGET amount AS "
            "SELECT part, amount FROM facts WHERE id < 20000"
        )


def main():
    failures, counts = collections.Counter(), collections.Counter()
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder) / "data")
        try:
            with server.connect() as connection:
                cursor = connection.cursor()
                for statement in PREPARE:
                    cursor.execute(statement)

            def connect():
                return server.connect(database="SOAK", schema="PUBLIC", warehouse="BUSY")

            def busy(worker):
                source = random.Random(worker)
                number = 0
                with connect() as connection:
                    cursor = connection.cursor()
                    while not stop.is_set():
                        for statement in work(worker, number, source):
                            try:
                                cursor.execute(statement).fetchall()
                                counts["statements"] += 1
                            except Exception as error:
                                failures[f"{type(error).__name__}: {error}"] += 1
                        number += 1

            idle = [connect() for _ in range(chosen.idle)]
            threads = [
                threading.Thread(target=busy, args=(worker,)) for worker in range(chosen.busy)
            ]
            for thread in threads:
                thread.start()
            samples = []
            end = time.monotonic() + chosen.minutes * 60
            while time.monotonic() < end:
                time.sleep(SAMPLE_SECONDS)
                samples.append(server.memory_bytes())
            stop.set()
            for thread in threads:
                thread.join()
            # The idle sessions still answer.
            for connection in idle:
                assert connection.cursor().execute("SELECT 1").fetchone() == (1,)
                connection.close()
        finally:
            server.stop()
    third = len(samples) // 3
    middle = statistics.median(samples[third : 2 * third])
    last = statistics.median(samples[2 * third :])
    print(f"{counts['statements']} statements, {sum(failures.values())} failures")
    print(f"memory: {middle / 1e6:.0f} MB in the middle, {last / 1e6:.0f} MB in the end")
    for failure, count in failures.most_common(10):
        print(f"{count} x {failure}")
    flat = last <= middle * GROWTH
    if failures or not flat:
        print("FAILED" if failures else "FAILED: memory grows")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
