"""Benchmarks against the peers, in turn in one run; writes docs/benchmarks.md.

usage: run.py [NAME ...]    FRAZIL_BIN names the release binary
"""

import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import duckdb
import numpy as np
import pandas as pd
import snowflake.connector
import xgboost

ROOT = pathlib.Path(__file__).resolve().parents[1]
REPEATS = 3
PASSWORD = "benchmark-1"
ROWS = int(os.environ.get("FRAZIL_BENCH_ROWS", "1000000"))
RESULTS = {}


class Server:
    def __init__(self, directory):
        environment = {**os.environ, "FRAZIL_BOOTSTRAP_PASSWORD": PASSWORD}
        self.process = subprocess.Popen(
            [os.environ["FRAZIL_BIN"], "serve", "--data-dir", str(directory), "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                break

    def connect(self):
        host, port = self.url.removeprefix("http://").split(":")
        connection = snowflake.connector.connect(
            user="admin", password=PASSWORD, account="bench", host=host, port=int(port), protocol="http"
        )
        return connection

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) // 1024


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(name, ours, theirs, peer):
    """Runs both in turn and keeps the median of each and of their ratio."""
    pairs = [(timed(ours), timed(theirs)) for _ in range(REPEATS)]
    mine = statistics.median(a for a, _ in pairs)
    other = statistics.median(b for _, b in pairs)
    ratio = statistics.median(a / b for a, b in pairs)
    RESULTS[name] = (f"{mine:.3f} s", f"{other:.3f} s", f"{ratio:.2f}", peer)
    print(f"{name}: {mine:.3f} s, {peer} {other:.3f} s, ratio {ratio:.2f}", flush=True)


def main():
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        random = np.random.default_rng(7)
        frame = pd.DataFrame({f"F{i}": random.normal(size=ROWS) for i in range(30)})
        frame["Y"] = (frame["F0"] + frame["F1"] * frame["F2"] + random.normal(size=ROWS) > 0).astype("int64")
        frame["ID"] = np.arange(ROWS)
        path = folder / "train.parquet"
        frame.to_parquet(path, index=False)
        server = Server(folder / "data")
        connection = server.connect()
        cursor = connection.cursor()
        duck = duckdb.connect(str(folder / "peer.duckdb"))
        duck.execute("SET threads = 2")
        for sql in (
            "CREATE DATABASE bench",
            "CREATE STAGE s FILE_FORMAT = (TYPE = PARQUET)",
            f"PUT 'file://{path}' @s",
        ):
            cursor.execute(sql)
        features = [f"F{i}" for i in range(30)]
        columns = ", ".join(f"{c} FLOAT" for c in features) + ", Y NUMBER(1), ID NUMBER(18)"
        names = [*features, "Y", "ID"]
        copy = (
            f"COPY INTO t FROM (SELECT {', '.join(f'$1:{c}' for c in names)} FROM @s/train.parquet) "
            "FILE_FORMAT = (TYPE = PARQUET)"
        )

        def load():
            cursor.execute(f"CREATE OR REPLACE TABLE t ({columns})")
            cursor.execute(copy)

        compare(
            f"load {ROWS:,} × 32 from Parquet",
            load,
            lambda: duck.execute(f"CREATE OR REPLACE TABLE t AS FROM '{path}'"),
            "DuckDB",
        )
        aggregate = "SELECT Y, COUNT(*), AVG(F0), SUM(F1 * F2), MAX(F3) FROM t WHERE F4 > 0 GROUP BY Y"
        compare(
            "scan and aggregate",
            lambda: cursor.execute(aggregate).fetchall(),
            lambda: duck.execute(aggregate).fetchall(),
            "DuckDB (own table)",
        )
        if not wanted or "commit" in wanted:
            cursor.execute("CREATE TABLE one (a NUMBER(10), b VARCHAR)")
            duck.execute("CREATE TABLE one (a BIGINT, b VARCHAR)")
            times, peer = [], []
            for i in range(200):
                times.append(timed(lambda: cursor.execute(f"INSERT INTO one VALUES ({i}, 'x')")))
                peer.append(timed(lambda: duck.execute(f"INSERT INTO one VALUES ({i}, 'x')")))
            mine, other = statistics.median(times), statistics.median(peer)
            RESULTS["one-row INSERT, through the connector, p50"] = (
                f"{mine * 1000:.2f} ms", f"{other * 1000:.2f} ms", f"{mine / other:.1f}", "DuckDB in process")
        rows = ROWS * 10
        generated = f"SELECT SEQ4() AS A, SEQ4() * 0.5 AS B, 'text ' || MOD(SEQ4(), 1000) AS C FROM TABLE(GENERATOR(ROWCOUNT => {rows}))"
        duck_rows = f"SELECT i AS A, i * 0.5 AS B, 'text ' || (i % 1000) AS C FROM range({rows}) r(i)"
        compare(
            f"{rows:,} rows to pandas",
            lambda: cursor.execute(generated).fetch_pandas_all(),
            lambda: duck.execute(duck_rows).df(),
            "DuckDB in process",
        )
        train = (
            "CREATE OR REPLACE MODEL m USING GBT TARGET y FEATURES ("
            + ", ".join(features)
            + ") OPTIONS (task => 'binary', n_estimators => 100, max_depth => 6, seed => 1) "
            "EVALUATE (SPLIT 0.001) AS SELECT * FROM t"
        )
        booster = {}

        def peer_train():
            data = pd.read_parquet(path)
            matrix = xgboost.QuantileDMatrix(data[features], data["Y"], nthread=2)
            booster["model"] = xgboost.train(
                {"objective": "binary:logistic", "max_depth": 6, "nthread": 2, "tree_method": "hist"}, matrix, 100
            )

        compare("train 100 trees", lambda: cursor.execute(train), peer_train, "pandas + xgboost")
        score = f"SELECT AVG(m!PREDICT_PROBA({', '.join(features)}):\"1\"::FLOAT) FROM t"
        compare(
            "score all rows",
            lambda: cursor.execute(score).fetchall(),
            lambda: booster["model"].predict(xgboost.DMatrix(pd.read_parquet(path, columns=features), nthread=2)).mean(),
            "pandas + xgboost",
        )
        RESULTS["peak memory of the server"] = (f"{server.peak_mib()} MiB", "–", "–", "–")
        cursor.execute("CREATE ENDPOINT m FROM MODEL m")
        cursor.execute("ALTER USER ADD PROGRAMMATIC ACCESS TOKEN bench")
        token = cursor.fetchone()[1]
        body = json.dumps({"columns": features, "data": [[0.1] * 30]}).encode()
        times = []
        for _ in range(300):
            request = urllib.request.Request(
                f"{server.url}/endpoints/m/invocations",
                data=body,
                headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            )
            times.append(timed(lambda: urllib.request.urlopen(request).read()))
        times.sort()
        RESULTS["endpoint, one row, p50 / p99"] = (
            f"{times[150] * 1000:.2f} / {times[297] * 1000:.2f} ms", "–", "–", "new connection each")
        connection.close()
        server.process.terminate()
        server.process.wait()
    write()


def write():
    lines = [
        "# Benchmarks",
        "",
        "Written by `cargo xtask bench`. Each pair was measured in turn in one run, medians of "
        f"{REPEATS}; the ratio is Frazil's time over the peer's, so below 1 Frazil is faster. "
        f"{os.cpu_count()} cores, {platform.system()}.",
        "",
        "| what | Frazil | peer | ratio | peer is |",
        "|---|--:|--:|--:|---|",
    ]
    for name, (mine, other, ratio, peer) in RESULTS.items():
        lines.append(f"| {name} | {mine} | {other} | {ratio} | {peer} |")
    lines += [
        "",
        "Frazil's times include the connector, HTTP and, for commits, syncing to disk; DuckDB runs in "
        "the benchmark's own process. TPC-H is not measured here yet.",
        "",
    ]
    (ROOT / "docs/benchmarks.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
