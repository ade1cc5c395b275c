"""Files and frames: PUT, GET, COPY and write_pandas through the connector."""

import gzip

import pandas as pd
import pytest
from snowflake.connector.pandas_tools import write_pandas


@pytest.mark.parametrize("compress", [True, False])
def test_put_and_get(cursor, name, tmp_path, compress):
    cursor.execute(f"CREATE STAGE {name}")
    source = tmp_path / "some data.csv"
    source.write_text("1,a\n2,b\n" * 1000)
    option = str(compress).upper()
    cursor.execute(f"PUT 'file://{source}' @{name}/in AUTO_COMPRESS = {option}")
    row = cursor.fetchone()
    stored = "some data.csv.gz" if compress else "some data.csv"
    assert row[0] == "some data.csv"
    assert row[1] == stored
    assert row[6] == "UPLOADED"
    cursor.execute(f"LIST @{name}")
    listed = cursor.fetchall()
    assert len(listed) == 1
    assert listed[0][0].lower() == f"{name.lower()}/in/{stored}"
    target = tmp_path / "back"
    target.mkdir()
    cursor.execute(f"GET '@{name}/in/{stored}' 'file://{target}/'")
    row = cursor.fetchone()
    assert row[2] == "DOWNLOADED"
    content = (target / stored).read_bytes()
    if compress:
        content = gzip.decompress(content)
    assert content == source.read_bytes()


def test_put_takes_patterns_and_feeds_copy(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}_S")
    cursor.execute(f"CREATE TABLE {name} (A INT, B VARCHAR)")
    for part in range(3):
        (tmp_path / f"part{part}.csv").write_text(f"{part},x\n{part + 10},y\n")
    cursor.execute(f"PUT file://{tmp_path}/part*.csv @{name}_S")
    assert [row[6] for row in cursor.fetchall()] == ["UPLOADED"] * 3
    cursor.execute(f"COPY INTO {name} FROM @{name}_S FILE_FORMAT = (TYPE = CSV)")
    assert sum(row[3] for row in cursor.fetchall()) == 6
    cursor.execute(f"SELECT SUM(A), COUNT(*) FROM {name}")
    assert cursor.fetchone() == (36, 6)


def test_put_keeps_what_is_there_unless_told(cursor, name, tmp_path):
    cursor.execute(f"CREATE STAGE {name}")
    source = tmp_path / "a.txt"
    put = f"PUT file://{source} @{name} AUTO_COMPRESS = FALSE"
    source.write_text("first")
    cursor.execute(put)
    cursor.execute(put)
    assert cursor.fetchone()[6] in ("SKIPPED", "UPLOADED")
    source.write_text("second")
    cursor.execute(f"{put} OVERWRITE = TRUE")
    assert cursor.fetchone()[6] == "UPLOADED"
    target = tmp_path / "back"
    target.mkdir()
    cursor.execute(f"GET @{name}/a.txt file://{target}/")
    assert (target / "a.txt").read_text() == "second"


def test_write_pandas(connection, name):
    frame = pd.DataFrame(
        {
            "ID": range(1000),
            "NAME": [f"n{i}" for i in range(1000)],
            "SCORE": [i / 7 for i in range(1000)],
            "mixed Case": [i % 2 == 0 for i in range(1000)],
        }
    )
    success, chunks, rows, _ = write_pandas(connection, frame, name, auto_create_table=True)
    assert success and rows == 1000
    cursor = connection.cursor()
    cursor.execute(f'SELECT COUNT(*), SUM(ID), COUNT_IF("mixed Case") FROM {name}')
    assert cursor.fetchone() == (1000, 499500, 500)
    back = cursor.execute(f"SELECT * FROM {name} ORDER BY ID").fetch_pandas_all()
    assert list(back["NAME"]) == list(frame["NAME"])
    assert (back["SCORE"] - frame["SCORE"]).abs().max() < 1e-12
