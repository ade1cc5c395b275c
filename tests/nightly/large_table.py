"""A large table through UPDATE, DELETE, MERGE, compaction and time travel: DuckDB's answers at every step.

    python tests/nightly/large_table.py [--rows 20000000] [--bin PATH] [--folder FOLDER]

Needs the `duckdb` package beside those of tests/clients. After every statement both sides give counts and sums by
group; then the table is asked again as it was after each statement, before and after upkeep, and after a
restart.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("--rows", type=int, default=20_000_000)
arguments.add_argument("--bin", help="the server's binary")
arguments.add_argument("--folder", help="where the files go; by default a temporary folder")
chosen = arguments.parse_args()
os.environ.setdefault("FRAZIL_LOG", "warn")
if chosen.bin:
    os.environ["FRAZIL_BIN"] = chosen.bin

from conftest import start_server  # noqa: E402

ROWS = chosen.rows
# Exact on both sides: no sum of floats.
SUMS = (
    "SELECT MOD(grp, 7) AS g, COUNT(*), SUM(id), SUM(grp), SUM(LENGTH(note)), COUNT(note), SUM(cents), "
    "MIN(id), MAX(id), MIN(day), MAX(day), SUM(CASE WHEN flag THEN 1 ELSE 0 END) "
    "FROM {table} GROUP BY 1 ORDER BY 1"
)
# Ranges and points, which files are left out by.
POINTS = (
    "SELECT COUNT(*), SUM(cents) FROM {table} WHERE id BETWEEN {low} AND {high}",
    "SELECT COUNT(*), SUM(id) FROM {table} WHERE day = DATE '2001-05-17'",
    "SELECT COUNT(*), SUM(id) FROM {table} WHERE note = 'note 77'",
    "SELECT COUNT(*), SUM(id) FROM {table} WHERE note IS NULL AND id > {high}",
)
CHANGES = [
    "UPDATE base SET cents = cents + 1, note = 'changed' WHERE MOD(id * 7919, 100) = 3",
    "DELETE FROM base WHERE MOD(id * 7919, 100) BETWEEN 40 AND 44",
    "UPDATE base SET note = NULL WHERE id BETWEEN {rows} / 4 AND {rows} / 2 AND MOD(id, 2) = 0",
    "DELETE FROM base WHERE id < {rows} / 20",
    "MERGE INTO base t USING changes s ON t.id = s.id WHEN MATCHED AND s.cents < 0 THEN DELETE "
    "WHEN MATCHED THEN UPDATE SET cents = s.cents, note = s.note, day = s.day "
    "WHEN NOT MATCHED THEN INSERT (id, grp, cents, note, day, flag) "
    "VALUES (s.id, s.grp, s.cents, s.note, s.day, s.flag)",
    "INSERT INTO base SELECT id + 4 * {rows}, grp, cents, note, day, flag FROM base WHERE MOD(grp, 50) = 1",
    "ALTER TABLE base ADD COLUMN extra NUMBER(9,0)",
    "UPDATE base SET extra = grp WHERE MOD(grp, 10) = 0",
    "UPDATE base SET grp = grp + 1, flag = NOT flag WHERE MOD(id, 3) = 0",
    "DELETE FROM base USING changes WHERE base.id = changes.id AND changes.flag",
    "UPDATE base SET cents = b.cents * 2 FROM (SELECT id, cents FROM changes WHERE MOD(id, 5) = 0) b "
    "WHERE base.id = b.id",
]
# DuckDB's words where they differ.
THEIRS = {
    "ALTER TABLE base ADD COLUMN extra NUMBER(9,0)": "ALTER TABLE base ADD COLUMN extra DECIMAL(9,0)",
}


def say(what, began):
    print(f"{time.perf_counter() - began:7.1f} s  {what}", flush=True)


def plain(rows):
    return [tuple(None if cell is None else str(cell) for cell in row) for row in rows]


def stop(server):
    server.process.terminate()
    server.process.wait(120)


def main():
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        peer = duckdb.connect(f"{folder}/peer.duckdb")
        shape = (
            "{i} AS ID, {i} % 1000 AS GRP, ({i} % 100003) - 5000 AS CENTS, "
            "CASE WHEN {i} % 11 = 0 THEN NULL ELSE 'note ' || ({i} % 5000) END AS NOTE, "
            "DATE '2000-01-01' + ({i} // 10000)::INTEGER AS DAY, {i} % 3 = 0 AS FLAG"
        )
        merged = f"(i * 7919 % {ROWS} + i % 2 * {ROWS})"
        for name, count, number in (("base", ROWS, "i"), ("changes", ROWS // 40, merged)):
            rows = f"SELECT {shape.replace('{i}', number)} FROM range({count}) r(i)"
            peer.execute(f"CREATE TABLE {name} AS {rows}")
            peer.execute(f"COPY {name} TO '{folder}/{name}.parquet'")
        say("rows made", began)
        data = Path(folder) / "data"
        server = start_server(data)
        connection = server.connect()
        cursor = connection.cursor()

        def check(what, snapshot=None, expected=None):
            """The answers of both sides, or those that were right at a snapshot."""
            at = f" AT(STATEMENT => '{snapshot}')" if snapshot else ""
            texts = [SUMS, *POINTS]
            values = {"low": ROWS // 3, "high": ROWS // 3 + 5000}
            ours = [plain(cursor.execute(t.format(table=f"base{at}", **values)).fetchall()) for t in texts]
            right = expected or [plain(peer.execute(t.format(table="base", **values)).fetchall()) for t in texts]
            for text, own, other in zip(texts, ours, right, strict=True):
                if own != other:
                    sys.exit(f"{what}: {text}\n  here   {own}\n  DuckDB {other}")
            return right

        try:
            cursor.execute("CREATE DATABASE large")
            cursor.execute("CREATE STAGE files FILE_FORMAT = (TYPE = PARQUET)")
            columns = "id NUMBER(18,0), grp NUMBER(9,0), cents NUMBER(18,0), note VARCHAR, day DATE, flag BOOLEAN"
            for name in ("base", "changes"):
                cursor.execute(f"PUT 'file://{folder}/{name}.parquet' @files AUTO_COMPRESS = FALSE")
                cursor.execute(f"CREATE TABLE {name} ({columns})")
                cursor.execute(
                    f"COPY INTO {name} FROM @files/{name}.parquet MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
                )
            states = [(cursor.sfqid, check("as loaded"))]
            # The load of `changes` is the newest statement that the first state is right at.
            say("loaded", began)
            for change in CHANGES:
                text = change.format(rows=ROWS)
                cursor.execute(text)
                query = cursor.sfqid
                peer.execute(THEIRS.get(text, text))
                states.append((query, check(text)))
                say(text[:70], began)

            def check_past(when):
                for number, (query, right) in enumerate(states):
                    check(f"{when}, after statement {number}", query, right)
                say(f"every former state, {when}", began)

            check_past("as written")
            cursor.close()
            connection.close()
            stop(server)
            upkeep = subprocess.run(
                [os.environ["FRAZIL_BIN"], "maintain", "--data-dir", str(data)], capture_output=True, text=True
            )
            if upkeep.returncode:
                sys.exit(upkeep.stderr)
            say(upkeep.stdout.strip(), began)
            server = start_server(data)
            connection = server.connect()
            cursor = connection.cursor()
            cursor.execute("USE SCHEMA large.public")
            check("after upkeep", expected=states[-1][1])
            check_past("after upkeep")
            connection.close()
        finally:
            stop(server)
    print(f"{ROWS:,} rows: {len(CHANGES)} statements, every state as in DuckDB")


if __name__ == "__main__":
    main()
