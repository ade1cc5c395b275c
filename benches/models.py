"""Training, scoring and serving 1 M × 30 against pandas and xgboost."""

import http.client
import json
import pathlib
import subprocess
import sys
import urllib.parse

import numpy as np
import pandas as pd

from harness import THREADS, Pairs, timed

FEATURES = [f"F{i}" for i in range(30)]
TREES = 100
REQUESTS = 2000


def data(path, rows):
    random = np.random.default_rng(7)
    frame = pd.DataFrame({name: random.normal(size=rows) for name in FEATURES})
    noise = random.normal(size=rows)
    frame["Y"] = (frame["F0"] + frame["F1"] * frame["F2"] + noise > 0).astype("int64")
    frame["ID"] = np.arange(rows)
    frame.to_parquet(path, index=False)


def peak_mib():
    """Highest memory of this process; what getrusage tells begins with that of its parent."""
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def peer(path):
    """What a user would run in Python; prints seconds, log-loss and peak memory as JSON."""
    import time

    import xgboost

    start = time.perf_counter()
    frame = pd.read_parquet(path)
    matrix = xgboost.QuantileDMatrix(frame[FEATURES], frame["Y"], nthread=THREADS)
    settings = {"objective": "binary:logistic", "max_depth": 6, "nthread": THREADS}
    booster = xgboost.train({**settings, "tree_method": "hist"}, matrix, TREES)
    train = time.perf_counter() - start
    peak = peak_mib()
    del frame, matrix
    start = time.perf_counter()
    frame = pd.read_parquet(path)
    scores = booster.predict(xgboost.DMatrix(frame[FEATURES], nthread=THREADS))
    mean = float(scores.mean(dtype="float64"))
    score = time.perf_counter() - start
    target = frame["Y"].to_numpy()
    loss = float(-np.mean(np.log(np.where(target == 1, scores, 1 - scores), dtype="float64")))
    one = pd.DataFrame([[0.1] * 30], columns=FEATURES)
    alone = [timed(lambda: booster.predict(xgboost.DMatrix(one)))[0] for _ in range(200)]
    alone.sort()
    print(
        json.dumps(
            {
                "train": train,
                "score": score,
                "mean": mean,
                "loss": loss,
                "train_peak": peak,
                "peak": peak_mib(),
                "one_p50": alone[100],
                "one_p99": alone[198],
            }
        )
    )


def run(page, server, cursor, folder, rows, repeats):
    path = folder / "train.parquet"
    data(path, rows)
    columns = ", ".join(f"{name} FLOAT" for name in FEATURES)
    cursor.execute(f"CREATE OR REPLACE TABLE train ({columns}, Y NUMBER(1), ID NUMBER(18))")
    cursor.execute("CREATE OR REPLACE STAGE train_files FILE_FORMAT = (TYPE = PARQUET)")
    cursor.execute(f"PUT 'file://{path}' @train_files AUTO_COMPRESS = FALSE")
    fields = ", ".join(f"$1:{name}" for name in [*FEATURES, "Y", "ID"])
    cursor.execute(f"COPY INTO train FROM (SELECT {fields} FROM @train_files/train.parquet)")
    names = ", ".join(FEATURES)
    create = (
        f"CREATE OR REPLACE MODEL m USING GBT TARGET Y FEATURES ({names}) "
        f"OPTIONS (task => 'binary', n_estimators => {TREES}, max_depth => 6, seed => 1) "
        "EVALUATE (SPLIT 0.001) AS SELECT * FROM train"
    )
    chance = f'm!PREDICT_PROBA({names}):"1"::FLOAT'
    score = f"SELECT AVG({chance}) FROM train"
    trainings, scorings, results = Pairs(), Pairs(), []
    for repeat in range(repeats):
        base = server.memory_mib("VmRSS")
        server.forget_peak()
        train_seconds, _ = timed(lambda: cursor.execute(create).fetchall())
        train_peak = server.memory_mib("VmHWM")
        server.forget_peak()
        score_seconds, mean = timed(lambda: cursor.execute(score).fetchone()[0])
        score_peak = server.memory_mib("VmHWM")
        command = [sys.executable, str(pathlib.Path(__file__)), str(path)]
        other = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        trainings.add(train_seconds, other["train"])
        scorings.add(score_seconds, other["score"])
        results.append((base, train_peak, score_peak, mean, other))
    base, train_peak, score_peak, mean, other = results[0]
    loss = cursor.execute(
        f"SELECT -AVG(LN(IFF(Y = 1, p, 1 - p))) FROM (SELECT Y, {chance} AS p FROM train)"
    ).fetchone()[0]
    if abs(mean - other["mean"]) > 0.01 or loss > other["loss"] * 1.01:
        raise AssertionError(f"the models differ: {mean}, {loss} against {other}")
    page.section(
        "Models",
        f"{rows:,} rows × 30 floats, binary target, {TREES} trees of depth 6. The peer reads Parquet "
        "with pandas, trains with xgboost (histograms) and predicts; imports are not counted.",
    )
    page.pair("train", trainings, "pandas + xgboost")
    page.pair("score all rows", scorings, "pandas + xgboost")
    page.row("log-loss on the training rows", f"{loss:.4f}", f"{other['loss']:.4f}", f"{loss / other['loss']:.2f}", "xgboost")
    page.row(
        "peak memory while training",
        f"{train_peak} MiB (base {base})",
        f"{other['train_peak']} MiB",
        f"{train_peak / other['train_peak']:.2f}",
        "pandas + xgboost, whole process",
    )
    page.row("peak memory while scoring", f"{score_peak} MiB", f"{other['peak']} MiB", f"{score_peak / other['peak']:.2f}", "pandas + xgboost, whole process")
    endpoint(page, server, cursor, results[0][4])


def endpoint(page, server, cursor, other):
    """One row at a time over one kept connection."""
    cursor.execute("CREATE OR REPLACE ENDPOINT bench FROM MODEL m")
    cursor.execute("ALTER USER ADD PROGRAMMATIC ACCESS TOKEN bench")
    token = cursor.fetchone()[1]
    body = json.dumps({"columns": FEATURES, "data": [[0.1] * 30]})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    parts = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)

    def call():
        connection.request("POST", "/endpoints/bench/invocations", body, headers)
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise AssertionError(f"the endpoint answered {reply.status}: {text}")

    for _ in range(50):
        call()
    times = sorted(timed(call)[0] for _ in range(REQUESTS))
    p50, p99 = times[REQUESTS // 2], times[REQUESTS * 99 // 100]
    page.row(
        "endpoint, one row by HTTP, p50",
        f"{p50 * 1000:.2f} ms",
        f"{other['one_p50'] * 1000:.2f} ms",
        f"{p50 / other['one_p50']:.2f}",
        "xgboost predict of one row, no HTTP",
    )
    page.row(
        "endpoint, one row by HTTP, p99",
        f"{p99 * 1000:.2f} ms",
        f"{other['one_p99'] * 1000:.2f} ms",
        f"{p99 / other['one_p99']:.2f}",
        "xgboost predict of one row, no HTTP",
    )
    connection.close()


if __name__ == "__main__":
    peer(sys.argv[1])
