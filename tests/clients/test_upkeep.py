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
    assert "1 orphan files moved to quarantine" in repaired.stdout and not orphan.exists()
    (aside,) = (directory / "data" / "quarantine").glob("*/frazil-lost.parquet")
    assert aside.read_bytes() == b"left by a crash"
    assert frazil("doctor", "--data-dir", directory).returncode == 0
    time.sleep(1.1)
    purged = frazil("doctor", "--repair", "--purge-quarantine", "--data-dir", directory)
    assert purged.returncode == 0 and "1 files removed from quarantine" in purged.stdout, purged.stdout
    assert not aside.exists()

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


def test_a_lost_format_file_is_named_and_written_anew(tmp_path):
    directory = tmp_path / "data"
    made = frazil("sql", "--data-dir", directory, "-c", "CREATE DATABASE d; CREATE TABLE d.public.t AS SELECT 1 AS a")
    assert made.returncode == 0, made.stderr
    form = directory / "format"
    text = form.read_text()
    for lose in (lambda: form.write_text(""), form.unlink):
        lose()
        refused = frazil("sql", "--data-dir", directory, "-c", "SELECT 1")
        assert refused.returncode != 0 and "frazil doctor --repair" in refused.stderr, refused.stderr
        found = frazil("doctor", "--data-dir", directory)
        assert found.returncode != 0 and "format: the file 'format' is" in found.stdout, found.stdout
        repaired = frazil("doctor", "--repair", "--data-dir", directory)
        assert repaired.returncode == 0 and "written anew" in repaired.stdout, repaired.stdout + repaired.stderr
        assert form.read_text() == text
    form.write_text("frazil 99\n")
    for verb in (["doctor"], ["doctor", "--repair"]):
        unknown = frazil(*verb, "--data-dir", directory)
        assert unknown.returncode != 0 and "'frazil 99'" in unknown.stdout + unknown.stderr
    assert form.read_text() == "frazil 99\n"
    form.write_text(text)
    rows = frazil("sql", "--data-dir", directory, "--format", "csv", "-c", "SELECT a FROM d.public.t")
    assert rows.stdout.splitlines()[-1] == "1", rows.stdout + rows.stderr


def test_a_missing_file_is_an_error_that_names_the_table(tmp_path):
    directory = tmp_path / "data"
    made = frazil(
        "sql", "--data-dir", directory, "-c",
        "CREATE DATABASE d; CREATE TABLE d.public.t AS SELECT SEQ4() AS a FROM TABLE(GENERATOR(ROWCOUNT => 5000))",
    )
    assert made.returncode == 0, made.stderr
    (file,) = (directory / "data").rglob("*.parquet")
    file.unlink()
    failed = frazil("sql", "--data-dir", directory, "-c", "SELECT SUM(a) FROM d.public.t")
    assert failed.returncode != 0 and "D.PUBLIC.T" in failed.stderr and file.name in failed.stderr, failed.stderr
    assert "frazil doctor" in failed.stderr and str(directory) not in failed.stderr, failed.stderr
    found = frazil("doctor", "--data-dir", directory)
    assert found.returncode != 0 and "missing file" in found.stdout, found.stdout


def test_a_clone_keeps_defaults_of_columns_younger_than_its_files(tmp_path):
    directory = tmp_path / "data"

    def sql(text):
        done = frazil("sql", "--data-dir", directory, "--format", "csv", "-c", text)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[1:]

    files = "; ".join(f"INSERT INTO d.public.t SELECT {i}, PARSE_JSON('[{i}]')" for i in range(4))
    sql(
        f"CREATE DATABASE d; CREATE TABLE d.public.t (a NUMBER, b VARIANT); {files}; "
        "ALTER TABLE d.public.t ADD COLUMN c NUMBER DEFAULT 7; CREATE TABLE d.public.u CLONE d.public.t; "
        "DROP TABLE d.public.t"
    )
    before = sql("SELECT a, c FROM d.public.u ORDER BY a")
    assert before == [f"{i},7" for i in range(4)]
    done = frazil("maintain", "--data-dir", directory)
    assert done.returncode == 0 and "1 merged" in done.stdout, done.stdout + done.stderr
    assert sql("SELECT a, c FROM d.public.u ORDER BY a") == before


def test_doctor_finds_the_shared_files_of_clones_in_a_moved_directory(tmp_path):
    directory = tmp_path / "data"
    rows = "SELECT seq4() AS a, RANDSTR(20, RANDOM()) AS s FROM TABLE(GENERATOR(ROWCOUNT => 20000))"
    script = f"CREATE DATABASE d; CREATE TABLE d.public.t AS {rows}; CREATE TABLE d.public.c CLONE d.public.t;"
    made = frazil("sql", "--data-dir", directory, "-c", script)
    assert made.returncode == 0, made.stderr
    moved = tmp_path / "elsewhere"
    directory.rename(moved)
    found = frazil("doctor", "--data-dir", moved)
    assert found.returncode == 0 and "no fault found" in found.stdout, found.stdout
    read = frazil("sql", "--data-dir", moved, "--format", "csv", "-c", "SELECT COUNT(*) FROM d.public.c")
    assert read.stdout.split()[-1] == "20000", read.stdout + read.stderr
