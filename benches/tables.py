"""Loading, scanning, committing and reading rows."""

import pathlib

import numpy as np
import pandas as pd

from harness import Pairs, timed
from tpch import load as load_tpch

COMMITS = 200


def parquet_and_csv(page, cursor, duck, folder, repeats):
    """Loads the orders of TPC-H from Parquet and from CSV."""
    orders = folder / "orders.parquet"
    text = pathlib.Path(str(folder)) / "orders.csv"
    duck.execute(f"COPY (FROM '{orders}') TO '{text}' (HEADER false)")
    rows = duck.execute(f"SELECT COUNT(*) FROM '{orders}'").fetchone()[0]
    page.section(
        "Loading",
        "COPY INTO from an internal stage (the upload is not counted) against CREATE TABLE AS from "
        "the same file into a DuckDB database file.",
    )
    duck.execute("CREATE OR REPLACE TABLE shape AS FROM '%s' LIMIT 0" % orders)
    cursor.execute("CREATE OR REPLACE TABLE loaded LIKE orders")
    cursor.execute("CREATE OR REPLACE STAGE text_files")
    cursor.execute(f"PUT 'file://{text}' @text_files AUTO_COMPRESS = FALSE")
    names = [column[0] for column in duck.execute("DESCRIBE shape").fetchall()]
    fields = ", ".join(f"$1:{name}" for name in names)

    def ours_parquet():
        cursor.execute("TRUNCATE TABLE loaded")
        cursor.execute(f"COPY INTO loaded FROM (SELECT {fields} FROM @tpch_files/orders.parquet)")

    def theirs_parquet():
        duck.execute(f"CREATE OR REPLACE TABLE loaded AS FROM '{orders}'")

    def ours_csv():
        cursor.execute("TRUNCATE TABLE loaded")
        cursor.execute(
            "COPY INTO loaded FROM @text_files/orders.csv "
            "FILE_FORMAT = (TYPE = CSV FIELD_OPTIONALLY_ENCLOSED_BY = '\"')"
        )

    def theirs_csv():
        duck.execute("CREATE OR REPLACE TABLE loaded AS FROM shape")
        duck.execute(f"COPY loaded FROM '{text}' (HEADER false)")

    page.compare(f"{rows:,} orders from Parquet", ours_parquet, theirs_parquet, "DuckDB", repeats)
    page.compare(f"{rows:,} orders from CSV", ours_csv, theirs_csv, "DuckDB", repeats)
    counted = cursor.execute("SELECT COUNT(*), SUM(o_totalprice) FROM loaded").fetchone()
    if counted != duck.execute("SELECT COUNT(*), SUM(o_totalprice) FROM loaded").fetchone():
        raise AssertionError(f"the loaded rows differ: {counted}")
    cursor.execute("DROP TABLE loaded")
    duck.execute("DROP TABLE loaded")


def tpch_tables(page, cursor, duck, folder):
    """All TPC-H tables once; they stay for the queries."""
    ours = load_tpch(cursor, folder)

    def theirs():
        for path in sorted(folder.glob("*.parquet")):
            duck.execute(f"CREATE OR REPLACE TABLE own_{path.stem} AS FROM '{path}'")

    pairs = Pairs()
    pairs.add(ours, timed(theirs)[0])
    return pairs


def scan(page, cursor, duck, repeats):
    """Aggregates over the whole of lineitem, both on their own tables."""
    page.section("Scanning", "Over the 6 million rows of lineitem, both on their own tables.")
    for what, text in {
        "count": "SELECT COUNT(*) FROM {t}",
        "sum of one column": "SELECT SUM(l_quantity) FROM {t}",
        "filter on an unsorted column, three sums": "SELECT SUM(l_extendedprice), SUM(l_discount), "
        "SUM(l_tax) FROM {t} WHERE l_quantity < 10",
        "group by a text column": "SELECT l_shipmode, COUNT(*), SUM(l_extendedprice), "
        "MAX(l_shipdate) FROM {t} GROUP BY l_shipmode",
        "distinct count": "SELECT COUNT(DISTINCT l_suppkey) FROM {t}",
    }.items():
        ours = text.replace("{t}", "lineitem")
        theirs = text.replace("{t}", "own_lineitem")
        page.compare(
            what,
            lambda: cursor.execute(ours).fetchall(),
            lambda: duck.execute(theirs).fetchall(),
            "DuckDB (own table)",
            repeats,
        )
        mine = sorted(cursor.execute(ours).fetchall())
        other = sorted(duck.execute(theirs).fetchall())
        if mine != other:
            raise AssertionError(f"{what}: {mine}, DuckDB has {other}")


def commit(page, cursor, duck):
    """One row, committed and on disk, again and again."""
    cursor.execute("CREATE OR REPLACE TABLE one (a NUMBER(10), b VARCHAR)")
    duck.execute("CREATE OR REPLACE TABLE one (a BIGINT, b VARCHAR)")
    pairs = Pairs()
    for i in range(COMMITS):
        text = f"INSERT INTO one VALUES ({i}, 'x')"
        pairs.add(timed(lambda: cursor.execute(text))[0], timed(lambda: duck.execute(text))[0])
    reads = Pairs()
    for i in range(COMMITS // 4):
        text = f"SELECT b FROM one WHERE a = {i}"
        ours = timed(lambda: cursor.execute(text).fetchall())
        theirs = timed(lambda: duck.execute(text).fetchall())
        if ours[1] != theirs[1]:
            raise AssertionError(f"row {i}: {ours[1]}, DuckDB has {theirs[1]}")
        reads.add(ours[0], theirs[0])
    page.section(
        "Small statements",
        "Frazil through the connector and HTTP, DuckDB in the benchmark's process on a database "
        "file. Both sync to disk at each commit.",
    )
    page.pair("one-row INSERT, committed", pairs, "DuckDB")
    page.pair(f"one row by key, after {COMMITS} commits", reads, "DuckDB")


def to_pandas(page, server, cursor, duck, rows, repeats):
    """Many rows into a data frame, and the server's memory meanwhile."""
    cursor.execute(
        "CREATE OR REPLACE TABLE wide AS SELECT SEQ4() AS a, SEQ4() * 0.5::FLOAT AS b, "
        "'text ' || MOD(SEQ4(), 1000) AS c, DATEADD(day, MOD(SEQ4(), 5000), '2000-01-01'::DATE) AS d "
        f"FROM TABLE(GENERATOR(ROWCOUNT => {rows}))"
    )
    duck.execute(
        "CREATE OR REPLACE TABLE wide AS SELECT i::INTEGER AS a, i * 0.5::DOUBLE AS b, "
        "'text ' || (i % 1000) AS c, DATE '2000-01-01' + (i % 5000)::INTEGER AS d "
        f"FROM range({rows}) r(i)"
    )
    page.section("Reading rows", "Four columns (integer, float, text, date) from the peers' own tables.")
    base = server.memory_mib("VmRSS")
    server.forget_peak()
    frames = {}

    def ours():
        frames["ours"] = cursor.execute("SELECT * FROM wide").fetch_pandas_all()

    def theirs():
        frames["theirs"] = duck.execute("FROM wide").df()

    page.compare(f"{rows:,} rows to pandas", ours, theirs, "DuckDB in process", repeats)
    peak = server.memory_mib("VmHWM")
    page.row("memory of the server above its base", f"{max(peak - base, 0)} MiB", "–", "–", "–")
    mine = frames["ours"].rename(columns=str.lower).sort_values("a", ignore_index=True)
    other = frames["theirs"].sort_values("a", ignore_index=True)
    if not (np.array_equal(mine["a"], other["a"]) and np.array_equal(mine["b"], other["b"])):
        raise AssertionError("the frames' numbers differ")
    if not (mine["c"] == other["c"]).all() or not (
        pd.to_datetime(mine["d"]) == pd.to_datetime(other["d"])
    ).all():
        raise AssertionError("the frames' texts or dates differ")
    stalled(page, server, rows)
    cursor.execute("DROP TABLE wide")
    duck.execute("DROP TABLE wide")


def stalled(page, server, rows):
    """Memory while a client takes a first row and then no more."""
    import time

    base = server.memory_mib("VmRSS")
    server.forget_peak()
    connection = server.connect(database="bench", schema="tpch")
    cursor = connection.cursor()
    cursor.execute("SELECT * FROM wide")
    cursor.fetchone()
    time.sleep(5)
    peak = server.memory_mib("VmHWM")
    page.row(
        f"memory above base, a client stalled in {rows:,} rows",
        f"{max(peak - base, 0)} MiB",
        "–",
        "–",
        "limit 300 MiB",
    )
    connection.close()
