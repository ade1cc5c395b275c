"""Random histories of one table: our rows, DuckDB's rows on the same catalog, and a model in Python.

`pytest --histories 2000 --first-seed 1` runs a long form; a failure names its seed.
"""

import datetime
import decimal
import math
import random

import pytest
from command_line import maintain, results, sql
from test_duckdb_attach import attach

D = decimal.Decimal
HISTORIES_AT_ONCE = 10
# Enough digits for NUMBER(38,37): the usual 28 would round.
EXACT = decimal.Context(prec=80)

INTEGERS = [0, 1, -1, 999_999_999_999_999_999, -999_999_999_999_999_999]
MOMENTS = [
    datetime.datetime(1, 1, 1),
    datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime.datetime(2024, 2, 29, 12, 30, 15, 500000),
]
# Type, DuckDB's values of it, and how to write and read them here.
TYPES = {
    "NUMBER(18,0)": INTEGERS,
    "NUMBER(38,0)": [0, 10**38 - 1, -(10**38) + 1, 7],
    "NUMBER(38,37)": [D("9.9999999999999999999999999999999999999"), D("-1E-37"), D(0)],
    "NUMBER(12,2)": [D("1234567890.12"), D("-0.01"), D("0.00")],
    "FLOAT": [0.0, -0.0, 1.5, 0.1, math.nan, math.inf, -math.inf, 1e308, 5e-324, -1.2345678901234567e17],
    "VARCHAR": ["", "a", "it's", "é☃𝄞", "NULL", "1e5", "x" * 300, "tab\there", 'quote"d, comma', " pad "],
    "BOOLEAN": [True, False],
    "DATE": [datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(1970, 1, 1)],
    "TIME": [datetime.time(0, 0), datetime.time(23, 59, 59, 999999), datetime.time(1, 2, 3)],
    "TIMESTAMP_NTZ": MOMENTS,
    "BINARY": [b"", b"\x00\xff", b"abc"],
}


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
    text = str(value).replace("\\", "\\\\").replace("'", "''").replace("\t", "\\t")
    return f"'{text}'::{kind}"


def ours(text, kind):
    """A value as our command line prints it."""
    if text is None or kind == "VARCHAR":
        return text
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
    if kind == "TIMESTAMP_NTZ":
        return datetime.datetime.fromisoformat(text)
    return bytes.fromhex(text)


def shown(name, kind):
    """A column with all its digits."""
    return f"TO_VARCHAR({name}, 'YYYY-MM-DD HH24:MI:SS.FF6') AS {name}" if kind == "TIMESTAMP_NTZ" else name


def comparable(value):
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, bool):
        return repr(value)
    if isinstance(value, (int, D)):
        return format(EXACT.normalize(D(value)), "f") if value else "0"
    return repr(bytes(value)) if isinstance(value, (bytes, bytearray)) else repr(value)


def frozen(columns, rows):
    return tuple(columns), tuple(sorted(tuple(comparable(v) for v in row) for row in rows))


class History:
    """Statements of one table, and what each commit leaves."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.name = f"H{seed}"
        self.columns = [("K", "NUMBER(18,0)")]
        for index in range(self.random.randint(1, 5)):
            self.columns.append((f"C{index}", self.random.choice(list(TYPES))))
        self.added = len(self.columns)
        self.rows = {}
        self.next = 0
        described = ", ".join(f"{name} {kind}" for name, kind in self.columns)
        self.statements = [f"CREATE TABLE {self.name} ({described})"]
        self.states = [self.state()]
        for _ in range(self.random.randint(4, 9)):
            self.step()

    def state(self):
        names = [name for name, _ in self.columns]
        return frozen(names, [[row[name] for name in names] for row in self.rows.values()])

    def committed(self):
        state = self.state()
        if state != self.states[-1]:
            self.states.append(state)

    def value(self, kind):
        return None if self.random.random() < 0.15 else self.random.choice(TYPES[kind])

    def step(self):
        kind = self.random.random()
        if kind < 0.15:
            self.alter()
            self.committed()
        elif kind < 0.35:
            self.transaction()
        else:
            self.change()
            self.committed()

    def transaction(self):
        before = {key: dict(row) for key, row in self.rows.items()}
        self.statements.append("BEGIN")
        for _ in range(self.random.randint(1, 4)):
            self.change()
        if self.random.random() < 0.3:
            self.statements.append("ROLLBACK")
            self.rows = before
        else:
            self.statements.append("COMMIT")
            self.committed()

    def change(self):
        pick = self.random.random()
        low = self.random.randrange(max(self.next, 1))
        high = low + self.random.choice([0, 1, 5, 400])
        where = f"K BETWEEN {low} AND {high}"
        hit = [key for key in self.rows if low <= key <= high]
        if pick < 0.5:
            if self.random.random() < 0.2:
                self.insert_many()
            else:
                self.insert()
        elif pick < 0.7:
            name, kind = self.random.choice(self.columns[1:]) if len(self.columns) > 1 else self.columns[0]
            if name == "K":
                return
            value = self.value(kind)
            self.statements.append(f"UPDATE {self.name} SET {name} = {literal(value, kind)} WHERE {where}")
            for key in hit:
                self.rows[key][name] = value
        elif pick < 0.9:
            self.statements.append(f"DELETE FROM {self.name} WHERE {where}")
            for key in hit:
                del self.rows[key]
        else:
            self.merge(low)

    def new_row(self):
        row = {name: self.value(kind) for name, kind in self.columns}
        row["K"] = self.next
        self.next += 1
        return row

    def insert(self):
        rows = [self.new_row() for _ in range(self.random.randint(1, 4))]
        # A VALUES list has one type for each column: NULLs alone would have none.
        selects = " UNION ALL ".join(
            "SELECT " + ", ".join(f"{literal(row[name], kind)}::{kind}" for name, kind in self.columns) for row in rows
        )
        self.statements.append(f"INSERT INTO {self.name} {selects}")
        self.rows.update({row["K"]: row for row in rows})

    def insert_many(self):
        row = self.new_row()
        count = 300
        values = ", ".join(f"{literal(row[name], kind)}::{kind}" for name, kind in self.columns[1:])
        values = f", {values}" if values else ""
        self.statements.append(
            f"INSERT INTO {self.name} SELECT {row['K']} + SEQ4(){values} FROM TABLE(GENERATOR(ROWCOUNT => {count}))"
        )
        for key in range(row["K"], row["K"] + count):
            self.rows[key] = {**row, "K": key}
        self.next = row["K"] + count

    def merge(self, low):
        self.next = max(self.next, low + 1)
        row = self.new_row()
        source = ", ".join(f"{literal(row[name], kind)}::{kind} AS {name}" for name, kind in self.columns[1:])
        source = f", {source}" if source else ""
        names = [name for name, _ in self.columns]
        matched = f"WHEN MATCHED THEN UPDATE SET {', '.join(f'{n} = s.{n}' for n in names[1:])} " if names[1:] else ""
        self.statements.append(
            f"MERGE INTO {self.name} t USING (SELECT {low} AS K{source} UNION ALL SELECT {row['K']}{source}) s "
            f"ON t.K = s.K {matched}WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join('s.' + n for n in names)})"
        )
        for key in (low, row["K"]):
            if key in self.rows and not names[1:]:
                continue
            self.rows[key] = {**row, "K": key}

    def alter(self):
        pick = self.random.random()
        if pick < 0.5 or len(self.columns) < 2:
            name, kind = f"C{self.added}", self.random.choice(list(TYPES))
            self.added += 1
            self.columns.append((name, kind))
            self.statements.append(f"ALTER TABLE {self.name} ADD COLUMN {name} {kind}")
            for row in self.rows.values():
                row[name] = None
        elif pick < 0.75:
            index = self.random.randrange(1, len(self.columns))
            name, kind = self.columns[index]
            new = f"C{self.added}"
            self.added += 1
            self.columns[index] = (new, kind)
            self.statements.append(f"ALTER TABLE {self.name} RENAME COLUMN {name} TO {new}")
            for row in self.rows.values():
                row[new] = row.pop(name)
        else:
            index = self.random.randrange(1, len(self.columns))
            name, _ = self.columns.pop(index)
            self.statements.append(f"ALTER TABLE {self.name} DROP COLUMN {name}")
            for row in self.rows.values():
                del row[name]


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
        found = connection.execute(f'SELECT * FROM lake."T.PUBLIC"."{name}" AT (VERSION => {snapshot})')
        columns = [column[0] for column in found.description]
        yield snapshot, frozen(columns, found.fetchall())


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
    for history in histories:
        seen = list(seen_by_duckdb(connection, history.name, last))
        story = f"{stage}: " + ";\n".join(history.statements)
        assert deduplicated(state for _, state in seen) == deduplicated(history.states), story
        for snapshot, state in seen:
            wanted[history.name, snapshot] = state
    connection.close()
    kinds = {history.name: dict(history.columns) for history in histories}
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


def pytest_generate_tests(metafunc):
    if "first_seed" in metafunc.fixturenames:
        count = metafunc.config.getoption("--histories")
        start = metafunc.config.getoption("--first-seed")
        metafunc.parametrize("first_seed", range(start, start + count, HISTORIES_AT_ONCE))


def test_every_snapshot_is_the_same_to_us_duckdb_and_a_model(tmp_path, first_seed):
    directory = tmp_path / "lake"
    histories = [History(seed) for seed in range(first_seed, first_seed + HISTORIES_AT_ONCE)]
    script = ["CREATE DATABASE t", "USE SCHEMA t.public"]
    for history in histories:
        script.extend(history.statements)
    sql(directory, ";\n".join(script) + ";")
    check(histories, directory, "as written")
    maintain(directory)
    check(histories, directory, "after upkeep")


@pytest.mark.parametrize("seed", [9001, 9002])
def test_duckdb_goes_on_with_our_table(tmp_path, seed):
    directory = tmp_path / "lake"
    history = History(seed)
    sql(directory, ";\n".join(["CREATE DATABASE t", "USE SCHEMA t.public", *history.statements]) + ";")
    connection = attach(directory)
    table = f'lake."T.PUBLIC"."{history.name}"'
    connection.execute(f"INSERT INTO {table} (K) VALUES (70001), (70002), (70003)")
    connection.execute(f"DELETE FROM {table} WHERE K = 70002")
    connection.execute(f"UPDATE {table} SET K = 70009 WHERE K = 70003")
    for low, high in ((70001, 70001), (70009, 70009)):
        history.rows[low] = {**{name: None for name, _ in history.columns}, "K": high}
    for flush in (False, True):
        if flush:
            connection = attach(directory)
            connection.execute("CALL ducklake_flush_inlined_data('lake')")
        connection.close()
        listed = ", ".join(shown(name, kind) for name, kind in history.columns)
        (rows,) = results(directory, [f"SELECT {listed} FROM t.public.{history.name}"])
        columns = [name for name, _ in history.columns]
        typed = [[ours(row[name], kind) for name, kind in history.columns] for row in rows]
        assert frozen(columns, typed) == history.state(), f"flushed: {flush}"
