"""Models cross the border both ways: ours load in xgboost, xgboost's load here."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import xgboost
from command_line import query, sql

PREPARE = "CREATE DATABASE IF NOT EXISTS t; USE SCHEMA t.public; CREATE STAGE IF NOT EXISTS files;"


def frame(rows, seed):
    random = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "A": random.normal(size=rows),
            "B": random.uniform(-5, 5, size=rows),
            "C": random.integers(0, 50, size=rows).astype(float),
        }
    )
    data.loc[random.random(rows) < 0.15, "A"] = np.nan
    data.loc[random.random(rows) < 0.05, "C"] = np.nan
    signal = np.nan_to_num(data["A"]) * 2 - data["B"] * 0.5 + (np.nan_to_num(data["C"]) > 25) * 1.5
    data["Y"] = signal + random.normal(scale=0.3, size=rows)
    data["K"] = np.digitize(signal, [-1.5, 0.5, 2.0])
    return data


def upload(directory, data, tmp_path, name):
    path = tmp_path / f"{name}.parquet"
    data.to_parquet(path, index=False)
    columns = ", ".join(f'$1:"{column}"::FLOAT AS {column}' for column in data.columns)
    declared = ", ".join(f"{column} FLOAT" for column in data.columns)
    sql(
        directory,
        f"{PREPARE} PUT 'file://{path}' @files OVERWRITE = TRUE; CREATE OR REPLACE TABLE {name} ({declared}); "
        f"COPY INTO {name} FROM (SELECT {columns} FROM @files/{name}.parquet) FILE_FORMAT = (TYPE = PARQUET);",
    )


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "multi:softprob"])
@pytest.mark.parametrize("extension", ["json", "ubj"])
def test_models_saved_by_xgboost_predict_the_same_here(tmp_path, objective, extension):
    directory = tmp_path / "lake"
    train, test = frame(3000, 1), frame(1500, 2)
    label = {"reg:squarederror": train["Y"], "binary:logistic": train["Y"] > 0, "multi:softprob": train["K"]}[objective]
    parameters = {"objective": objective, "max_depth": 5, "eta": 0.2, "nthread": 2}
    if objective.startswith("multi"):
        parameters["num_class"] = 4
    features = ["A", "B", "C"]
    booster = xgboost.train(parameters, xgboost.DMatrix(train[features], label), 25)
    path = tmp_path / f"model.{extension}"
    booster.save_model(path)
    upload(directory, test.assign(N=np.arange(len(test), dtype=float)), tmp_path, "test")
    sql(
        directory,
        f"{PREPARE} PUT 'file://{path}' @files AUTO_COMPRESS = FALSE; "
        f"CREATE MODEL m FROM @files/model.{extension} FORMAT = XGBOOST;",
    )
    expected = booster.predict(xgboost.DMatrix(test[features]))
    if objective == "reg:squarederror":
        _, rows = query(directory, "SELECT m!PREDICT(a, b, c) FROM test ORDER BY n")
        ours = np.array([row[0] for row in rows], dtype=np.float32)
    elif objective == "binary:logistic":
        _, rows = query(directory, 'SELECT m!PREDICT_PROBA(a, b, c):"1"::FLOAT FROM test ORDER BY n')
        ours = np.array([row[0] for row in rows], dtype=np.float32)
    else:
        _, rows = query(directory, "SELECT m!PREDICT_PROBA(*) FROM test ORDER BY n")
        objects = [json.loads(row[0]) for row in rows]
        ours = np.array([[o[str(k)] for k in range(4)] for o in objects], dtype=np.float32)
    assert ours.shape == expected.shape
    ulp = np.spacing(np.abs(expected))
    assert np.all(np.abs(ours - expected) <= ulp * 1.5)


def test_our_models_predict_the_same_in_xgboost(tmp_path):
    directory = tmp_path / "lake"
    data = frame(4000, 3).assign(N=np.arange(4000, dtype=float))
    upload(directory, data, tmp_path, "train")
    sql(
        directory,
        "USE SCHEMA t.public; CREATE MODEL m USING GBT TARGET y FEATURES (a, b, c) "
        "OPTIONS (n_estimators => 30, max_depth => 5, seed => 1) AS SELECT a, b, c, y, n FROM train;",
    )
    _, rows = query(directory, "SELECT m!PREDICT(a, b, c) FROM train ORDER BY n")
    ours = np.array([float(row[0]) for row in rows])
    files = [path for path in (pathlib.Path(directory) / "models").rglob("*") if path.is_file()]
    assert len(files) == 1
    booster = xgboost.Booster()
    copy = tmp_path / "ours.json"
    copy.write_bytes(files[0].read_bytes())
    booster.load_model(copy)
    theirs = booster.predict(xgboost.DMatrix(data[["A", "B", "C"]], feature_names=["A", "B", "C"]))
    assert np.max(np.abs(ours - theirs)) <= 1e-6 * max(1.0, np.max(np.abs(theirs)))


def test_retraining_at_the_stored_snapshot_gives_the_same_file(tmp_path):
    directory = tmp_path / "lake"
    upload(directory, frame(3000, 4), tmp_path, "train")
    train = (
        "USING GBT TARGET y FEATURES (a, b, c) OPTIONS (n_estimators => 10, seed => 1) "
        "AS SELECT a, b, c, y FROM train"
    )
    sql(directory, f"USE SCHEMA t.public; CREATE MODEL m {train};")
    _, found = query(directory, "SELECT model_version_name, snapshot_id FROM information_schema.model_versions")
    snapshot = found[0][1]
    sql(
        directory,
        "USE SCHEMA t.public; DELETE FROM train WHERE b > 3; UPDATE train SET y = y + 1 WHERE b < -3; "
        f"CREATE MODEL again {train} AT (VERSION => {snapshot});",
    )
    files = [path for path in (pathlib.Path(directory) / "models").rglob("*") if path.is_file()]
    # Files are named by their digest: the same bytes are one file.
    assert len(files) == 1
    sql(directory, f"USE SCHEMA t.public; CREATE MODEL other {train};")
    assert len([p for p in (pathlib.Path(directory) / "models").rglob("*") if p.is_file()]) == 2


def test_broken_files_and_wrong_formats_are_clear_errors(tmp_path):
    directory = tmp_path / "lake"
    path = tmp_path / "broken.json"
    path.write_text('{"learner": {"gradient_booster": ')
    sql(directory, f"{PREPARE} PUT 'file://{path}' @files AUTO_COMPRESS = FALSE;")
    message = sql(directory, "USE SCHEMA t.public; CREATE MODEL m FROM @files/broken.json FORMAT = XGBOOST;", fails=True)
    assert "JSON" in message
    message = sql(directory, "USE SCHEMA t.public; CREATE MODEL m FROM @files/broken.json FORMAT = ONNX;", fails=True)
    assert "ONNX" in message
    message = sql(directory, "USE SCHEMA t.public; CREATE MODEL m FROM @files/none.json FORMAT = XGBOOST;", fails=True)
    assert "none.json" in message
