"""Trainings through the connector: a cancelled or timed-out one gives its processor back."""

import pytest
import snowflake.connector

CANCELLED = 604
TIMED_OUT = 630

# Each would take many minutes; the tables are made once.
ENDLESS = {
    "boosting": "USING GBT TARGET Y OPTIONS (n_estimators => 100000, max_depth => 10) "
    "AS SELECT A, B, C, Y FROM {rows}",
    "lasso": "USING LINEAR TARGET Y OPTIONS (penalty => 'l1', alpha => 0.000001, tol => 0, "
    "max_iter => 1000000000) AS SELECT A, B, C, D, Y FROM {rows}",
    "logistic": "USING LOGISTIC TARGET C OPTIONS (tol => 0, max_iter => 1000000000) "
    "AS SELECT A, B, D, Y, C FROM {rows}",
    "factorisation": "USING SVD TARGET R FEATURES (C, D) OPTIONS (n_epochs => 100000000, "
    "lr_all => 0.0001) AS SELECT C, D, A / 1009 AS R FROM {rows}",
}


@pytest.fixture(scope="module")
def rows(server, database):
    with server.connect(database=database, schema="TESTS") as connection:
        connection.cursor().execute(
            "CREATE OR REPLACE TABLE TRAINING_ROWS AS SELECT MOD(SEQ4() * 7919, 1009) AS A, "
            "MOD(SEQ4() * 104729, 997)::FLOAT AS B, 'c' || MOD(SEQ4(), 37) AS C, "
            "'d' || MOD(SEQ4() * 31, 101) AS D, SIN(SEQ4()) AS Y "
            "FROM TABLE(GENERATOR(ROWCOUNT => 200000))"
        )
    return "TRAINING_ROWS"


@pytest.mark.parametrize("estimator", ENDLESS)
def test_an_aborted_training_stops(server, connect, rows, estimator):
    connection = connect()
    cursor = connection.cursor()
    server.cpu_until_idle()
    since = server.cpu_seconds()
    cursor.execute_async(f"CREATE OR REPLACE MODEL ENDLESS {ENDLESS[estimator].format(rows=rows)}")
    query_id = cursor.sfqid
    server.computes(since)
    server.aborts(connection, query_id, CANCELLED)
    with pytest.raises(snowflake.connector.errors.ProgrammingError, match="does not exist"):
        cursor.execute("DESCRIBE MODEL ENDLESS")


def test_a_training_past_its_time_stops(server, cursor, rows):
    cursor.execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 2")
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
        cursor.execute(f"CREATE OR REPLACE MODEL ENDLESS {ENDLESS['boosting'].format(rows=rows)}")
    assert raised.value.errno == TIMED_OUT
    server.cpu_until_idle()
