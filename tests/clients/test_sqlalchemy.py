"""SQLAlchemy through Snowflake's dialect: metadata, ORM and typed results."""

import datetime
import decimal

import pytest
import sqlalchemy as sa
from conftest import PASSWORD
from snowflake.sqlalchemy import URL
from sqlalchemy.orm import Session, declarative_base


@pytest.fixture
def engine(server, database):
    url = URL(
        account="any_name", user="admin", password=PASSWORD, database=database, schema="TESTS"
    )
    # Where to connect is no part of the URL: newer dialects refuse it there.
    place = {"host": server.host, "port": server.port, "protocol": "http"}
    engine = sa.create_engine(url, connect_args=place)
    yield engine
    engine.dispose()


def test_select(engine):
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT 1 AS a, 'x' AS b, CURRENT_SCHEMA()")).one()
    assert tuple(row) == (1, "x", "TESTS")


def test_tables_are_made_filled_and_read(engine, name):
    metadata = sa.MetaData()
    table = sa.Table(
        name.lower(),
        metadata,
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("label", sa.String(50), nullable=False),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("day", sa.Date),
    )
    metadata.create_all(engine)
    rows = [
        {
            "id": i,
            "label": f"l{i}",
            "price": decimal.Decimal(i) / 4,
            "day": datetime.date(2024, 1, 1 + i),
        }
        for i in range(5)
    ]
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)
    with engine.connect() as connection:
        query = sa.select(table).where(table.c.id > 1).order_by(table.c.id.desc())
        found = connection.execute(query).mappings().all()
    assert [dict(row) for row in found] == rows[:1:-1]
    assert sa.inspect(engine).has_table(name.lower())
    metadata.drop_all(engine)
    assert not sa.inspect(engine).has_table(name.lower())


def test_reflection(engine, name):
    with engine.begin() as connection:
        connection.execute(
            sa.text(f"CREATE TABLE {name} (A INT NOT NULL, B VARCHAR(7), C TIMESTAMP_NTZ)")
        )
    columns = {column["name"]: column for column in sa.inspect(engine).get_columns(name.lower())}
    assert list(columns) == ["a", "b", "c"]
    assert columns["a"]["nullable"] is False
    assert columns["b"]["type"].length == 7


def test_transactions_roll_back(engine, name):
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {name} (A INT)"))
    with engine.connect() as connection:
        transaction = connection.begin()
        connection.execute(sa.text(f"INSERT INTO {name} VALUES (1)"))
        transaction.rollback()
    with engine.connect() as connection:
        assert connection.execute(sa.text(f"SELECT COUNT(*) FROM {name}")).scalar() == 0


def test_orm(engine, name):
    base = declarative_base()

    class Thing(base):
        __tablename__ = name.lower()
        id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
        label = sa.Column(sa.String(20))

    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Thing(id=1, label="a"), Thing(id=2, label="b")])
        session.commit()
    with Session(engine) as session:
        thing = session.get(Thing, 2)
        thing.label = "c"
        session.commit()
    with Session(engine) as session:
        labels = session.scalars(sa.select(Thing.label).order_by(Thing.id)).all()
    assert labels == ["a", "c"]
    base.metadata.drop_all(engine)


def test_errors_are_programming_errors(engine):
    with engine.connect() as connection:
        with pytest.raises(sa.exc.ProgrammingError) as caught:
            connection.execute(sa.text("SELECT * FROM no_such_table"))
    assert caught.value.orig.errno == 2003
