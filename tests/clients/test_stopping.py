"""Statements that are cancelled or out of time give the processor back within a second."""

import pytest
import snowflake.connector
from conftest import STOPS_WITHIN_CPU_SECONDS

CANCELLED = 604
TIMED_OUT = 630

ROWS = "TABLE(GENERATOR(ROWCOUNT => 1000000))"
FAR = "TABLE(GENERATOR(ROWCOUNT => 100000000000))"

# Each would take many minutes, inside an operator of its own.
ENDLESS = {
    "generator": f"SELECT COUNT(*) FROM {FAR}",
    "cross join": f"SELECT COUNT(*) FROM {ROWS} A, {ROWS} B",
    "costly function": "SELECT SUM(EDITDISTANCE(REPEAT('ab', 2000), REPEAT('ba', 2000) || SEQ8())) "
    f"FROM {FAR}",
    "hash join": "SELECT SUM(A.N - B.N) FROM STOPPING A JOIN STOPPING B ON A.M = B.M",
}


@pytest.fixture(scope="module", autouse=True)
def tables(server, database):
    with server.connect(database=database, schema="TESTS") as connection:
        cursor = connection.cursor()
        cursor.execute(
            "CREATE OR REPLACE TABLE STOPPING AS SELECT SEQ4() AS N, MOD(SEQ4(), 3) AS M, "
            f"SIN(SEQ4()) AS S FROM {ROWS}"
        )


@pytest.mark.parametrize("work", ENDLESS)
def test_an_aborted_statement_stops(server, connect, work):
    connection = connect()
    cursor = connection.cursor()
    server.cpu_until_idle()
    since = server.cpu_seconds()
    cursor.execute_async(ENDLESS[work])
    query_id = cursor.sfqid
    server.computes(since)
    assert connection.is_still_running(connection.get_query_status(query_id))
    assert cursor.abort_query(query_id)
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
        connection.get_query_status_throw_if_error(query_id)
    assert raised.value.errno == CANCELLED
    assert server.cpu_until_idle() < STOPS_WITHIN_CPU_SECONDS


def test_a_statement_past_its_time_stops(server, cursor):
    cursor.execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 2")
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
        cursor.execute(ENDLESS["cross join"])
    assert raised.value.errno == TIMED_OUT
    assert server.cpu_until_idle() < STOPS_WITHIN_CPU_SECONDS
