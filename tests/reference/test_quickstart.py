"""`frazil quickstart`: its figures are those of the data, its report needs nothing but itself."""

import html
import html.parser
import os
import pathlib
import re
import subprocess

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ROOT, binary, query

INPUT = ROOT / "examples" / "data"
FLIGHTS, WEATHER = "nyc_flights_2013.parquet", "nyc_weather_2013.parquet"


def quickstart(folder, input_folder, report="report.html"):
    """Runs it away from the project, in a folder of its own."""
    done = subprocess.run(
        [binary(), "quickstart", "--data-dir", "data", "--report", report, "--input", input_folder],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "FRAZIL_BOOTSTRAP_PASSWORD": "reference-tests-1"},
    )
    return done


def thinned(folder, change=lambda flights: flights):
    """The input with every fifteenth flight: the job stays whole and becomes quick."""
    folder.mkdir()
    table = pq.read_table(INPUT / FLIGHTS)
    table = change(table.take(pa.array(range(0, table.num_rows, 15))))
    pq.write_table(table, folder / FLIGHTS)
    pq.write_table(pq.read_table(INPUT / WEATHER), folder / WEATHER)
    return folder


class Page(html.parser.HTMLParser):
    """The report's statements and tables, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.statements, self.tables, self.charts, self.loads = [], {}, [], []
        self.figures, self.tag, self.row = [], None, None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tag = tag
        for name in ("src", "href", "srcset", "data"):
            if not attributes.get(name, "#").startswith("#"):
                self.loads.append(attributes[name])
        if tag in ("script", "link", "iframe", "object", "img"):
            self.loads.append(tag)
        if tag == "svg":
            self.charts.append(attributes.get("aria-label"))
        if tag == "pre":
            self.statements.append("")
        if tag == "tr":
            self.row = []
            self.tables.setdefault(len(self.statements) - 1, []).append(self.row)

    def handle_endtag(self, tag):
        self.tag = None

    def handle_data(self, data):
        if self.tag == "pre":
            self.statements[-1] += data
        elif self.tag in ("td", "th"):
            self.row.append(data)
        elif self.tag == "b":
            self.figures.append(data)

    def table_of(self, beginning):
        place = next(i for i, sql in enumerate(self.statements) if beginning in sql)
        names, *rows = self.tables[place]
        return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quickstart")
    result = quickstart(folder, thinned(folder / "input"))
    assert result.returncode == 0, result.stderr
    return folder, result.stdout, Page((folder / "report.html").read_text())


def flights_of(folder):
    frame = pd.read_parquet(folder / "input" / FLIGHTS)
    frame["late"] = frame.dep_delay > 15
    return frame


def test_figures_are_those_of_the_data(done):
    folder, _, page = done
    flights = flights_of(folder)
    by_month = page.table_of("FROM flight GROUP BY month")
    expected = flights.groupby("month").agg(
        flights=("late", "size"), cancelled=("dep_delay", lambda d: d.isna().sum()),
        mean=("dep_delay", "mean"), late=("late", "mean"))
    assert by_month.FLIGHTS.astype(int).tolist() == expected.flights.tolist()
    assert by_month.CANCELLED.astype(int).tolist() == expected.cancelled.tolist()
    assert by_month.MEAN_DELAY.astype(float).tolist() == pytest.approx(expected["mean"], abs=0.051)
    assert by_month.LATE_PERCENT.astype(float).tolist() == pytest.approx(100 * expected.late, abs=0.051)

    departed = flights[flights.dep_delay.notna()]
    verdict = page.table_of("challenger_wins").iloc[0]
    assert int(verdict.FLIGHTS) == (departed.month >= 10).sum()
    scored = page.table_of("FROM score GROUP BY carrier")
    carriers = departed[departed.month > 6].groupby("carrier").size()
    assert dict(zip(scored.CARRIER, scored.FLIGHTS.astype(int))) == carriers[carriers > 100].to_dict()
    assert str(len(flights)) in page.figures


def test_features_are_what_was_known(done):
    folder, _, _ = done
    flights = flights_of(folder)
    flights["time_hour"] = pd.to_datetime(flights.time_hour)
    flights["known"] = flights.dep_delay.clip(upper=60)
    names, rows = query(
        folder / "data",
        "SELECT time_hour, origin, carrier, departures, airport_delay, airline_delay FROM feature "
        "WHERE hour = 17 ORDER BY time_hour, origin, carrier, airline_delay LIMIT 200;",
        "USE SCHEMA flights.public;",
    )
    assert names[0] == "TIME_HOUR" and len(rows) == 200
    for time, origin, carrier, departures, airport, airline in rows:
        time = pd.Timestamp(time)
        then = flights[flights.time_hour.between(time - pd.Timedelta("4h"), time - pd.Timedelta("2h"))]
        same_hour = flights[(flights.time_hour == time) & (flights.origin == origin)]
        assert int(departures) == len(same_hour)
        for got, known in [
            (airport, then[then.origin == origin].known.mean()),
            (airline, then[then.carrier == carrier].known.mean()),
        ]:
            assert (got == "") == pd.isna(known)
            if got:
                assert float(got) == pytest.approx(known, abs=1e-6)


def test_every_number_of_the_page_is_printed(done):
    _, output, page = done
    # Wrapped cells and lists break lines; what counts is that each value is there.
    printed = re.sub(r"[│┆\s]+", " ", output)
    for place, (_, *rows) in page.tables.items():
        for row in rows[:20]:
            for value in row:
                if re.fullmatch(r"-?\d+(\.\d+)?", value):
                    assert value in printed, (page.statements[place], value)
    for sql in page.statements:
        assert sql.strip() in output
    for figure in page.figures:
        assert figure.removesuffix(" %") in printed


def test_the_page_is_whole(done):
    folder, _, page = done
    assert page.loads == []
    assert len(page.charts) >= 6 and all(page.charts)
    text = (folder / "report.html").read_text()
    assert "url(" not in text and "@import" not in text and "NaN" not in text
    assert str(pathlib.Path.home()) not in text and str(folder) not in text


def test_the_endpoint_answered_what_sql_answers(done):
    _, output, page = done
    assert "The same as SQL's, from version V1." in output
    answers = page.table_of("POST /endpoints/delay/invocations")
    assert set(answers.PREDICTION) <= {"true", "false"} and len(answers) >= 3


def test_another_input_gives_other_figures(done, tmp_path):
    _, _, first = done

    def later(table):
        frame = table.to_pandas()
        frame["dep_delay"] = frame.dep_delay + 10 * (frame.month == 3)
        return pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)

    result = quickstart(tmp_path, thinned(tmp_path / "input", later))
    assert result.returncode == 0, result.stderr
    second = Page((tmp_path / "report.html").read_text())
    before = first.table_of("FROM flight GROUP BY month").LATE_PERCENT.astype(float)
    after = second.table_of("FROM flight GROUP BY month").LATE_PERCENT.astype(float)
    assert after[2] > before[2] and after.drop(2).equals(before.drop(2))
    assert first.table_of("challenger_wins").CHAMPION[0] != second.table_of("challenger_wins").CHAMPION[0]


@pytest.mark.parametrize("column", ["dep_delay", "time_hour"])
def test_a_missing_column_is_told(tmp_path, column):
    result = quickstart(tmp_path, thinned(tmp_path / "input", lambda t: t.drop_columns([column])))
    assert result.returncode != 0
    assert f"{FLIGHTS} lacks the column {column}" in result.stderr
    assert not (tmp_path / "report.html").exists()


def test_a_missing_file_is_told(tmp_path):
    (tmp_path / "input").mkdir()
    result = quickstart(tmp_path, tmp_path / "input")
    assert result.returncode != 0 and FLIGHTS in result.stderr and "missing" in result.stderr
