"""TPC-H: our tables against DuckDB on snappy Parquet of the same rows, results compared by value."""

import datetime
import decimal
import math
import os
import pathlib
import subprocess
import sys

from harness import THREADS, Pairs, timed

FOLDER = pathlib.Path(__file__).resolve().parent / "tpch"
TABLES = ["region", "nation", "supplier", "part", "partsupp", "customer", "orders", "lineitem"]
QUERIES = range(1, 23)


def generate(folder, scale):
    """The tables as Parquet (snappy), one file each, from the public generator."""
    command = [str(pathlib.Path(sys.executable).parent / "tpchgen-cli"), "parquet", "-s", str(scale)]
    subprocess.run([*command, "-o", str(folder)], check=True)


def query(number, scale):
    text = (FOLDER / f"q{number:02}.sql").read_text()
    if number == 11:
        text = text.replace("0.0001", f"{0.0001 / scale:.10f}".rstrip("0"))
    return text


def load(cursor, folder):
    """Makes the tables and copies the files into them. Seconds of the copying alone."""
    cursor.execute("CREATE OR REPLACE SCHEMA tpch")
    for statement in (FOLDER / "schema.sql").read_text().split(";"):
        if statement.strip():
            cursor.execute(statement)
    cursor.execute("CREATE OR REPLACE STAGE tpch_files FILE_FORMAT = (TYPE = PARQUET)")
    total = 0.0
    for table in TABLES:
        cursor.execute(f"PUT 'file://{folder / table}.parquet' @tpch_files AUTO_COMPRESS = FALSE")
        cursor.execute(f"SHOW COLUMNS IN TABLE {table}")
        place = [column[0] for column in cursor.description].index("column_name")
        names = [row[place] for row in cursor.fetchall()]
        fields = ", ".join(f"$1:{name.lower()}" for name in names)
        copy = f"COPY INTO {table} FROM (SELECT {fields} FROM @tpch_files/{table}.parquet)"
        total += timed(lambda: cursor.execute(copy))[0]
    return total


def plain(value):
    """A value that compares across the two."""
    if isinstance(value, (decimal.Decimal, int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, datetime.datetime):
        return value.date() if value.time() == datetime.time() else value
    return value


def same(ours, theirs):
    """Equal, numbers within what the fraction digits of a NUMBER can show."""
    ours, theirs = plain(ours), plain(theirs)
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-6)
    return ours == theirs


def check(number, ours, theirs):
    """Stops the benchmark where a result differs."""
    if len(ours) != len(theirs):
        raise AssertionError(f"q{number}: {len(ours)} rows, DuckDB has {len(theirs)}")
    for place, (mine, other) in enumerate(zip(ours, theirs)):
        if len(mine) != len(other) or not all(same(a, b) for a, b in zip(mine, other)):
            raise AssertionError(f"q{number}, row {place}: {mine}, DuckDB has {other}")


def run(page, cursor, duck, folder, scale, repeats):
    """All queries in turn; each result must equal DuckDB's."""
    for table in TABLES:
        duck.execute(f"CREATE OR REPLACE VIEW {table} AS FROM '{folder / table}.parquet'")
    chosen = [int(n) for n in os.environ.get("FRAZIL_BENCH_QUERIES", "").split(",") if n] or QUERIES
    pairs = {number: Pairs() for number in chosen}
    for repeat in range(repeats + 1):
        for number in chosen:
            text = query(number, scale)
            mine, ours = timed(lambda: cursor.execute(text).fetchall())
            other, theirs = timed(lambda: duck.execute(text).fetchall())
            check(number, ours, theirs)
            if repeat > 0:  # The first round warms both up.
                pairs[number].add(mine, other)
    page.section(
        f"TPC-H, scale factor {scale:g}",
        "All 22 queries with the specification's validation parameters. Frazil reads its own tables, "
        "through the connector; DuckDB scans Parquet (snappy) of the same rows in its own process, "
        f"with {THREADS} threads. Every result was compared by value.",
    )
    total = Pairs()
    for number in chosen:
        page.pair(f"q{number}", pairs[number], "DuckDB")
    for repeat in range(repeats):
        total.add(
            sum(pair.ours[repeat] for pair in pairs.values()),
            sum(pair.theirs[repeat] for pair in pairs.values()),
        )
    page.pair("**sum of the queries**", total, "DuckDB")
    ratios = [pair.ratio for pair in pairs.values()]
    mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    worst = sorted(pairs, key=lambda number: -pairs[number].ratio)[:5]
    page.note(
        f"Geometric mean of the ratios: {mean:.2f}. Furthest behind: "
        + ", ".join(f"q{number} ({pairs[number].ratio:.1f})" for number in worst)
        + "."
    )
