"""The command line's checks and upkeep of a data directory, beside a server and without one."""

import os
import signal
import subprocess
import time

from conftest import binary, start_server


def frazil(*arguments):
    return subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True)


def test_doctor_beside_a_server_then_repair_and_upkeep(tmp_path):
    directory = tmp_path / "data"
    server = start_server(directory)
    connection = server.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE DATABASE d")
    cursor.execute("CREATE TABLE d.public.t (a NUMBER, b VARIANT)")
    for number in range(3):
        cursor.execute(f"INSERT INTO d.public.t SELECT {number}, PARSE_JSON('[{number}]')")
    cursor.execute("CREATE TABLE d.public.small (a NUMBER)")
    cursor.execute("INSERT INTO d.public.small VALUES (1)")
    # An open transaction's file is no orphan.
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO d.public.t SELECT 3, PARSE_JSON('[3]')")
    beside = frazil("doctor", "--data-dir", directory)
    assert beside.returncode == 0 and "no fault found" in beside.stdout, beside.stdout + beside.stderr
    for verb in (["doctor", "--repair"], ["maintain"]):
        refused = frazil(*verb, "--data-dir", directory)
        assert refused.returncode != 0 and "in use" in refused.stderr, refused.stderr
    cursor.execute("COMMIT")
    connection.close()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)

    orphan = directory / "data" / "frazil-lost.parquet"
    orphan.write_bytes(b"left by a crash")
    os.utime(orphan, (time.time() - 86400,) * 2)
    found = frazil("doctor", "--data-dir", directory)
    assert found.returncode != 0 and "orphan file" in found.stdout and orphan.exists()
    repaired = frazil("doctor", "--repair", "--data-dir", directory)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert "1 orphan files removed" in repaired.stdout and not orphan.exists()

    done = frazil("maintain", "--data-dir", directory)
    assert done.returncode == 0 and done.stdout.startswith("1 tables flushed, 1 merged"), done.stdout
    again = frazil("maintain", "--data-dir", directory)
    assert again.stdout.startswith("0 tables flushed, 0 merged"), again.stdout
    rows = frazil(
        "sql", "--data-dir", directory, "--format", "csv", "-c",
        "SELECT COUNT(*), SUM(b[0]::NUMBER) FROM d.public.t",
    )
    assert rows.stdout.splitlines()[-1] == "4,6", rows.stdout + rows.stderr
    missing = frazil("doctor", "--data-dir", tmp_path / "none")
    assert missing.returncode != 0 and "not a data directory" in missing.stderr
