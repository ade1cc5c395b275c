"""Runs `frazil sql` on a data directory."""

import csv
import io
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def binary():
    return os.environ.get("FRAZIL_BIN") or str(ROOT / "target/debug/frazil")


def sql(data_dir, text, fails=False, more=()):
    """Runs statements; gives what is printed, or the error. `more` are further arguments."""
    done = subprocess.run(
        [binary(), "sql", "--data-dir", str(data_dir), "--format", "csv", "-f", "-", *more],
        input=text,
        text=True,
        capture_output=True,
        env={**os.environ, "FRAZIL_BOOTSTRAP_PASSWORD": "reference-tests-1"},
    )
    if fails:
        assert done.returncode != 0, done.stdout
        return done.stderr
    assert done.returncode == 0, done.stderr
    return done.stdout


def query(data_dir, text, prepare="USE SCHEMA t.public;"):
    """The rows of one query, as lists of text with None for NULL."""
    output = sql(data_dir, prepare + text)
    lines = output.split("\n", 2)[2] if prepare else output
    rows = list(csv.reader(io.StringIO(lines)))
    return rows[0], rows[1:]


MARK = "FRAZIL_MARK"


def results(data_dir, queries):
    """The rows of each query, as dictionaries of text with None for NULL."""
    marked = [f"{query};\nSELECT 1 AS {MARK};" for query in queries]
    done = subprocess.run(
        [binary(), "sql", "--data-dir", str(data_dir), "--format", "json", "-f", "-"],
        input="\n".join(marked),
        text=True,
        capture_output=True,
        env={**os.environ, "FRAZIL_BOOTSTRAP_PASSWORD": "reference-tests-1"},
    )
    assert done.returncode == 0, done.stderr
    found = [[]]
    for line in done.stdout.split("\n")[:-1]:
        row = json.loads(line, parse_int=str, parse_float=str)
        if MARK in row:
            found.append([])
        else:
            found[-1].append({name: str(v).lower() if isinstance(v, bool) else v for name, v in row.items()})
    return found[:-1]


def maintain(data_dir):
    """Runs all upkeep of a data directory."""
    done = subprocess.run([binary(), "maintain", "--data-dir", str(data_dir)], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
