"""Changing rows of a large table, against DuckDB's ducklake extension on the same rows.

The peer runs in a process of its own (`changes.py FOLDER PARQUET`): the extension belongs to another
release of DuckDB than the one the other parts compare with. It reads statements from standard input,
one a line, and answers each with seconds, processor seconds and the row of its result.
"""

import json
import os
import pathlib
import subprocess
import sys

ROWS = int(os.environ.get("FRAZIL_BENCH_CHANGED_ROWS", "5000000"))
COLUMNS = "ID NUMBER(12), GRP NUMBER(12), PRICE FLOAT, NOTE VARCHAR"
SUMS = "SELECT COUNT(*), SUM(ID), SUM(GRP), SUM(LENGTH(NOTE)), ROUND(SUM(PRICE)) FROM {table}"

# Rows that lie scattered over all files: 7919 is prime to the number of rows.
CHANGES = {
    "UPDATE of 1 %": "UPDATE {table} SET PRICE = PRICE + 1, NOTE = 'changed' WHERE MOD(ID * 7919, 100) = 3",
    "DELETE of 1 %": "DELETE FROM {table} WHERE MOD(ID * 7919, 100) = 5",
    "DELETE of 5 %": "DELETE FROM {table} WHERE MOD(ID * 7919, 100) BETWEEN 40 AND 44",
    "DELETE of a tenth, one stretch": "DELETE FROM {table} WHERE ID < {rows} / 10",
    "MERGE of 50,000 rows": "MERGE INTO {table} t USING {source} s ON t.ID = s.ID "
    "WHEN MATCHED THEN UPDATE SET PRICE = s.PRICE, NOTE = s.NOTE "
    "WHEN NOT MATCHED THEN INSERT (ID, GRP, PRICE, NOTE) VALUES (s.ID, s.GRP, s.PRICE, s.NOTE)",
}


def generate(folder, rows):
    """The table and the rows to merge, as Parquet; half of the latter are new."""
    import duckdb

    connection = duckdb.connect()
    shape = "{i} AS ID, {i} % 1000 AS GRP, ({i} % 100003) * 0.25::DOUBLE AS PRICE, 'note ' || ({i} % 5000) AS NOTE"
    for name, count, expression in (
        ("base", rows, "i"),
        ("merged", 50_000, "(i * 7919 % {rows} + i % 2 * {rows})".replace("{rows}", str(rows))),
    ):
        select = shape.replace("{i}", expression)
        connection.execute(
            f"COPY (SELECT {select} FROM range({count}) r(i)) TO '{folder}/{name}.parquet' (COMPRESSION snappy)"
        )


def peer(folder, files):
    """Answers statements on a lake of its own."""
    import resource
    import time

    import duckdb

    connection = duckdb.connect()
    for name in ("ducklake", "sqlite_scanner"):
        found = pathlib.Path(duckdb.__file__).parent.parent.glob(
            f"duckdb_extension*{name}*/**/*.duckdb_extension"
        )
        connection.execute(f"LOAD '{next(iter(found))}'")
    connection.execute(f"SET threads = {os.cpu_count()}")
    connection.execute(f"ATTACH 'ducklake:sqlite:{folder}/peer.sqlite' AS lake (DATA_PATH '{folder}/peer/')")
    connection.execute(f"CREATE TABLE lake.base AS FROM '{files}/base.parquet'")
    connection.execute(f"CREATE TABLE lake.merged AS FROM '{files}/merged.parquet'")
    print("ready", flush=True)
    for line in sys.stdin:
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        row = connection.execute(line).fetchone()
        wall = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(json.dumps({"wall": wall, "cpu": cpu, "row": [str(cell) for cell in row]}), flush=True)


def run(page, server, cursor, folder):
    from harness import seconds, timed

    interpreter = os.environ.get("FRAZIL_BENCH_DUCKLAKE_PYTHON")
    if not interpreter:
        raise RuntimeError(
            "FRAZIL_BENCH_DUCKLAKE_PYTHON names no Python with DuckDB's ducklake extension; "
            "`cargo xtask bench` sets it"
        )
    generate(folder, ROWS)
    cursor.execute("CREATE OR REPLACE STAGE change_files FILE_FORMAT = (TYPE = PARQUET)")
    for name in ("base", "merged"):
        cursor.execute(f"PUT 'file://{folder}/{name}.parquet' @change_files AUTO_COMPRESS = FALSE")
        cursor.execute(f"CREATE OR REPLACE TABLE {name} ({COLUMNS})")
        cursor.execute(
            f"COPY INTO {name} FROM (SELECT $1:ID, $1:GRP, $1:PRICE, $1:NOTE "
            f"FROM @change_files/{name}.parquet)"
        )
    page.section(
        "Changing rows",
        f"{ROWS:,} rows of four columns, both as DuckLake tables in Parquet with the catalog in SQLite; "
        "each statement commits. The peer runs in its own process without client or HTTP. Once each, "
        "in this order, with the sums over the table compared after every statement.",
    )
    process = subprocess.Popen(
        [interpreter, __file__, str(folder), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the peer did not start")

        def theirs(text):
            process.stdin.write(text.format(table="lake.base", source="lake.merged", rows=ROWS) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        def ours(text):
            before = server.cpu_seconds()
            wall, _ = timed(
                lambda: cursor.execute(text.format(table="base", source="merged", rows=ROWS)).fetchone()
            )
            return wall, server.cpu_seconds() - before

        def sums():
            mine = [str(cell) for cell in cursor.execute(SUMS.format(table="base")).fetchone()]
            other = theirs(SUMS)["row"]
            if [float(cell) for cell in mine] != [float(cell) for cell in other]:
                raise AssertionError(f"the tables differ: {mine}, DuckDB has {other}")

        sums()
        for what, text in CHANGES.items():
            wall, cpu = ours(text)
            answer = theirs(text)
            sums()
            page.row(what, seconds(wall), seconds(answer["wall"]), f"{wall / answer['wall']:.2f}", "ducklake")
            page.row(
                f"{what}, processor time",
                seconds(cpu),
                seconds(answer["cpu"]),
                f"{cpu / answer['cpu']:.2f}",
                "ducklake",
            )
        wall, _ = ours(SUMS)
        answer = theirs(SUMS)
        page.row(
            "sums over all rows afterwards",
            seconds(wall),
            seconds(answer["wall"]),
            f"{wall / answer['wall']:.2f}",
            "ducklake",
        )
    finally:
        process.stdin.close()
        process.wait(60)


if __name__ == "__main__":
    peer(*sys.argv[1:])
