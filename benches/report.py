"""The page docs/benchmarks.md."""

import importlib.metadata
import platform

from harness import THREADS

PEERS = ("duckdb", "xgboost", "pandas", "pyarrow", "snowflake-connector-python")

GAPS = """## What these figures do not say

- One machine class, one client at a time, data that fits in memory. No figures for larger scale
  factors, many clients, or object storage.
- DuckDB runs inside the benchmark's process: it has no client, no HTTP, no privileges to check and no
  statement to record. Frazil's time has all of that.
- TPC-H compares with DuckDB on Parquet, because Frazil's tables are Parquet files. DuckDB on its own
  tables is two to three times as fast as on Parquet (see Scanning, where it reads its own).
- These are not official TPC results: one stream, no refresh functions.
"""


def lines(page):
    result = []
    for section in page.sections:
        result += [f"## {section['title']}", ""]
        if section["text"]:
            result += [section["text"], ""]
        result += ["| what | Frazil | peer | ratio | peer is |", "|---|--:|--:|--:|---|"]
        result += [f"| {' | '.join(row)} |" for row in section["rows"]]
        result.append("")
        if section["after"]:
            result += [section["after"]]
    return result


def write(page, path, repeats):
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PEERS)
    head = [
        "# Benchmarks",
        "",
        "Written by `cargo xtask bench`. Frazil and its peer do the same work in turn in one run; the "
        f"figures are medians of {repeats} after a warm-up, the ratio is the median of the pairs' ratios: "
        "Frazil's time over the peer's, so below 1 Frazil is faster. "
        f"Machine: {THREADS} virtual cores, {platform.machine()}, {platform.system()}, local disk. "
        f"Peers: {versions}.",
        "",
    ]
    path.write_text("\n".join([*head, *lines(page), GAPS]))
    print(f"wrote {path}")
