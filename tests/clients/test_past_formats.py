"""Data directories that past formats left behind are opened, read, written and checked."""

import json
import os
import pathlib
import subprocess
import tarfile

import pytest

from conftest import CONNECTOR_MAJOR

pytestmark = pytest.mark.skipif(CONNECTOR_MAJOR != 4, reason="one connector generation is enough")

ARCHIVES = sorted((pathlib.Path(__file__).parents[1] / "fixtures" / "data-directories").glob("*.tar.gz"))


def frazil(*arguments):
    done = subprocess.run([os.environ["FRAZIL_BIN"], *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(directory, text):
    printed = frazil("sql", "--data-dir", directory, "--format", "json", "-c", f"USE SCHEMA kept.public; {text}")
    lines = [json.loads(line) for line in printed.splitlines()]
    return [list(line.values()) for line in lines[1:]]


# What `tests/fixtures/make_data_directory.py` put in, by arithmetic.
KEPT = [
    # 2000 of 3000 numbers are left: those not divisible by 3, whose sum is 3000 * 1500 less 3 * sum(0..999).
    ("SELECT COUNT(*), SUM(n) FROM numbers WHERE n < 5000", [[2000, 3000 * 2999 // 2 - 3 * (999 * 1000 // 2)]]),
    # Of 10..20 these are 10 11 13 14 16 17 19 20.
    ("SELECT COUNT(*) FROM numbers WHERE label = 'changed'", [[8]]),
    ("SELECT n, label FROM numbers WHERE n >= 5000", [[5000, "in the catalog"]]),
    ("SELECT MAX(n), COUNT(*) FROM copy", [[1499, 1000]]),
    (
        "SELECT a::VARCHAR, renamed, d FROM shapes ORDER BY renamed",
        [["1.25", "first", "added"], ["123456789012345678.25", "second", "given"]],
    ),
    (
        "SELECT i::VARCHAR, p::VARCHAR, f::VARCHAR, s, HEX_ENCODE(y), o, d::VARCHAR, TO_VARCHAR(t, 'HH24:MI:SS.FF9') "
        "FROM all_types WHERE o",
        [
            [
                "9" * 38,
                "9." + "9" * 37,
                "NaN",
                "é☃",
                "00FF",
                True,
                "0001-01-01",
                "23:59:59.999999999",
            ]
        ],
    ),
    (
        "SELECT TO_VARCHAR(n, 'YYYY-MM-DD HH24:MI:SS.FF6'), DATE_PART(epoch_second, l), TO_VARCHAR(z), "
        "TO_VARCHAR(n9, 'HH24:MI:SS.FF9'), v:deep[0]::INT, j:k::VARCHAR, a[1]::VARCHAR, e[1]::FLOAT FROM all_types WHERE o",
        [
            [
                "9999-12-31 23:59:59.999999",
                -3786825600,
                "2024-02-29 12:00:00.000 +0530",
                "12:00:00.123456789",
                1,
                "v",
                "two",
                -2.0,
            ]
        ],
    ),
    ("SELECT COUNT(*), COUNT(i) FROM all_types", [[2, 1]]),
    ("SELECT id, x FROM counted ORDER BY id", [[5, 1], [10, 2]]),
    ("SELECT MIN(k), MAX(k), COUNT(*) FROM sorted", [[1, 500, 500]]),
    ("SELECT n FROM few ORDER BY n", [[1], [2], [4]]),
    ("SELECT COUNT(*) FROM @files/out.csv", [[3]]),
    ("SELECT ROUND(line!PREDICT(10.0::FLOAT)::FLOAT, 3)", [[21.0]]),
    (
        "SELECT clustering_key FROM information_schema.tables WHERE table_name = 'SORTED'",
        [["LINEAR(k)"]],
    ),
    ("SELECT constraint_name FROM information_schema.table_constraints WHERE table_name = 'COUNTED'", [["K"]]),
]


def check(directory):
    for text, expected in KEPT:
        found = rows(directory, text)
        assert found == expected, text
    doctor = frazil("doctor", "--data-dir", directory)
    assert "no fault found" in doctor, doctor


def test_there_is_a_fixture_of_the_present_format(tmp_path):
    directory = tmp_path / "data"
    frazil("sql", "--data-dir", directory, "-c", "SELECT 1")
    present = (directory / "format").read_text().strip().replace(" ", "-")
    assert present in [path.name.removesuffix(".tar.gz") for path in ARCHIVES]


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name)
def test_a_past_format_opens_reads_writes_and_is_sound(tmp_path, archive):
    directory = tmp_path / "elsewhere"
    with tarfile.open(archive) as tar:
        tar.extractall(directory, filter="data")
    check(directory)
    # Written and tidied, it is still the same but for what was written.
    rows(
        directory,
        "INSERT INTO numbers VALUES (7000, 'new'); UPDATE numbers SET label = 'newer' WHERE n = 7000; "
        "DELETE FROM numbers WHERE n = 7000; INSERT INTO counted (x) VALUES (3); DELETE FROM counted WHERE id >= 15; "
        "ALTER TABLE shapes ADD COLUMN more INT; ALTER TABLE shapes DROP COLUMN more; "
        "CREATE TABLE made AS SELECT * FROM copy; DROP TABLE made",
    )
    check(directory)
    frazil("maintain", "--data-dir", directory)
    check(directory)
    # The counters went on.
    assert rows(directory, "SELECT tickets.NEXTVAL")[0][0] >= 100
    rows(directory, "INSERT INTO counted (x) VALUES (4)")
    assert rows(directory, "SELECT MAX(id) FROM counted WHERE x = 4")[0][0] > 10
    role = rows(directory, "SHOW GRANTS TO ROLE reader")
    assert len(role) == 3, role
