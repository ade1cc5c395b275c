"""Backups taken while the server writes, and data directories restored from them."""

import json
import os
import subprocess
import threading

import pytest

from conftest import CONNECTOR_MAJOR, start_server

pytestmark = pytest.mark.skipif(CONNECTOR_MAJOR != 4, reason="one connector generation is enough")


def frazil(*arguments, fails=False):
    done = subprocess.run([os.environ["FRAZIL_BIN"], *map(str, arguments)], capture_output=True, text=True)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else done.stdout


def query(directory, text):
    printed = frazil("sql", "--data-dir", directory, "--format", "json", "-c", text)
    return [json.loads(line) for line in printed.splitlines()]


def test_backup_while_writing_and_restore(tmp_path):
    directory, backups = tmp_path / "data", tmp_path / "backups"
    server = start_server(directory)
    try:
        connection = server.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE DATABASE safe")
        cursor.execute("CREATE TABLE safe.public.pairs (id NUMBER(10), side VARCHAR)")
        cursor.execute("CREATE TABLE safe.public.big AS SELECT SEQ4() AS n FROM TABLE(GENERATOR(ROWCOUNT => 20000))")
        cursor.execute("CREATE STAGE safe.public.files")
        file = tmp_path / "a.csv"
        file.write_text("1,one\n2,two\n")
        cursor.execute(f"PUT 'file://{file}' @safe.public.files AUTO_COMPRESS = FALSE")
        cursor.execute("CREATE TABLE safe.public.loaded (a NUMBER(10), b VARCHAR)")
        cursor.execute("COPY INTO safe.public.loaded FROM @safe.public.files")
        cursor.execute("DELETE FROM safe.public.big WHERE n % 7 = 0")

        stop = threading.Event()
        failures = []

        def write():
            try:
                with server.connect(database="SAFE", schema="PUBLIC") as own:
                    step = 0
                    while not stop.is_set():
                        step += 1
                        # Both or none: a backup between them would be torn.
                        own.cursor().execute("BEGIN")
                        own.cursor().execute(f"INSERT INTO pairs VALUES ({step}, 'left')")
                        own.cursor().execute(f"INSERT INTO pairs VALUES ({step}, 'right')")
                        own.cursor().execute("COMMIT")
            except Exception as error:  # noqa: BLE001 - reported below
                failures.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(3):
            frazil("backup", "--data-dir", directory, "--to", backups)
        stop.set()
        thread.join()
        assert not failures, failures
        cursor.execute("DROP TABLE safe.public.big")
        last = frazil("backup", "--data-dir", directory, "--to", backups)
        # What earlier backups have is not copied again.
        assert " 0 of " not in last, last
        names = [line.split()[0] for line in frazil("backup", "--list", "--to", backups).splitlines()]
        assert len(names) == 4 and names == sorted(names)
        connection.close()
    finally:
        server.process.terminate()
        server.process.wait()

    first = tmp_path / "first"
    frazil("restore", "--from", backups, "--backup", names[0], "--data-dir", first)
    assert query(first, "SELECT COUNT(*) AS c FROM safe.public.big") == [{"C": 20000 - 2858}]
    torn = "SELECT COUNT(*) AS c FROM (SELECT id FROM safe.public.pairs GROUP BY id HAVING COUNT(*) <> 2)"
    assert query(first, torn) == [{"C": 0}]
    assert query(first, "SELECT $1 AS a, $2 AS b FROM @safe.public.files/a.csv ORDER BY 1") == [
        {"A": "1", "B": "one"},
        {"A": "2", "B": "two"},
    ]
    # What was loaded is known to be.
    query(first, "COPY INTO safe.public.loaded FROM @safe.public.files")
    assert query(first, "SELECT COUNT(*) AS c FROM safe.public.loaded") == [{"C": 2}]
    # It goes on: new rows, and a password that still works.
    query(first, "INSERT INTO safe.public.big VALUES (-1)")
    again = start_server(first)
    with again.connect(database="SAFE", schema="PUBLIC") as own:
        assert own.cursor().execute("SELECT MIN(n) FROM big").fetchone() == (-1,)
    again.process.terminate()
    again.process.wait()

    newest = tmp_path / "newest"
    frazil("restore", "--from", backups, "--data-dir", newest)
    assert query(newest, torn) == [{"C": 0}]
    assert "does not exist" in frazil(
        "sql", "--data-dir", newest, "-c", "SELECT * FROM safe.public.big", fails=True
    )
    # What is there is never overwritten.
    assert "not empty" in frazil("restore", "--from", backups, "--data-dir", newest, fails=True)
    assert "no backup named" in frazil(
        "restore", "--from", backups, "--backup", "yesterday", "--data-dir", tmp_path / "x", fails=True
    )

    # Upkeep would remove what lies in a data directory.
    assert "lies in the data directory" in frazil(
        "backup", "--data-dir", newest, "--to", newest / "data" / "backups", fails=True
    )
    inside = newest / "data" / "again"
    assert "lies in the data directory" in frazil(
        "restore", "--from", backups, "--data-dir", inside, fails=True
    )
    assert not inside.exists()

    # A damaged backup is refused whole.
    for data in (backups / "data").rglob("*.parquet"):
        data.write_bytes(data.read_bytes()[:-5])
    broken = tmp_path / "broken"
    assert "has changed since it was backed up" in frazil(
        "restore", "--from", backups, "--backup", names[0], "--data-dir", broken, fails=True
    )
    assert not broken.exists()
