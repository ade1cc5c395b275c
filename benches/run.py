"""Benchmarks against the peers, in turn in one run; all of them write docs/benchmarks.md.

usage: run.py [tables | tpch | changes | commits | models ...]

FRAZIL_BIN names the release binary. FRAZIL_BENCH_SCALE, _ROWS, _CHANGED_ROWS, _REPEATS and _QUERIES
(q1,q2 as 1,2) make a run smaller; such a run, or a run of chosen parts, prints and writes no page.
"""

import os
import pathlib
import sys
import tempfile

import duckdb

import changes
import commits
import models
import report
import tables
import tpch
from harness import PASSWORD, ROOT, THREADS, Page, Server

SCALE = float(os.environ.get("FRAZIL_BENCH_SCALE", "1"))
ROWS = int(os.environ.get("FRAZIL_BENCH_ROWS", "1000000"))
REPEATS = int(os.environ.get("FRAZIL_BENCH_REPEATS", "3"))
PARTS = ("tables", "tpch", "changes", "commits", "models")


def main():
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [part for part in wanted if part not in PARTS]
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    names = ("SCALE", "ROWS", "CHANGED_ROWS", "REPEATS", "QUERIES")
    settings = [f"FRAZIL_BENCH_{name}" for name in names]
    whole = set(wanted) == set(PARTS) and not any(name in os.environ for name in settings)
    page = Page()
    # FRAZIL_BENCH_DATA keeps the generated files between runs.
    with tempfile.TemporaryDirectory() as temporary:
        temporary = pathlib.Path(temporary)
        files = pathlib.Path(os.environ.get("FRAZIL_BENCH_DATA", temporary)) / f"tpch-{SCALE:g}"
        if not files.exists() and set(wanted) & {"tables", "tpch"}:
            tpch.generate(files, SCALE)
        server = Server(temporary / "data")
        try:
            connection = server.connect()
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE bench")
            cursor.execute("CREATE SCHEMA bench.tpch")
            duck = duckdb.connect(str(temporary / "peer.duckdb"))
            duck.execute(f"SET threads = {THREADS}")
            if set(wanted) & {"tables", "tpch"}:
                loads = tables.tpch_tables(page, cursor, duck, files)
            if "tables" in wanted:
                tables.parquet_and_csv(page, cursor, duck, files, REPEATS)
                page.pair("all TPC-H tables from Parquet, once", loads, "DuckDB")
                tables.scan(page, cursor, duck, REPEATS)
                tables.commit(page, cursor, duck)
                tables.to_pandas(page, server, cursor, duck, ROWS * 10, REPEATS)
            if "tpch" in wanted:
                tpch.run(page, cursor, duck, files, SCALE, REPEATS)
            duck.close()
            if "changes" in wanted:
                changes.run(page, server, cursor, temporary)
            if "commits" in wanted:
                commits.run(page, server, cursor, PASSWORD, temporary)
            if "models" in wanted:
                models.run(page, server, cursor, temporary, ROWS, REPEATS)
            connection.close()
        finally:
            server.stop()
    if whole:
        report.write(page, ROOT / "docs/benchmarks.md", REPEATS)
    else:
        print("\n".join(report.lines(page)))


if __name__ == "__main__":
    main()
