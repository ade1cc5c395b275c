"""Random queries and changes: Frazil's answers are DuckDB's.

    python tests/nightly/random_queries.py [--first 1] [--seeds 50] [--queries 60] [--changes 12] [--bin PATH]

Needs the `duckdb` package beside those of tests/clients. Each seed makes small tables with many NULLs and
duplicates, the same in both, then queries that mean the same to both by documentation, and changes whose tables
are compared after each. Refusals are counted by their text; a failure prints its seed, the query and both answers.
"""

import argparse
import collections
import datetime
import decimal
import math
import os
import random
import re
import sys
import tempfile
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients"))

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("--first", type=int, default=1, help="the first seed")
arguments.add_argument("--seeds", type=int, default=50)
arguments.add_argument("--queries", type=int, default=60, help="queries of each seed")
arguments.add_argument("--changes", type=int, default=12, help="changes of each seed")
arguments.add_argument("--bin", help="the server's binary")
arguments.add_argument("--setup", action="store_true", help="print a failed seed's tables too")
chosen = arguments.parse_args()
os.environ.setdefault("FRAZIL_LOG", "error")
if chosen.bin:
    os.environ["FRAZIL_BIN"] = chosen.bin

from conftest import start_server  # noqa: E402

# A statement that takes longer has hung.
STATEMENT_SECONDS = 60
SHOWN_ROWS = 12

# Snowflake's functions that DuckDB calls something else.
MACROS = [
    "CREATE MACRO iff(c, a, b) AS CASE WHEN c THEN a ELSE b END",
    "CREATE MACRO equal_null(a, b) AS a IS NOT DISTINCT FROM b",
    "CREATE MACRO nvl(a, b) AS COALESCE(a, b)",
    "CREATE MACRO nvl2(a, b, c) AS CASE WHEN a IS NOT NULL THEN b ELSE c END",
    "CREATE MACRO boolor_agg(a) AS BOOL_OR(a)",
    # DuckDB's own gives NULL where every condition is NULL.
    "CREATE MACRO count_if(a) AS COUNT(CASE WHEN a THEN 1 END)",
    "CREATE MACRO booland_agg(a) AS BOOL_AND(a)",
]

# Column names that several tables have, of one family each; DOUBLE, DECIMAL and TIMESTAMP are the same to both.
COLUMNS = {
    "i": ("num", ["DECIMAL(5,0)", "DECIMAL(18,0)", "DECIMAL(38,0)"]),
    "n": ("num", ["DECIMAL(7,2)", "DECIMAL(12,1)", "DECIMAL(5,0)", "DECIMAL(20,4)"]),
    "j": ("num", ["DECIMAL(9,0)", "DECIMAL(20,0)"]),
    "f": ("flt", ["DOUBLE"]),
    "s": ("str", ["VARCHAR", "VARCHAR(20)"]),
    "u": ("str", ["VARCHAR"]),
    "b": ("bool", ["BOOLEAN"]),
    "d": ("date", ["DATE"]),
    "t": ("ts", ["TIMESTAMP"]),
}
LITERALS = {
    "num": ["0", "1", "2", "-1", "3", "1.5", "-0.5"],
    "flt": ["0::DOUBLE", "1.5::DOUBLE", "-2::DOUBLE", "'NaN'::DOUBLE", "0.5::DOUBLE"],
    "str": ["''", "'a'", "'b'", "'ab'", "'B'"],
    "bool": ["TRUE", "FALSE"],
    "date": ["DATE '2024-01-01'", "DATE '2024-02-29'", "DATE '1969-12-31'"],
    "ts": ["TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP '2024-02-29 12:30:00'"],
}
STORED = {
    "num": ["0", "1", "2", "3", "-1", "7"],
    "flt": [f"'{value}'::DOUBLE" for value in ("0", "-0.0", "1.5", "-2", "NaN", "0.5", "3")],
    "str": LITERALS["str"] + ["'é'"],
    "bool": LITERALS["bool"],
    "date": LITERALS["date"],
    "ts": LITERALS["ts"] + ["TIMESTAMP '1969-12-31 23:59:59.5'"],
}
TYPES = {
    "num": "DECIMAL(12,2)",
    "flt": "DOUBLE",
    "str": "VARCHAR",
    "bool": "BOOLEAN",
    "date": "DATE",
    "ts": "TIMESTAMP",
}
FAMILIES = list(TYPES)
COMPARISONS = ["=", "<>", "<", "<=", ">", ">="]


class Table:
    """A stored table: its name and columns as (name, family, type)."""

    def __init__(self, name, columns):
        self.name = name
        self.columns = columns


class Scope:
    """What an expression may name: texts with their families, and texts that tell all rows apart, if known."""

    def __init__(self, atoms, unique=None):
        self.atoms = atoms
        self.unique = unique

    def of(self, family):
        return [text for text, own in self.atoms if own == family]


class Generator:
    """Random statements over some tables."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = 0
        self.tables = []
        self.views = []
        # Common table expressions in reach, and the scopes of the queries around.
        self.with_names = []
        self.outer = []

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, values):
        return self.random.choice(values)

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    # Tables

    def setup(self):
        """Statements that make the tables, and change some of their rows."""
        for number in range(self.random.randint(3, 4)):
            table = Table(f"t{number}", [("id", "num", "DECIMAL(9,0)")])
            for name in self.random.sample(list(COLUMNS), self.random.randint(3, 6)):
                family, types = COLUMNS[name]
                table.columns.append((name, family, self.pick(types)))
            self.tables.append(table)
            listed = ", ".join(f"{name} {kind}" for name, _, kind in table.columns)
            yield f"CREATE OR REPLACE TABLE {table.name} ({listed})"
            # More rows than are kept in the catalog go to a file.
            if self.chance(0.3):
                yield self.insert(table, range(100, 400))
                yield f"DELETE FROM {table.name} WHERE MOD(id, 30) <> 0"
            count = self.pick([0, 3, 8, 14, 14, 20])
            if count:
                yield self.insert(table, range(count))
            if count and self.chance(0.5):
                yield f"DELETE FROM {table.name} WHERE id = {self.random.randrange(count)}"
            if count and self.chance(0.5):
                name, family, _ = self.pick(table.columns[1:])
                value = self.pick(STORED[family])
                yield f"UPDATE {table.name} SET {name} = {value} WHERE MOD(id, 5) = 2"

    def insert(self, table, ids):
        nulls = self.pick([0.1, 0.3, 0.6])
        rows = []
        for number in ids:
            values = [
                "NULL" if self.chance(nulls) else self.pick(STORED[family]) for _, family, _ in table.columns[1:]
            ]
            rows.append(f"({', '.join([str(number), *values])})")
        return f"INSERT INTO {table.name} VALUES {', '.join(rows)}"

    def view(self):
        """A view over what is there so far; it may be read from then on."""
        name = self.name("v")
        body, families = self.query(1)
        columns = [(f"{name}_{number}", family, None) for number, family in enumerate(families)]
        listed = ", ".join(column for column, _, _ in columns)
        return f"CREATE OR REPLACE VIEW {name} ({listed}) AS {body}", Table(name, columns)

    # Expressions

    def atom(self, family, scope):
        found = scope.of(family)
        if found and self.chance(0.85):
            return self.pick(found)
        if self.chance(0.15):
            return f"CAST(NULL AS {TYPES[family]})"
        return self.pick(LITERALS[family])

    def expr(self, family, scope, depth=2):
        if family == "bool" and depth > 0:
            return self.condition(scope, depth)
        if depth <= 0 or self.chance(0.4):
            return self.atom(family, scope)

        def again(other=family):
            return self.expr(other, scope, depth - 1)

        if depth > 1 and self.chance(0.1):
            return self.scalar(family, scope)
        general = [
            lambda: f"CASE WHEN {again('bool')} THEN {again()} ELSE {again()} END",
            lambda: f"CASE WHEN {again('bool')} THEN {again()} WHEN {again('bool')} THEN {again()} END",
            lambda: f"COALESCE({again()}, {again()})",
            lambda: f"NULLIF({again()}, {again()})",
            lambda: f"IFF({again('bool')}, {again()}, {again()})",
            lambda: f"NVL2({again(self.pick(FAMILIES))}, {again()}, {again()})",
        ]
        own = {
            "num": [
                lambda: f"({again()} {self.pick('+-')} {again()})",
                lambda: f"({again()} * {self.pick(['2', '-1', '0.5', '3'])})",
                lambda: f"(- {again()})",
                lambda: f"ABS({again()})",
                lambda: f"LENGTH({again('str')})",
                lambda: f"YEAR({again('date')})",
                lambda: f"CAST({again()} AS DECIMAL({self.pick(['20,0', '20,1', '30,4'])}))",
            ],
            "flt": [
                lambda: f"({again()} {self.pick('+-')} {again()})",
                lambda: f"({again()} * 2)",
                lambda: f"CAST({again('num')} AS DOUBLE)",
                lambda: f"ABS({again()})",
            ],
            "str": [
                lambda: f"({again()} || {again()})",
                lambda: f"UPPER({again()})",
                lambda: f"SUBSTR({again()}, 1, 1)",
            ],
            "date": [lambda: f"({again()} + 1)", lambda: f"CAST({again('ts')} AS DATE)"],
            "ts": [lambda: f"CAST({again('date')} AS TIMESTAMP)"],
        }
        return self.pick(general + own[family] * 2)()

    def condition(self, scope, depth=2):
        if depth <= 0:
            return self.compared(scope, 0)

        def again():
            return self.condition(scope, depth - 1)

        choice = self.random.random()
        if choice < 0.35:
            return self.compared(scope, depth - 1)
        if choice < 0.43:
            return f"({again()} AND {again()})"
        if choice < 0.52:
            return f"({again()} OR {again()})"
        if choice < 0.58:
            return f"(NOT {again()})"
        if choice < 0.65:
            value = self.expr(self.pick(FAMILIES), scope, depth - 1)
            return f"({value} IS {self.pick(['', 'NOT '])}NULL)"
        if choice < 0.72:
            return f"(({again()}) IS {self.pick(['', 'NOT '])}{self.pick(['TRUE', 'FALSE'])})"
        if choice < 0.77:
            return self.atom("bool", scope)
        if choice < 0.85:
            family = self.pick(FAMILIES)
            items = ", ".join(self.atom(family, scope) for _ in range(self.random.randint(1, 3)))
            return f"({self.expr(family, scope, depth - 1)} {self.pick(['', 'NOT '])}IN ({items}))"
        return self.by_subquery(scope, depth)

    def compared(self, scope, depth):
        family = self.pick([own for _, own in scope.atoms] or FAMILIES)
        other = "flt" if family == "num" and self.chance(0.1) else family
        left, right = self.expr(family, scope, depth), self.expr(other, scope, depth)
        form = self.pick([*COMPARISONS, "=", "IS NOT DISTINCT FROM", "IS DISTINCT FROM", "between", "equal_null"])
        if form == "between":
            return f"({left} {self.pick(['', 'NOT '])}BETWEEN {self.atom(family, scope)} AND {right})"
        if form == "equal_null":
            return f"EQUAL_NULL({left}, {right})"
        return f"({left} {form} {right})"

    # Subqueries in expressions

    def inner(self, scope):
        """A FROM and WHERE of a subquery that may look at the scope around it, and its own scope."""
        source, own = self.from_clause(self.random.randint(1, 2) if self.chance(0.3) else 1)
        conditions = []
        if self.chance(0.65):
            for _ in range(self.pick([1, 1, 2])):
                shared = [f for f in FAMILIES if own.of(f) and scope.of(f)]
                if shared:
                    family = self.pick(shared)
                    operator = "=" if self.chance(0.75) else self.pick([*COMPARISONS, "IS NOT DISTINCT FROM"])
                    conditions.append(f"{self.pick(own.of(family))} {operator} {self.pick(scope.of(family))}")
        if self.chance(0.4) or not conditions:
            conditions.append(self.condition(own, 1))
        return f"FROM {source} WHERE {' AND '.join(conditions)}", own

    def scalar(self, family, scope):
        rest, own = self.inner(scope)
        if family == "num":
            value = self.pick(["COUNT(*)", f"COUNT(DISTINCT {self.pick(own.atoms)[0]})"])
            if self.chance(0.6):
                value = f"{self.pick(['SUM', 'MIN', 'MAX'])}({self.expr('num', own, 1)})"
            if self.chance(0.3):
                value = f"COALESCE({value}, 7) + 1"
        elif family == "bool":
            value = f"BOOLOR_AGG({self.condition(own, 1)})"
        else:
            value = f"{self.pick(['MIN', 'MAX'])}({self.expr(family, own, 1)})"
        having = f" HAVING {self.pick(['COUNT(*) > 1', 'COUNT(*) = 0', 'COUNT(*) < 3'])}" if self.chance(0.1) else ""
        return f"(SELECT {value} {rest}{having})"

    def by_subquery(self, scope, depth):
        negated = self.pick(["", "NOT "])
        family = self.pick([f for _, f in scope.atoms] or FAMILIES)
        choice = self.random.random()
        rest, own = self.inner(scope)
        if choice < 0.35:
            limit = " LIMIT 1" if self.chance(0.1) else ""
            return f"({negated}EXISTS (SELECT 1 {rest}{limit}))"
        value = self.expr(family, scope, 1)
        if choice < 0.5:
            return f"({value} {self.pick(COMPARISONS)} {self.scalar(family, scope)})"
        if choice < 0.65 and depth > 1:
            saved = self.with_names
            body, _ = self.query(0, [family])
            self.with_names = saved
            return f"({value} {negated}IN ({body}))"
        item = self.expr(family, own, 1)
        if choice < 0.85:
            return f"({value} {negated}IN (SELECT {item} {rest}))"
        return f"({value} {self.pick(COMPARISONS)} {self.pick(['ANY', 'ALL'])} (SELECT {item} {rest}))"

    # FROM

    def relation(self, depth):
        """A relation with its alias, that alias, its columns and the columns that tell its rows apart."""
        alias = self.name("r")
        choice = self.random.random()
        if depth > 0 and choice < 0.2:
            body, families = self.query(depth - 1)
            names = [f"{alias}_{number}" for number in range(len(families))]
            columns = [(name, family, None) for name, family in zip(names, families, strict=True)]
            return f"({body}) AS {alias} ({', '.join(names)})", alias, columns, None
        if self.with_names and choice < 0.5:
            table = self.pick(self.with_names)
            return f"{table.name} AS {alias}", alias, table.columns, None
        if self.views and choice < 0.35:
            table = self.pick(self.views)
            return f"{table.name} AS {alias}", alias, table.columns, None
        table = self.pick(self.tables)
        return f"{table.name} AS {alias}", alias, table.columns, [f"{alias}.id"]

    def from_clause(self, count, depth=0):
        text, alias, columns, unique = self.relation(depth)
        atoms = [(f"{alias}.{name}", family) for name, family, _ in columns]
        known = {name for name, _, _ in columns}
        ambiguous = False
        for _ in range(count - 1):
            more, alias, columns, own = self.relation(depth)
            added = [(f"{alias}.{name}", family) for name, family, _ in columns]
            unique = unique + own if unique is not None and own is not None else None
            both = Scope(atoms + added)
            names = {name for name, _, _ in columns}
            shared = sorted(known & names)
            kind = self.pick(["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
            if kind == "CROSS JOIN":
                text = f"{text} CROSS JOIN {more}"
            elif shared and not ambiguous and self.chance(0.25):
                if self.chance(0.4) and len(shared) < 4:
                    text = f"{text} NATURAL {kind} {more}"
                else:
                    shared = self.random.sample(shared, self.random.randint(1, min(2, len(shared))))
                    text = f"{text} {kind} {more} USING ({', '.join(shared)})"
                family = {name: own for name, own, _ in columns}
                added += [(name, family[name]) for name in shared]
                # A further USING could not tell which of the columns is meant.
                ambiguous = True
            else:
                text = f"{text} {kind} {more} ON {self.joined(Scope(atoms), Scope(added), both)}"
            if known & names:
                ambiguous = True
            known |= names
            atoms = atoms + added
        return text, Scope(atoms, unique)

    def joined(self, left, right, both):
        """The condition of a join."""
        conditions = []
        for _ in range(self.pick([1, 1, 2])):
            shared = [f for f in FAMILIES if left.of(f) and right.of(f)]
            if not shared:
                break
            family = self.pick(shared)
            operator = "=" if self.chance(0.7) else self.pick([*COMPARISONS, "IS NOT DISTINCT FROM"])
            conditions.append(f"{self.pick(left.of(family))} {operator} {self.pick(right.of(family))}")
        if self.chance(0.35) or not conditions:
            conditions.append(self.condition(both, self.pick([1, 1, 2])))
        return "(" + self.pick([" AND ", " AND ", " AND ", " OR "]).join(conditions) + ")"

    # Queries

    def order(self, count):
        return ", ".join(
            f"{number} {self.pick(['ASC', 'DESC'])} NULLS {self.pick(['FIRST', 'LAST'])}"
            for number in self.random.sample(range(1, count + 1), count)
        )

    def query(self, depth, families=None, top=False):
        """A query and the families of its columns."""
        families = families or [self.pick(FAMILIES) for _ in range(self.random.randint(1, 4))]
        saved, prefix = self.with_names, ""
        if depth > 0 and self.chance(0.2):
            name = self.name("w")
            body, own = self.query(depth - 1)
            columns = [(f"{name}_{number}", family, None) for number, family in enumerate(own)]
            listed = ", ".join(column for column, _, _ in columns)
            prefix = f"WITH {name} ({listed}) AS ({body}) "
            self.with_names = [*saved, Table(name, columns)]
        if depth > 0 and self.chance(0.2):
            parts = [f"({self.select(depth - 1, families)})" for _ in range(self.random.randint(2, 3))]
            text = parts[0]
            for part in parts[1:]:
                text = f"({text} {self.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'])} {part})"
            text = f"SELECT * FROM {text} AS {self.name('q')}"
        else:
            text = self.select(depth, families)
        self.with_names = saved
        if top and self.chance(0.3) or self.chance(0.12):
            text = f"{text} ORDER BY {self.order(len(families))}"
            if not top or self.chance(0.5):
                text += f" LIMIT {self.pick([0, 1, 3, 5, 10])}"
                if self.chance(0.4):
                    text += f" OFFSET {self.pick([0, 1, 2, 5])}"
        return prefix + text, families

    def aggregate(self, family, scope):
        if family == "num":
            any_family = self.pick(FAMILIES)
            value = self.expr(any_family, scope, 1)
            number = self.expr("num", scope, 1)
            return self.pick(
                [
                    "COUNT(*)",
                    f"COUNT({value})",
                    f"COUNT(DISTINCT {value})",
                    f"SUM({number})",
                    f"SUM(DISTINCT {number})",
                    f"MIN({number})",
                    f"MAX({number})",
                    f"SUM(CASE WHEN {self.condition(scope, 1)} THEN {number} END)",
                    f"COUNT_IF({self.condition(scope, 1)})",
                ]
            )
        value = self.expr(family, scope, 1)
        if family == "bool":
            return f"{self.pick(['BOOLOR_AGG', 'BOOLAND_AGG'])}({value})"
        return f"{self.pick(['MIN', 'MAX', 'SUM', 'AVG'] if family == 'flt' else ['MIN', 'MAX'])}({value})"

    def window(self, family, scope):
        atoms = [text for text, _ in scope.atoms] or ["1"]
        partition = f"PARTITION BY {self.pick(atoms)} " if self.chance(0.6) else ""

        def ordered(texts):
            each = (f"{text} {self.pick(['ASC', 'DESC'])} NULLS {self.pick(['FIRST', 'LAST'])}" for text in texts)
            return "ORDER BY " + ", ".join(each)

        value = self.pick(scope.of(family) or [self.pick(LITERALS[family])])
        functions = ["MIN", "MAX", "SUM", "COUNT"] if family == "num" else ["MIN", "MAX"]
        if family == "flt":
            functions.append("SUM")
        call = f"{self.pick(functions)}({value})"
        choice = self.random.random()
        if family == "bool":
            return f"({self.window('num', scope)} > 1)"
        if scope.unique and choice < 0.55:
            total = ordered([self.pick(atoms)] * self.chance(0.5) + scope.unique)
            if family == "num" and choice < 0.1:
                return f"ROW_NUMBER() OVER ({partition}{total})"
            if choice < 0.25:
                shift = self.pick([f"LAG({value})", f"LEAD({value})", f"LAG({value}, 2)"])
                return f"{shift} OVER ({partition}{total})"
            if choice < 0.33:
                call = f"{self.pick(['FIRST_VALUE', 'LAST_VALUE'])}({value})"
            edges = ["UNBOUNDED PRECEDING", "2 PRECEDING", "1 PRECEDING", "CURRENT ROW", "1 FOLLOWING"]
            edges += ["2 FOLLOWING", "UNBOUNDED FOLLOWING"]
            low, high = sorted(self.random.sample(range(len(edges)), 2))
            return f"{call} OVER ({partition}{total} ROWS BETWEEN {edges[low]} AND {edges[high]})"
        if choice < 0.7 or not partition and choice < 0.8:
            return f"{call} OVER ({partition.strip()})"
        by = ordered([self.pick(atoms)])
        if family == "num" and choice < 0.85:
            return f"{self.pick(['RANK', 'DENSE_RANK'])}() OVER ({partition}{by})"
        frame = self.pick(
            [
                "",
                " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
                " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
            ]
        )
        return f"{call} OVER ({partition}{by}{frame})"

    def select(self, depth, families):
        source, scope = self.from_clause(self.pick([1, 1, 2, 2, 2, 3, 4]) if depth > 0 else self.pick([1, 1, 2]), depth)
        tail = f" WHERE {self.condition(scope)}" if self.chance(0.6) else ""
        distinct = "DISTINCT " if self.chance(0.12) else ""
        if self.chance(0.35):
            plain = [atom for atom in scope.atoms if "." in atom[0]]
            keys = self.random.sample(plain, min(len(plain), self.random.randint(0, 3)))
            texts = [text for text, _ in keys]
            grouped = Scope(list(keys), texts or None)
            sets = len(texts) > 1 and self.chance(0.4)
            if sets:
                form = self.pick(["ROLLUP", "CUBE", "GROUPING SETS"])
                listed = ", ".join(texts)
                if form == "GROUPING SETS":
                    listed = ", ".join([f"({listed})", f"({texts[0]})", self.pick(["()", f"({texts[-1]})"])])
                tail += f" GROUP BY {form} ({listed})"
                grouped.unique = None
                grouped.atoms.append((f"GROUPING({self.pick(texts)})", "num"))
            elif texts:
                tail += f" GROUP BY {', '.join(texts)}"
            for _ in range(self.random.randint(1, 3)):
                family = self.pick(families)
                grouped.atoms.append((self.aggregate(family, scope), family))
            if self.chance(0.3):
                tail += f" HAVING {self.condition(grouped, 1)}"
            # Without keys or aggregates in the list it would not be one group.
            scope = grouped
            if not texts:
                scope.atoms.append(("COUNT(*)", "num"))
                if not self.chance(0.3) and " HAVING " not in tail:
                    tail += " HAVING COUNT(*) >= 0"
        items = []
        for family in families:
            if self.chance(0.12):
                items.append(self.window(family, scope))
            else:
                items.append(self.expr(family, scope, self.pick([0, 1, 2])))
        if self.chance(0.1):
            tail += f" QUALIFY {self.window('num', scope)} {self.pick(['<=', '>', '='])} {self.pick(['1', '2'])}"
        listed = ", ".join(f"{item} AS {self.name('x')}" for item in items)
        return f"SELECT {distinct}{listed} FROM {source}{tail}"

    # Changes

    def change(self):
        """A statement that changes one table, and that table; each row is changed by at most one other."""
        table = self.pick(self.tables)
        other = self.pick(self.tables)
        target = Scope([(f"{table.name}.{name}", family) for name, family, _ in table.columns])
        source = Scope([(f"o.{name}", family) for name, family, _ in other.columns])
        both = Scope(target.atoms + source.atoms)
        by_id = f"{table.name}.id = o.id"

        def values(scope, depth=0):
            return [self.expr(family, scope, depth) for _, family, _ in table.columns[1:]]

        def settings(scope):
            chosen_columns = self.random.sample(table.columns[1:], self.random.randint(1, 2))
            return ", ".join(f"{name} = {self.expr(family, scope, 1)}" for name, family, _ in chosen_columns)

        names = ", ".join(name for name, _, _ in table.columns)
        form = self.pick(["insert", "update", "update from", "delete", "delete using", "merge", "merge"])
        if form == "insert":
            listed = ", ".join(["o.id + 1000", *values(source)])
            return f"INSERT INTO {table.name} ({names}) SELECT {listed} FROM {other.name} o WHERE o.id < 20", table
        if form == "update":
            return f"UPDATE {table.name} SET {settings(target)} WHERE {self.condition(target)}", table
        if form == "delete":
            return f"DELETE FROM {table.name} WHERE {self.condition(target)} AND MOD({table.name}.id, 3) = 0", table
        grouped = f"(SELECT * FROM {other.name} QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY id) = 1 " + (
            "AND COUNT(*) OVER (PARTITION BY id) = 1) o"
        )
        if form == "update from":
            condition = self.condition(both, 1)
            return f"UPDATE {table.name} SET {settings(both)} FROM {grouped} WHERE {by_id} AND {condition}", table
        if form == "delete using":
            condition = f"{self.joined(target, source, both)} AND MOD({table.name}.id, 2) = 0"
            return f"DELETE FROM {table.name} USING {other.name} o WHERE {condition}", table
        clauses = []
        if self.chance(0.4):
            clauses.append(f"WHEN MATCHED AND {self.condition(both, 1)} THEN DELETE")
        if self.chance(0.7) or not clauses:
            extra = f" AND {self.condition(both, 1)}" if self.chance(0.4) else ""
            clauses.append(f"WHEN MATCHED{extra} THEN UPDATE SET {settings(both)}")
        if self.chance(0.7):
            extra = f" AND {self.condition(source, 1)}" if self.chance(0.4) else ""
            listed = ", ".join(["o.id", *values(source)])
            clauses.append(f"WHEN NOT MATCHED{extra} THEN INSERT ({names}) VALUES ({listed})")
        extra = f" AND {self.condition(both, 1)}" if self.chance(0.3) else ""
        return f"MERGE INTO {table.name} USING {grouped} ON {by_id}{extra} {' '.join(clauses)}", table


# Answers


def shown(value, inexact):
    """A value in a form that is equal and sorts on both sides."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float, decimal.Decimal)):
        if isinstance(value, float) and math.isnan(value):
            return "NaN"
        if inexact:
            return f"{float(value) + 0.0:.11g}".replace("-0", "0") if not value else f"{float(value):.11g}"
        return format(decimal.Decimal(value).normalize(), "f") if value else "0"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    return str(value) if isinstance(value, datetime.date) else repr(value)


def comparable(ours, theirs):
    """Both sides' rows with their values as text; floats agree in eleven digits."""
    inexact = {
        column for row in [*ours, *theirs] for column, value in enumerate(row) if isinstance(value, float)
    }
    return tuple(
        [tuple(shown(value, column in inexact) for column, value in enumerate(row)) for row in rows]
        for rows in (ours, theirs)
    )


def differ(ours, theirs, ordered=False):
    """What differs between two answers, or None."""
    ours, theirs = comparable(ours, theirs)
    if ordered and ours != theirs and sorted(ours) == sorted(theirs):
        return f"order differs\n  ours   {ours[:SHOWN_ROWS]}\n  DuckDB {theirs[:SHOWN_ROWS]}"
    if sorted(ours) == sorted(theirs):
        return None
    only_ours = list((collections.Counter(ours) - collections.Counter(theirs)).elements())
    only_theirs = list((collections.Counter(theirs) - collections.Counter(ours)).elements())
    return (
        f"{len(ours)} and {len(theirs)} rows; only ours {only_ours[:SHOWN_ROWS]}; "
        f"only DuckDB's {only_theirs[:SHOWN_ROWS]}"
    )


class Run:
    """One seed on both sides."""

    def __init__(self, cursor, seed, totals, refusals):
        self.cursor = cursor
        self.seed = seed
        self.totals = totals
        self.refusals = refusals
        self.setup = []
        self.generator = Generator(seed)
        self.duck = duckdb.connect()
        for macro in MACROS:
            self.duck.execute(macro)

    def failed(self, statement, what, show=True):
        self.totals["failures"] += 1
        if not show:
            return
        if chosen.setup:
            print(";\n".join(self.setup) + ";")
        print(f"FAILED: seed {self.seed} (--first {self.seed} --seeds 1 --setup)\n{statement};\n  {what}\n", flush=True)

    def answers(self, statement):
        """Both sides' rows, or None where either has none; what must not be is a failure."""
        theirs, ours = None, None
        try:
            theirs = self.duck.execute(statement).fetchall()
        except duckdb.Error as error:
            if "INTERNAL" in str(error):
                # The connection is of no use after that.
                raise
            self.refusals[f"DuckDB: {plain(str(error))}"] += 1
        try:
            ours = self.cursor.execute(statement, timeout=STATEMENT_SECONDS).fetchall()
        except Exception as error:
            text = getattr(error, "raw_msg", None) or str(error)
            state, code = getattr(error, "sqlstate", None), getattr(error, "errno", None)
            internal = state == "XX000" or code == 300002 or "internal error" in text.lower()
            if internal or code == 604 or "cancel" in text.lower():
                # One statement of each such text is enough to read.
                again = f"FAILED: {code} {plain(text)}"
                self.refusals[again] += 1
                self.failed(statement, f"{code} ({state}): {text}", show=self.refusals[again] == 1)
            else:
                self.refusals[f"ours: {code} {plain(text)}"] += 1
        return ours, theirs

    def both(self, statement):
        self.setup.append(statement)
        self.cursor.execute(statement)
        self.duck.execute(statement)

    def run(self):
        for statement in self.generator.setup():
            self.both(statement)
        for _ in range(2):
            statement, view = self.generator.view()
            ours, theirs = self.answers(statement)
            if ours is not None and theirs is not None:
                self.setup.append(statement)
                self.generator.views.append(view)
        for _ in range(chosen.queries):
            statement, _ = self.generator.query(2, top=True)
            ours, theirs = self.answers(statement)
            if ours is None or theirs is None:
                self.totals["skipped"] += 1
                continue
            self.totals["compared"] += 1
            ordered = re.search(r" ORDER BY \d[^()]*$", statement)
            wrong = differ(ours, theirs, ordered)
            if wrong:
                self.failed(statement, wrong)
        for _ in range(chosen.changes):
            if not self.change():
                break
        self.duck.close()

    def change(self):
        """Changes a table on both sides; False where the two can not go on together."""
        statement, table = self.generator.change()
        ours, theirs = self.answers(statement)
        if (ours is None) != (theirs is None):
            self.totals["skipped"] += 1
            return False
        if ours is None:
            return True
        self.totals["changes"] += 1
        self.setup.append(statement)
        wrong = differ(*self.answers(f"SELECT * FROM {table.name}"))
        if wrong:
            self.failed(statement, wrong)
        return not wrong


def plain(text):
    """An error's text without what differs between statements."""
    text = text.strip().splitlines()[-1] if text.startswith("SQL compilation") else text.strip().splitlines()[0]
    return re.sub(r"\d+", "#", text)[:150]


def main():
    totals, refusals = collections.Counter(), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        server = start_server(Path(folder) / "data")
        try:
            with server.connect() as connection:
                cursor = connection.cursor()
                cursor.execute("CREATE DATABASE queries")
                for seed in range(chosen.first, chosen.first + chosen.seeds):
                    cursor.execute("CREATE OR REPLACE SCHEMA queries.s")
                    cursor.execute("USE SCHEMA queries.s")
                    try:
                        Run(cursor, seed, totals, refusals).run()
                    except duckdb.Error as error:
                        refusals[f"DuckDB ended the seed: {plain(str(error))}"] += 1
                    print(f"seed {seed}: {dict(totals)}", flush=True)
        finally:
            server.stop()
    print(", ".join(f"{count} {name}" for name, count in sorted(totals.items())))
    for text, count in refusals.most_common(40):
        print(f"{count:6} x {text}")
    return 1 if totals["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
