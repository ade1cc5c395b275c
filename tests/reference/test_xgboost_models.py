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


TRAININGS = {
    "boosting": "USING GBT TARGET y FEATURES (a, b, g) OPTIONS (n_estimators => 10, subsample => 0.8, seed => 1)",
    "classes": "USING GBT TARGET g FEATURES (a, b, c) OPTIONS (n_estimators => 5)",
    "linear": "USING LINEAR TARGET y FEATURES (a, b, g)",
    "logistic": "USING LOGISTIC TARGET g FEATURES (a, b, c)",
    "factors": "USING SVD TARGET y FEATURES (g, c) OPTIONS (n_factors => 8, seed => 3)",
}


def model_files(directory):
    return {path.name for path in (directory / "models").rglob("*") if path.is_file()}


@pytest.mark.parametrize("training", TRAININGS)
def test_retraining_at_the_stored_snapshot_gives_the_same_file(tmp_path, training):
    directory = tmp_path / "lake"
    data = frame(6000, 4)
    upload(directory, data.assign(C=data["C"].fillna(-1)), tmp_path, "train")
    rows = "AS SELECT a, b, c, y, 'g' || MOD(c, 3)::INT AS g FROM train"
    train = f"{TRAININGS[training]} {rows}"
    sql(directory, f"USE SCHEMA t.public; CREATE MODEL m {train};", more=["--threads", "2"])
    _, found = query(directory, "SELECT snapshot_id FROM information_schema.model_versions")
    snapshot = found[0][0]
    first = model_files(directory)
    assert len(first) == 1
    sql(
        directory,
        "USE SCHEMA t.public; DELETE FROM train WHERE b > 3; UPDATE train SET y = y + 1 WHERE b < -3;"
        "INSERT INTO train SELECT a, b, c, y, k FROM train WHERE c = 7;",
    )
    for threads in "1", "2":
        again = f"CREATE OR REPLACE MODEL again {train} AT (VERSION => {snapshot});"
        sql(directory, f"USE SCHEMA t.public; {again}", more=["--threads", threads])
        # Files are named by their digest: the same bytes are one file.
        assert model_files(directory) == first, f"{threads} threads"
    # The rows as they are now give another model, the same with one and two threads.
    later = []
    for threads in "1", "2":
        other = f"CREATE OR REPLACE MODEL other {train};"
        sql(directory, f"USE SCHEMA t.public; {other}", more=["--threads", threads])
        later.append(model_files(directory) - first)
    assert len(later[0]) == 1 and later[0] == later[1]


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
    for name, content, words in [
        ("empty.json", b"", "empty"),
        ("foreign.json", b'{"a": [1, 2]}', "XGBoost"),
        ("picture.json", b"\x89PNG\r\n\x1a\n" + bytes(100), "XGBoost"),
        ("pickle.json", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}\x94.", "XGBoost"),
        ("zip.json.gz", b"\x1f\x8b no gzip at all", "gzip"),
    ]:
        (tmp_path / name).write_bytes(content)
        message = sql(
            directory,
            f"USE SCHEMA t.public; PUT 'file://{tmp_path / name}' @files AUTO_COMPRESS = FALSE; "
            f"CREATE MODEL m FROM @files/{name} FORMAT = XGBOOST;",
            fails=True,
        )
        assert words in message and "internal" not in message.lower(), (name, message)


def test_classes_of_an_imported_model_have_their_types(tmp_path):
    directory = tmp_path / "lake"
    data = frame(500, 5)
    features = ["A", "B", "C"]
    booster = xgboost.train(
        {"objective": "binary:logistic"}, xgboost.DMatrix(data[features], data["Y"] > 0), 3
    )
    booster.save_model(tmp_path / "model.json")
    sql(directory, f"{PREPARE} PUT 'file://{tmp_path}/model.json' @files AUTO_COMPRESS = FALSE;")
    for classes, kind, answer in [
        ("", "NUMBER(38,0)", "1"),
        ("CLASSES (10, 20)", "NUMBER(38,0)", "20"),
        ("CLASSES (FALSE, TRUE)", "BOOLEAN", "true"),
        ("CLASSES ('no', 'yes')", "VARCHAR", "yes"),
    ]:
        sql(directory, f"USE SCHEMA t.public; CREATE OR REPLACE MODEL m FROM @files/model.json FORMAT = XGBOOST {classes};")
        _, rows = query(directory, "SELECT m!PREDICT(5, -5, 40), SYSTEM$TYPEOF(m!PREDICT(5, -5, 40))")
        assert rows[0][0].lower() == answer and rows[0][1].startswith(kind), (classes, rows)
    for clause, words in [
        ("FEATURES (a VARCHAR, b, c)", "Feature A is declared VARCHAR"),
        ("FEATURES (a, b)", "3 features, 2 names"),
        ("CLASSES ('a', 'b', 'c')", "2 classes, 3 labels"),
        ("TARGET y", "TARGET"),
    ]:
        message = sql(
            directory,
            f"USE SCHEMA t.public; CREATE OR REPLACE MODEL m FROM @files/model.json FORMAT = XGBOOST {clause};",
            fails=True,
        )
        assert words in message, message
