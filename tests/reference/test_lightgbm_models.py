"""Models trained by LightGBM and loaded from its text format predict what LightGBM predicts."""

import json

import lightgbm
import numpy as np
import pandas as pd
import pytest
from command_line import query, sql

PREPARE = "CREATE DATABASE IF NOT EXISTS t; USE SCHEMA t.public; CREATE STAGE IF NOT EXISTS files;"
FEATURES = ["A", "B", "C", "G"]


def frame(rows, seed):
    """Numbers with gaps and zeros, whole numbers, and a text with gaps."""
    random = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "A": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
            "B": np.where(random.random(rows) < 0.3, 0.0, random.uniform(-5, 5, size=rows)),
            "C": random.integers(0, 50, size=rows).astype(float),
            "G": random.choice(["red", "green", "blue", "grey", "pink", "white"], rows),
        }
    )
    data.loc[random.random(rows) < 0.1, "G"] = None
    signal = np.nan_to_num(data.A) * 2 - data.B / 2 + (data.C > 25) + data.G.isin(["red", "pink"]) * 2
    data["Y"] = signal + random.normal(scale=0.3, size=rows)
    return data


CASES = {
    "regression": {},
    "regression_sqrt": {"objective": "regression", "reg_sqrt": True},
    "regression_l1": {},
    "huber": {},
    "quantile": {"alpha": 0.7},
    "poisson": {},
    "gamma": {},
    "tweedie": {},
    "binary": {},
    "steep": {"objective": "binary", "sigmoid": 2.5},
    "cross_entropy": {},
    "multiclass": {"num_class": 4},
    "multiclassova": {"num_class": 4},
    "forest": {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
    "dart": {"objective": "regression", "boosting": "dart"},
    "zero_as_missing": {"objective": "regression", "zero_as_missing": True},
    "no_missing": {"objective": "regression", "use_missing": False},
    "one_hot": {"objective": "regression", "max_cat_to_onehot": 20},
    "stump": {"objective": "regression", "num_leaves": 2},
}


@pytest.mark.parametrize("case", CASES)
def test_models_predict_the_same(tmp_path, case):
    directory = tmp_path / "lake"
    train, test = frame(2000, 1), frame(1200, 2)
    categories = sorted(train.G.dropna().unique())
    parameters = {"objective": case, "verbose": -1, "num_leaves": 15, "num_threads": 2, **CASES[case]}
    objective = parameters["objective"]
    label = train.Y
    if objective in ("poisson", "gamma", "tweedie"):
        label = train.Y.abs() + 0.1
    elif objective in ("binary", "cross_entropy"):
        label = (train.Y > 0).astype(float)
    elif objective.startswith("multi"):
        label = np.digitize(train.Y, [-1.5, 0.5, 2.0])
    x = train[FEATURES].assign(G=pd.Categorical(train.G, categories=categories))
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, label), 20)
    booster.save_model(tmp_path / "model.txt")

    test.loc[::40, "G"] = "unseen"
    expected = booster.predict(test[FEATURES].assign(G=pd.Categorical(test.G, categories=categories)))
    path = tmp_path / "test.parquet"
    test[FEATURES].assign(N=np.arange(len(test))).to_parquet(path, index=False)
    sql(
        directory,
        f"{PREPARE} PUT 'file://{path}' @files; PUT 'file://{tmp_path}/model.txt' @files; "
        "CREATE TABLE test (a FLOAT, b FLOAT, c FLOAT, g VARCHAR, n INT); COPY INTO test FROM "
        "(SELECT $1:A, $1:B, $1:C, $1:G, $1:N FROM @files/test.parquet) FILE_FORMAT = (TYPE = PARQUET); "
        "CREATE MODEL m FROM @files/model.txt.gz FORMAT = LIGHTGBM;",
    )
    if objective.startswith("multi"):
        _, rows = query(directory, "SELECT m!PREDICT_PROBA(*) FROM test ORDER BY n")
        objects = [json.loads(row[0]) for row in rows]
        ours = np.array([[one[str(k)] for k in range(4)] for one in objects])
        _, rows = query(directory, "SELECT m!PREDICT(*) FROM test ORDER BY n")
        assert [int(row[0]) for row in rows] == expected.argmax(1).tolist()
    else:
        chances = objective == "binary"
        asked = 'm!PREDICT_PROBA(*):"1"::FLOAT' if chances else "m!PREDICT(*)"
        _, rows = query(directory, f"SELECT {asked} FROM test ORDER BY n")
        ours = np.array([float(row[0]) for row in rows])
    np.testing.assert_allclose(ours, expected, rtol=1e-14, atol=0)


def test_broken_and_foreign_files_are_told(tmp_path):
    directory = tmp_path / "lake"
    data = frame(300, 3)
    booster = lightgbm.train(
        {"verbose": -1}, lightgbm.Dataset(data[["A", "B", "C"]], data.Y), 2
    )
    booster.save_model(tmp_path / "whole.txt")
    whole = (tmp_path / "whole.txt").read_text()
    linear = lightgbm.train(
        {"verbose": -1, "linear_tree": True}, lightgbm.Dataset(data[["B", "C"]], data.Y), 2
    )
    linear.save_model(tmp_path / "linear.txt")
    for name, content, words in [
        ("cut.txt", whole[: len(whole) // 3], "ends too early"),
        ("other.txt", '{"learner": {}}', "does not begin with 'tree'"),
        ("empty.txt", "", "does not begin with 'tree'"),
        ("linear.txt", None, "linear trees"),
    ]:
        if content is not None:
            (tmp_path / name).write_text(content)
        message = sql(
            directory,
            f"{PREPARE} PUT 'file://{tmp_path / name}' @files AUTO_COMPRESS = FALSE; "
            f"CREATE MODEL m FROM @files/{name} FORMAT = LIGHTGBM;",
            fails=True,
        )
        assert words in message, message
