"""Histories longer than a page: every record once, also where many began at one time."""

import sqlite3

from command_line import results, sql

# Pages are of 10 000 records.
RECORDS = 20_003

NUMBERS = f"WITH RECURSIVE r(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM r WHERE i < {RECORDS - 1})"
# In groups of one time that lie over the ends of pages, a while ago.
TIME = "(CAST(strftime('%s', 'now') AS INTEGER) - 7200) * 1000000 + i / 300"
FILLED = {
    "frazil_query_history": f"'page-' || i, 'SELECT ' || i, 'SELECT', 'PAGED', 'R', NULL, NULL, NULL, 77, {TIME}, "
    f"{TIME} + 1, 'SUCCESS', NULL, NULL, 1, 0, 0, 0, 0, NULL, '', NULL, NULL, NULL, 0",
    "frazil_login_history": f"1000000 + i, {TIME}, 'PAGED', NULL, NULL, NULL, 'PASSWORD', 0, 1, 'page-' || i",
    "frazil_access_history": f"'page-' || i, {TIME}, 'PAGED', '[]'",
}


def test_every_record_is_read_once(tmp_path):
    directory = tmp_path / "lake"
    sql(directory, "CREATE DATABASE t;")
    catalog = sqlite3.connect(directory / "catalog.sqlite")
    for table, values in FILLED.items():
        catalog.execute(f"INSERT INTO {table} {NUMBERS} SELECT {values} FROM r")
    catalog.commit()
    catalog.close()
    counted = results(
        directory,
        [
            f"SELECT COUNT(*) AS n, COUNT(DISTINCT {key}) AS d FROM snowflake.account_usage.{view} WHERE user_name = 'PAGED'"
            for view, key in (("query_history", "query_id"), ("login_history", "error_message"), ("access_history", "query_id"))
        ],
    )
    assert [{key: int(value) for key, value in row.items()} for [row] in counted] == [{"N": RECORDS, "D": RECORDS}] * 3
