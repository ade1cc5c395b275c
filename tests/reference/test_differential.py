"""Random histories of tables and their clones: our rows, DuckDB's rows on the same catalog, and a model in Python.

`pytest --histories 2000 --first-seed 1` runs a long form; a failure names its seed.
"""

import datetime
import decimal
import json
import math
import random

import pytest
from command_line import maintain, results, sql
from test_duckdb_attach import attach

D = decimal.Decimal
HISTORIES_AT_ONCE = 10
# Upkeep comes between so many parts of each history.
PARTS = 3
# Enough digits for NUMBER(38,37): the usual 28 would round.
EXACT = decimal.Context(prec=80)


def plain(number):
    """A number's digits, without zeros at their end."""
    return format(EXACT.normalize(D(number)), "f") if D(number) else "0"


class Json(str):
    """A VARIANT as JSON in one form; `text` is as it was written."""

    def __new__(cls, text):
        value = json.loads(text, parse_float=lambda v: {"number": plain(v)}, parse_int=lambda v: {"number": plain(v)})
        made = super().__new__(cls, json.dumps(value, sort_keys=True))
        made.text = text
        return made


class Nanos(str):
    """A timestamp of nanoseconds, without zeros at its end."""

    def __new__(cls, text):
        whole, _, part = text.partition(".")
        return super().__new__(cls, f"{whole}.{part.rstrip('0')}")


INTEGERS = [0, 1, -1, 999_999_999_999_999_999, -999_999_999_999_999_999]
MOMENTS = [
    datetime.datetime(1, 1, 1),
    datetime.datetime(1850, 6, 1, 1, 2, 3),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime.datetime(2024, 2, 29, 12, 30, 15, 500000),
]
CENTS = [D("99999.99"), D("-0.01"), D("0.00")]
# Type, DuckDB's values of it, and how to write and read them here.
TYPES = {
    "NUMBER(5,0)": [0, 99_999, -99_999],
    "NUMBER(18,0)": INTEGERS,
    "NUMBER(38,0)": [0, 10**38 - 1, -(10**38) + 1, 7],
    "NUMBER(38,37)": [D("9.9999999999999999999999999999999999999"), D("-1E-37"), D(0)],
    "NUMBER(7,2)": CENTS,
    "NUMBER(12,2)": [*CENTS, D("1234567890.12")],
    "NUMBER(38,2)": [*CENTS, D("999999999999999999999999999999999999.99")],
    "FLOAT": [0.0, -0.0, 1.5, 0.1, math.nan, math.inf, -math.inf, 1e308, 5e-324, -1.2345678901234567e17],
    "VARCHAR(12)": ["", "a", "it's", "é☃𝄞", "NULL", "1e5"],
    "VARCHAR": ["", "a", "it's", "é☃𝄞", "NULL", "1e5", "x" * 300, "tab\there", 'quote"d, comma', " pad "],
    "BOOLEAN": [True, False],
    "DATE": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1970, 1, 1)],
    "TIME": [datetime.time(0, 0), datetime.time(23, 59, 59, 999999), datetime.time(1, 2, 3)],
    "TIMESTAMP_NTZ": MOMENTS,
    "TIMESTAMP_LTZ": MOMENTS,
    "TIMESTAMP_NTZ(9)": [Nanos("2024-02-29 12:00:00.123456789"), Nanos("1700-01-01 00:00:00.000000001")],
    "BINARY": [b"", b"\x00\xff", b"abc"],
    "VARIANT": [
        Json('{"a": [1, 2.5, null, {"b": "x"}], "": {}}'),
        Json("[" * 40 + "7" + "]" * 40),
        Json('"text"'),
        Json("true"),
        # DuckDB writes decimals below one without their zero, which is no JSON.
        Json("-2.75"),
        Json("[]"),
    ],
}
# Types a column may be widened to.
WIDER = {
    "NUMBER(5,0)": "NUMBER(18,0)",
    "NUMBER(7,2)": "NUMBER(12,2)",
    "NUMBER(12,2)": "NUMBER(38,2)",
    "VARCHAR(12)": "VARCHAR",
}
# How DuckDB may part a table by a column of a type.
PARTED = {
    "NUMBER(5,0)": ["{}"],
    "NUMBER(18,0)": ["bucket(3, {})"],
    "NUMBER(7,2)": ["{}"],
    "VARCHAR(12)": ["{}", "bucket(2, {})"],
    "BOOLEAN": ["{}"],
    "DATE": ["{}", "year({})", "month({})"],
    "TIMESTAMP_NTZ": ["year({})", "month({})", "day({})"],
}
# Types that no table may be clustered by.
UNSORTED = {"VARIANT"}
LARGE = "large text " * 9000


def literal(value, kind):
    if value is None:
        return "NULL"
    if kind == "FLOAT":
        special = {"nan": "'NaN'::FLOAT", "inf": "'inf'::FLOAT", "-inf": "'-inf'::FLOAT"}
        return special.get(repr(value), f"'{value!r}'::FLOAT")
    if kind == "BOOLEAN":
        return str(value).upper()
    if kind == "BINARY":
        return f"TO_BINARY('{value.hex()}', 'HEX')"
    if kind.startswith("NUMBER"):
        return f"'{value:f}'::{kind}" if isinstance(value, D) else str(value)
    text = getattr(value, "text", str(value)).replace("\\", "\\\\").replace("'", "''").replace("\t", "\\t")
    if kind == "VARIANT":
        return f"PARSE_JSON('{text}')"
    return f"'{text} +0000'::{kind}" if kind == "TIMESTAMP_LTZ" else f"'{text}'::{kind}"


def ours(text, kind):
    """A value as our command line prints it."""
    if text is None or kind.startswith("VARCHAR"):
        return text
    if kind == "VARIANT":
        return Json(text)
    if kind == "TIMESTAMP_NTZ(9)":
        return Nanos(text)
    if kind == "FLOAT":
        return float(text)
    if kind.startswith("NUMBER"):
        return D(text)
    if kind == "BOOLEAN":
        return text.lower() == "true"
    if kind == "DATE":
        return datetime.date.fromisoformat(text)
    if kind == "TIME":
        return datetime.time.fromisoformat(text)
    if kind in ("TIMESTAMP_NTZ", "TIMESTAMP_LTZ"):
        return datetime.datetime.fromisoformat(text)
    return bytes.fromhex(text)


def shown(name, kind):
    """A column with all its digits."""
    if kind == "VARIANT":
        return f"TO_JSON({name}) AS {name}"
    digits = {"TIMESTAMP_NTZ": 6, "TIMESTAMP_LTZ": 6, "TIMESTAMP_NTZ(9)": 9}.get(kind)
    value = f"CONVERT_TIMEZONE('UTC', {name})::TIMESTAMP_NTZ" if kind == "TIMESTAMP_LTZ" else name
    return f"TO_VARCHAR({value}, 'YYYY-MM-DD HH24:MI:SS.FF{digits}') AS {name}" if digits else name


# What DuckDB is asked for of a type, and what is made of the answer.
ASKED = {
    # NULL in a VARIANT is JSON's null to DuckDB.
    "VARIANT": ("CASE WHEN {0} IS NOT NULL THEN {0}::JSON::VARCHAR END", Json),
    "TIMESTAMP WITH TIME ZONE": ("{} AT TIME ZONE 'UTC'", None),
    "TIMESTAMP_NS": ("{}::VARCHAR", Nanos),
}


def comparable(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, bool):
        return repr(value)
    if isinstance(value, (int, D)):
        return plain(value)
    return repr(bytes(value)) if isinstance(value, (bytes, bytearray)) else repr(value)


def frozen(columns, rows):
    return tuple(columns), tuple(sorted(tuple(comparable(v) for v in row) for row in rows))


class Table:
    """A table as it should be, and what each commit leaves."""

    def __init__(self, name, columns, rows, cluster, added=100, parted=()):
        self.name = name
        self.columns = columns
        self.rows = rows
        self.cluster = cluster
        # Columns that the table is partitioned by.
        self.parted = list(parted)
        self.next = max(rows, default=-1) + 1
        # The number in the next new column's name.
        self.added = added
        self.states = [self.state()]

    def state(self):
        names = [name for name, _ in self.columns]
        return frozen(names, [[row[name] for name in names] for row in self.rows.values()])

    def committed(self):
        state = self.state()
        if state != self.states[-1]:
            self.states.append(state)


class History:
    """Statements of a table and its clones."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.name = f"H{seed}"
        columns = [("K", "NUMBER(18,0)")]
        for index in range(self.random.randint(1, 6)):
            columns.append((f"C{index}", self.random.choice(list(TYPES))))
        table = Table(self.name, columns, {}, ["K"] if self.random.random() < 0.25 else [])
        described = ", ".join(f"{name} {kind}" for name, kind in columns)
        clustered = " CLUSTER BY (K)" if table.cluster else ""
        self.tables = [table]
        self.statements = [f"CREATE TABLE {self.name} ({described}){clustered}"]
        # Places where no transaction is open.
        self.breaks = [1]
        # What DuckDB does, and before which statement.
        self.partitioning = None
        self.partitioned = False
        steps = self.random.randint(4, 10)
        part_at = self.random.randrange(steps) if self.random.random() < 0.35 else None
        for step in range(steps):
            if step == part_at:
                self.partition(self.random.choice(self.tables))
            self.step()
            self.breaks.append(len(self.statements))

    def parts(self):
        """The statements in parts that upkeep may come between."""
        cuts = [self.random.choice(self.breaks) for _ in range(PARTS - 1)]
        if self.partitioning:
            cuts[0] = self.partitioning[0]
        cuts.sort()
        edges = [0, *cuts, len(self.statements)]
        return [self.statements[start:end] for start, end in zip(edges, edges[1:], strict=False)]

    def partition(self, table):
        """Lets DuckDB part the table by one or two columns from here on."""
        able = [(name, kind) for name, kind in table.columns if kind in PARTED]
        chosen = self.random.sample(able, min(len(able), self.random.randint(1, 2)))
        keys = [self.random.choice(PARTED[kind]).format(f'"{name}"') for name, kind in chosen]
        table.parted = [name for name, _ in chosen]
        sql = f'ALTER TABLE lake."T.PUBLIC"."{table.name}" SET PARTITIONED BY ({", ".join(keys)})'
        self.partitioning = (len(self.statements), sql)

    def told(self):
        """All that was done, for people."""
        lines = list(self.statements)
        if self.partitioning:
            at, sql = self.partitioning
            lines.insert(at, f"DuckDB: {sql}")
        return ";\n".join(lines)

    def value(self, kind, large=True):
        if self.random.random() < 0.15:
            return None
        if kind == "VARCHAR" and large and self.random.random() < 0.03:
            return LARGE
        return self.random.choice(TYPES[kind])

    def step(self):
        kind = self.random.random()
        table = self.random.choice(self.tables)
        if kind < 0.2:
            self.alter(table)
            table.committed()
        elif kind < 0.28 and len(self.tables) < 4:
            self.clone(table)
        elif kind < 0.45:
            self.transaction()
        else:
            self.change(table)
            table.committed()

    def clone(self, table):
        name = f"{self.name}_{len(self.tables)}"
        self.statements.append(f"CREATE TABLE {name} CLONE {table.name}")
        rows = {key: dict(row) for key, row in table.rows.items()}
        self.tables.append(Table(name, list(table.columns), rows, list(table.cluster), table.added, table.parted))

    def transaction(self):
        before = [({key: dict(row) for key, row in table.rows.items()}, table.next) for table in self.tables]
        self.statements.append("BEGIN")
        for _ in range(self.random.randint(1, 4)):
            self.change(self.random.choice(self.tables))
        if self.random.random() < 0.3:
            self.statements.append("ROLLBACK")
            for table, (rows, _) in zip(self.tables, before, strict=True):
                table.rows = rows
        else:
            self.statements.append("COMMIT")
            for table in self.tables:
                table.committed()

    def change(self, table):
        pick = self.random.random()
        low = self.random.randrange(max(table.next, 1))
        high = low + self.random.choice([0, 1, 5, 400])
        where = f"K BETWEEN {low} AND {high}"
        hit = [key for key in table.rows if low <= key <= high]
        if pick < 0.5:
            if self.random.random() < 0.2:
                self.insert_many(table)
            else:
                self.insert(table)
        elif pick < 0.68:
            name, kind = self.random.choice(table.columns[1:]) if len(table.columns) > 1 else table.columns[0]
            if name == "K":
                return
            value = self.value(kind, large=len(hit) < 10)
            self.statements.append(f"UPDATE {table.name} SET {name} = {literal(value, kind)} WHERE {where}")
            for key in hit:
                table.rows[key][name] = value
        elif pick < 0.86:
            self.statements.append(f"DELETE FROM {table.name} WHERE {where}")
            for key in hit:
                del table.rows[key]
        elif pick < 0.88:
            self.statements.append(f"TRUNCATE TABLE {table.name}")
            table.rows = {}
        elif pick < 0.9:
            self.insert(table, overwrite=True)
        else:
            self.merge(table, low)

    def new_row(self, table, large=True):
        row = {name: self.value(kind, large) for name, kind in table.columns}
        row["K"] = table.next
        table.next += 1
        return row

    def insert(self, table, overwrite=False):
        rows = [self.new_row(table) for _ in range(self.random.randint(1, 4))]
        # A VALUES list has one type for each column: NULLs alone would have none.
        selects = " UNION ALL ".join(
            "SELECT " + ", ".join(f"{literal(row[name], kind)}::{kind}" for name, kind in table.columns) for row in rows
        )
        self.statements.append(f"INSERT {'OVERWRITE ' if overwrite else ''}INTO {table.name} {selects}")
        if overwrite:
            table.rows = {}
        table.rows.update({row["K"]: row for row in rows})

    def insert_many(self, table):
        row = self.new_row(table, large=False)
        count = 300
        values = ", ".join(f"{literal(row[name], kind)}::{kind}" for name, kind in table.columns[1:])
        values = f", {values}" if values else ""
        self.statements.append(
            f"INSERT INTO {table.name} SELECT {row['K']} + SEQ4(){values} FROM TABLE(GENERATOR(ROWCOUNT => {count}))"
        )
        for key in range(row["K"], row["K"] + count):
            table.rows[key] = {**row, "K": key}
        table.next = row["K"] + count

    def merge(self, table, low):
        table.next = max(table.next, low + 1)
        row = self.new_row(table)
        source = ", ".join(f"{literal(row[name], kind)}::{kind} AS {name}" for name, kind in table.columns[1:])
        source = f", {source}" if source else ""
        names = [name for name, _ in table.columns]
        matched = f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{n} = s.{n}' for n in names[1:])} " if names[1:] else ""
        self.statements.append(
            f"MERGE INTO {table.name} t USING (SELECT {low} AS K{source} UNION ALL SELECT {row['K']}{source}) s "
            f"ON t.K = s.K {matched}WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join('s.' + n for n in names)})"
        )
        for key in (low, row["K"]):
            if key in table.rows and not names[1:]:
                continue
            table.rows[key] = {**row, "K": key}

    def alter(self, table):
        pick = self.random.random()
        alter = f"ALTER TABLE {table.name}"
        new = f"C{table.added}"
        if pick < 0.35 or len(table.columns) < 2:
            kind = self.random.choice(list(TYPES))
            value = None if kind in ("VARIANT", "BINARY") or self.random.random() < 0.5 else self.random.choice(TYPES[kind])
            default = "" if value is None else f" DEFAULT {literal(value, kind)}"
            table.added += 1
            table.columns.append((new, kind))
            self.statements.append(f"{alter} ADD COLUMN {new} {kind}{default}")
            for row in table.rows.values():
                row[new] = value
        elif pick < 0.5:
            index = self.random.randrange(1, len(table.columns))
            name, kind = table.columns[index]
            table.added += 1
            table.columns[index] = (new, kind)
            table.cluster = [new if key == name else key for key in table.cluster]
            table.parted = [new if key == name else key for key in table.parted]
            self.statements.append(f"{alter} RENAME COLUMN {name} TO {new}")
            for row in table.rows.values():
                row[new] = row.pop(name)
        elif pick < 0.65:
            index = self.random.randrange(1, len(table.columns))
            name, _ = table.columns[index]
            if name in table.cluster or name in table.parted:
                return
            table.columns.pop(index)
            self.statements.append(f"{alter} DROP COLUMN {name}")
            for row in table.rows.values():
                del row[name]
        elif pick < 0.85:
            index = self.random.randrange(1, len(table.columns))
            name, kind = table.columns[index]
            if kind in WIDER:
                table.columns[index] = (name, WIDER[kind])
                self.statements.append(f"{alter} ALTER COLUMN {name} SET DATA TYPE {WIDER[kind]}")
        else:
            keys = [name for name, kind in table.columns if kind not in UNSORTED and self.random.random() < 0.4]
            table.cluster = keys
            self.statements.append(f"{alter} CLUSTER BY ({', '.join(keys)})" if keys else f"{alter} DROP CLUSTERING KEY")


def seen_by_duckdb(connection, name, last):
    """The table at every snapshot: (snapshot, state)."""
    first = connection.execute(
        "SELECT min(begin_snapshot) FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = ?", [name]
    ).fetchone()[0]
    touched = connection.execute(
        "SELECT DISTINCT s FROM (SELECT begin_snapshot AS s FROM __ducklake_metadata_lake.ducklake_table "
        "WHERE table_name = ? UNION ALL SELECT snapshot_id FROM __ducklake_metadata_lake.ducklake_snapshot_changes "
        "WHERE list_contains(regexp_extract_all(changes_made, ':(\\d+)', 1), (SELECT min(table_id)::VARCHAR "
        "FROM __ducklake_metadata_lake.ducklake_table WHERE table_name = ?))) WHERE s BETWEEN ? AND ? ORDER BY s",
        [name, name, first, last],
    ).fetchall()
    for (snapshot,) in touched:
        source = f'lake."T.PUBLIC"."{name}" AT (VERSION => {snapshot})'
        described = [row[:2] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
        asked = [ASKED.get(kind, ("{}", None)) for _, kind in described]
        selected = ", ".join(form.format(f'"{column}"') for (column, _), (form, _) in zip(described, asked, strict=True))
        rows = [
            [value if value is None or not make else make(value) for value, (_, make) in zip(row, asked, strict=True)]
            for row in connection.execute(f"SELECT {selected} FROM {source}").fetchall()
        ]
        yield snapshot, frozen([column for column, _ in described], rows)


def deduplicated(states):
    kept = []
    for state in states:
        if not kept or kept[-1] != state:
            kept.append(state)
    return kept


def check(histories, directory, stage):
    connection = attach(directory)
    last = connection.execute("SELECT max(snapshot_id) FROM ducklake_snapshots('lake')").fetchone()[0]
    wanted = {}
    tables = [(table, history) for history in histories for table in history.tables]
    for table, history in tables:
        seen = list(seen_by_duckdb(connection, table.name, last))
        story = f"{stage}: {table.name}: " + history.told()
        assert deduplicated(state for _, state in seen) == deduplicated(table.states), story
        for snapshot, state in seen:
            wanted[table.name, snapshot] = state
    connection.close()
    kinds = {table.name: dict(table.columns) for table, _ in tables}
    queries = []
    for (name, snapshot), (columns, _) in wanted.items():
        # Columns that were dropped or renamed since have no type in the last list.
        known = ", ".join(shown(column, kinds[name][column]) for column in columns if column in kinds[name])
        queries.append(f"SELECT {known} FROM t.public.{name} AT (VERSION => {snapshot})")
    for (name, snapshot), rows in zip(wanted, results(directory, queries), strict=True):
        columns, theirs = wanted[name, snapshot]
        known = [(index, column) for index, column in enumerate(columns) if column in kinds[name]]
        typed = [[ours(row[column], kinds[name][column]) for _, column in known] for row in rows]
        narrow = tuple(sorted(tuple(row[index] for index, _ in known) for row in theirs))
        assert frozen([], typed)[1] == narrow, f"{stage}: {name} at {snapshot}"


def partition(directory, histories, begun):
    """What DuckDB does to each history's table when so many of its statements have run."""
    due = [(history, at) for history, at in zip(histories, begun, strict=True) if history.partitioning]
    due = [history for history, at in due if history.partitioning[0] == at and not history.partitioned]
    if due:
        connection = attach(directory)
        for history in due:
            connection.execute(history.partitioning[1])
            history.partitioned = True
        connection.close()


def pytest_generate_tests(metafunc):
    if "first_seed" in metafunc.fixturenames:
        count = metafunc.config.getoption("--histories")
        start = metafunc.config.getoption("--first-seed")
        metafunc.parametrize("first_seed", range(start, start + count, HISTORIES_AT_ONCE))


def test_every_snapshot_is_the_same_to_us_duckdb_and_a_model(tmp_path, first_seed):
    directory = tmp_path / "lake"
    histories = [History(seed) for seed in range(first_seed, first_seed + HISTORIES_AT_ONCE)]
    parts = [history.parts() for history in histories]
    sql(directory, "CREATE DATABASE t;")
    for part in range(PARTS):
        if part:
            maintain(directory)
            begun = [sum(len(own[before]) for before in range(part)) for own in parts]
            partition(directory, histories, begun)
        script = ["USE SCHEMA t.public"]
        for own in parts:
            script.extend(own[part])
        sql(directory, ";\n".join(script) + ";")
    assert all(history.partitioned for history in histories if history.partitioning)
    check(histories, directory, "as written")
    maintain(directory)
    check(histories, directory, "after upkeep")


@pytest.mark.parametrize("seed", range(9001, 9006))
def test_duckdb_goes_on_with_our_table(tmp_path, seed):
    directory = tmp_path / "lake"
    history = History(seed)
    model = history.tables[-1]
    sql(directory, ";\n".join(["CREATE DATABASE t", "USE SCHEMA t.public", *history.statements]) + ";")
    connection = attach(directory)
    table = f'lake."T.PUBLIC"."{model.name}"'
    # Columns that are left out would take their defaults.
    names = ", ".join(name for name, _ in model.columns)
    rows = ", ".join(f"({key}{', NULL' * (len(model.columns) - 1)})" for key in (70001, 70002, 70003))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES {rows}")
    connection.execute(f"DELETE FROM {table} WHERE K = 70002")
    connection.execute(f"UPDATE {table} SET K = 70009 WHERE K = 70003")
    for low, high in ((70001, 70001), (70009, 70009)):
        model.rows[low] = {**{name: None for name, _ in model.columns}, "K": high}
    for flush in (False, True):
        if flush:
            connection = attach(directory)
            connection.execute("CALL ducklake_flush_inlined_data('lake')")
        connection.close()
        listed = ", ".join(shown(name, kind) for name, kind in model.columns)
        (rows,) = results(directory, [f"SELECT {listed} FROM t.public.{model.name}"])
        columns = [name for name, _ in model.columns]
        typed = [[ours(row[name], kind) for name, kind in model.columns] for row in rows]
        assert frozen(columns, typed) == model.state(), f"flushed: {flush}"
