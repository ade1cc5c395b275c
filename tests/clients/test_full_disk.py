"""A full disk: told as such on every path, nothing is lost, and the server goes on when there is room."""

import os
import subprocess
import time

import pytest
import requests
from conftest import binary, start_server
from snowflake.connector.errors import DatabaseError, ProgrammingError

FULL = 300005
ROWS = "TABLE(GENERATOR(ROWCOUNT => 400000))"

# Each needs more than what is free, or anything at all.
NEEDS_ROOM = {
    "a table": f"CREATE TABLE BIG AS SELECT RANDOM() AS A, RANDSTR(50, RANDOM()) AS B FROM {ROWS}",
    "rows of a table": f"INSERT INTO T SELECT RANDOM() FROM {ROWS}",
    "spilled rows": "SELECT MAX(R) FROM (SELECT ROW_NUMBER() OVER (ORDER BY A, B) AS R FROM "
    "(SELECT RANDOM() AS A, REPEAT('x', 100) || SEQ8() AS B FROM "
    "TABLE(GENERATOR(ROWCOUNT => 1500000))))",
    "a result": f"SELECT SEQ8() AS A, REPEAT('x', 100) AS B FROM {ROWS}",
    "files on a stage": f"COPY INTO @S/unloaded FROM (SELECT RANDSTR(100, RANDOM()) FROM {ROWS})",
    "a model": "CREATE MODEL M USING LINEAR TARGET Y AS SELECT SEQ8()::FLOAT AS X, X * 2 AS Y "
    "FROM TABLE(GENERATOR(ROWCOUNT => 100))",
}


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path):
    """Takes all room that there is."""
    with open(path, "ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


def health(server):
    time.sleep(1.1)  # A health check is tried once a second.
    return requests.get(server.url + "/healthz", timeout=10).status_code


def frazil(*arguments):
    """What the program prints, and whether it succeeds."""
    done = subprocess.run([binary(), *map(str, arguments)], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


def insert_until_full(cursor):
    """Inserts numbers one by one; the first that was not taken."""
    for number in range(100_000):
        try:
            cursor.execute(f"INSERT INTO T VALUES ({number})")
        except ProgrammingError as error:
            assert (error.errno, "disk" in error.msg) == (FULL, True), error.msg
            return number
    pytest.fail("the disk is not full")


def test_a_full_disk(small_disk, tmp_path):
    server = start_server(small_disk / "data", "--memory-limit", "64MB")
    filler, upload = small_disk / "filler", tmp_path / "upload.bin"
    upload.write_bytes(os.urandom(8 << 20))
    try:
        with server.connect() as connection:
            cursor = connection.cursor()
            for statement in ("CREATE DATABASE D", "CREATE TABLE T (N INT)", "CREATE STAGE S"):
                cursor.execute(statement)
            fill(filler)
            os.truncate(filler, filler.stat().st_size - (2 << 20))
            taken = insert_until_full(cursor)
            assert taken > 0
            fill(filler)
            assert health(server) == 503
            for what, statement in NEEDS_ROOM.items():
                with pytest.raises(ProgrammingError) as refused:
                    cursor.execute(statement)
                assert refused.value.errno == FULL, (what, refused.value.msg)
                assert "disk" in refused.value.msg, what
            try:
                rows = cursor.execute(f"PUT file://{upload} @S AUTO_COMPRESS = FALSE").fetchall()
                assert rows[0][6] == "ERROR"
            except DatabaseError as error:
                assert error.errno != 1
            cursor.execute("SELECT COUNT(*), MAX(N) FROM T")
            assert cursor.fetchone() == (taken, taken - 1)

            filler.unlink()
            assert health(server) == 200
            cursor.execute(f"INSERT INTO T VALUES ({taken})")
            cursor.execute("CREATE TABLE SMALL AS SELECT N FROM T")
            assert cursor.execute("LIST @S").fetchall() == []
            cursor.execute(f"PUT file://{upload} @S AUTO_COMPRESS = FALSE")
            assert len(cursor.execute("LIST @S").fetchall()) == 1
            cursor.execute(NEEDS_ROOM["a model"])
        # What could not be written meanwhile is in the history.
        with server.connect(database="D", schema="PUBLIC") as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT COUNT(*) FROM SNOWFLAKE.ACCOUNT_USAGE.QUERY_HISTORY "
                f"WHERE ERROR_CODE = {FULL} AND QUERY_TEXT LIKE 'CREATE TABLE BIG%'"
            )
            assert cursor.fetchone() == (1,)
        server.stop()
        server = start_server(small_disk / "data")
        with server.connect(database="D", schema="PUBLIC") as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT COUNT(*), MAX(N), COUNT(DISTINCT N) FROM T")
            assert cursor.fetchone() == (taken + 1, taken, taken + 1)
    finally:
        if server.process.poll() is None:
            server.kill()


def look_at(directory, folder):
    """Doctor and a backup elsewhere; what they say."""
    done, text = frazil("doctor", "--data-dir", directory)
    assert done and "no fault" in text, text
    done, text = frazil("backup", "--data-dir", directory, "--to", folder)
    assert done, text


@pytest.mark.parametrize("place", ["read-only", "full"])
def test_doctor_and_backup_need_no_room(small_disk, tmp_path, place):
    directory, filler = small_disk / "data", small_disk / "filler"
    server = start_server(directory)
    with server.connect() as connection:
        for text in ("CREATE DATABASE D", "CREATE TABLE T AS SELECT 7 AS A", "CREATE STAGE S"):
            connection.cursor().execute(text)
        connection.cursor().execute("COPY INTO @S/t.csv FROM T")
    server.stop()

    def close_disk():
        if place == "full":
            fill(filler)
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    close_disk()
    look_at(directory, tmp_path / "backups")
    done, text = frazil("restore", "--from", tmp_path / "backups", "--data-dir", tmp_path / "restored")
    assert done, text
    done, text = frazil("sql", "--data-dir", tmp_path / "restored", "-c", "SELECT A FROM D.PUBLIC.T")
    assert done and "7" in text, text
    # What can not be done says why.
    done, text = frazil("doctor", "--repair", "--data-dir", directory)
    assert not done and ("Read-only" in text or "disk" in text or "space" in text), text
    if place == "full":
        filler.unlink()
    else:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    # A log that a killed server left is read, or named.
    server = start_server(directory)
    with server.connect() as connection:
        connection.cursor().execute("INSERT INTO D.PUBLIC.T VALUES (8)")
    server.kill()
    close_disk()
    for arguments in (("doctor",), ("backup", "--to", tmp_path / "more")):
        done, text = frazil(arguments[0], "--data-dir", directory, *arguments[1:])
        assert done or "catalog.sqlite-wal" in text, text
