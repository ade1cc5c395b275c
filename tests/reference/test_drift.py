"""MODEL_DRIFT through SQL against scipy, and against the documented bins of the PSI."""

import numpy as np
import pandas as pd
import pytest
from command_line import query, sql
from scipy import stats
from test_ml_reference import population_stability


def frame(rows, seed, moved):
    """Gaps, ties, a constant, categories of which some are unseen before."""
    random = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "GAPS": np.where(random.random(rows) < 0.2 + 0.2 * moved, np.nan, random.normal(moved, 1, rows)),
            "TIES": random.poisson(2 + moved, rows).astype(float),
            "FLAT": np.full(rows, 7.0 if not moved else 7.5),
            "SAME": np.full(rows, 3.0),
            "EMPTY": np.where(np.full(rows, bool(moved)), np.nan, random.normal(size=rows)),
            "WORD": random.choice(["a", "b", "c"] + (["new", "newer"] if moved else []), rows),
        }
    )
    data["WORD"] = data.WORD.where(random.random(rows) > 0.05 * (1 + moved), None).astype(object)
    data["Y"] = data.GAPS.fillna(0) * 2 + data.TIES + (data.WORD == "b") + random.normal(size=rows)
    return data


@pytest.mark.parametrize("rows", [(3000, 900), (12_000, 400)])
def test_drift_equals_scipy(tmp_path, rows):
    directory = tmp_path / "lake"
    before, after = frame(rows[0], 1, 0), frame(rows[1], 2, 1)
    for name, data in ("before", before), ("after", after):
        data.assign(N=np.arange(len(data))).to_parquet(tmp_path / f"{name}.parquet", index=False)
        columns = ", ".join(f"$1:{column}" for column in [*data.columns, "N"])
        sql(
            directory,
            "CREATE DATABASE IF NOT EXISTS t; USE SCHEMA t.public; CREATE STAGE IF NOT EXISTS files;"
            f"PUT 'file://{tmp_path}/{name}.parquet' @files; CREATE TABLE {name} (gaps FLOAT, ties FLOAT, "
            "flat FLOAT, same FLOAT, empty FLOAT, word VARCHAR, y FLOAT, n INT);"
            f"COPY INTO {name} FROM (SELECT {columns} FROM @files/{name}.parquet) FILE_FORMAT = (TYPE = PARQUET);",
        )
    sql(
        directory,
        "USE SCHEMA t.public; CREATE MODEL m USING GBT TARGET y OPTIONS (n_estimators => 20) "
        "AS SELECT * EXCLUDE n FROM before;",
    )
    for data, name in (before, "before"), (after, "after"):
        _, scores = query(directory, f"SELECT m!PREDICT(*) FROM {name} ORDER BY n")
        data["PREDICTION"] = [float(row[0]) for row in scores]

    names, answer = query(
        directory,
        "SELECT feature, metric, value, rows, baseline FROM TABLE(MODEL_DRIFT(MODEL => 'm', "
        "DATA => (SELECT * FROM after)))",
    )
    assert names == ["FEATURE", "METRIC", "VALUE", "ROWS", "BASELINE"]
    assert {row[4] for row in answer} == {"TRAINING ROWS"}
    assert {int(row[3]) for row in answer} == {len(after)}
    got = {(row[0], row[1]): float(row[2]) if row[2] else None for row in answer}
    for feature in ["GAPS", "TIES", "FLAT", "SAME", "EMPTY", "PREDICTION"]:
        x, y = before[feature].dropna(), after[feature].dropna()
        assert got[feature, "psi"] == pytest.approx(
            population_stability(before[feature], after[feature]), rel=1e-9, abs=1e-12
        ), feature
        assert got[feature, "null_share_current"] == pytest.approx(after[feature].isna().mean())
        if y.empty:
            assert got[feature, "ks_statistic"] is None and got[feature, "ks_p_value"] is None
            continue
        want = stats.ks_2samp(x, y)
        assert got[feature, "ks_statistic"] == pytest.approx(want.statistic, abs=1e-12), feature
        assert got[feature, "ks_p_value"] == pytest.approx(want.pvalue, rel=1e-8, abs=1e-14), feature
    assert got["FLAT", "ks_statistic"] == 1 and got["SAME", "psi"] == 0
    assert got["WORD", "psi"] == pytest.approx(population_stability(before.WORD, after.WORD), rel=1e-9)
    assert got["WORD", "unseen_share"] == pytest.approx(
        after.WORD.dropna().isin(["new", "newer"]).mean()
    )
