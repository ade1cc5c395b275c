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
    "hash join without a match": "SELECT COUNT(*) FROM STOPPING A JOIN STOPPING B "
    "ON A.M = B.M AND A.S + B.S > 7",
    "nested loop": "SELECT COUNT(*) FROM STOPPING A JOIN STOPPING B ON A.N * B.S > 1",
    "nested loop without a match": "SELECT COUNT(*) FROM STOPPING A JOIN STOPPING B "
    "ON A.S + B.S > 7",
    "anti join": "SELECT COUNT(*) FROM STOPPING A WHERE NOT EXISTS "
    "(SELECT 1 FROM STOPPING B WHERE A.S + B.S > 7)",
    "aggregate": f"SELECT MOD(SEQ8(), 1000), COUNT(*), SUM(SQRT(SEQ8())) FROM {FAR} GROUP BY 1",
    "sort": f"SELECT * FROM (SELECT SEQ8() AS N, SIN(SEQ8()) AS S FROM {FAR}) ORDER BY S LIMIT 10",
    "window": "SELECT MAX(R) FROM (SELECT SUM(A.S) OVER (PARTITION BY A.M ORDER BY A.N * B.M) AS R "
    "FROM STOPPING A JOIN STOPPING B ON A.N = B.N + 1, TABLE(GENERATOR(ROWCOUNT => 1000)))",
    "recursion": "WITH RECURSIVE C AS (SELECT 0 AS N UNION ALL SELECT N + 1 FROM C WHERE N < 1e12) "
    "SELECT COUNT(*) FROM C",
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
    assert server.aborts(connection, query_id, CANCELLED) < STOPS_WITHIN_CPU_SECONDS


def test_a_statement_past_its_time_stops(server, cursor):
    cursor.execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 2")
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
        cursor.execute(ENDLESS["cross join"])
    assert raised.value.errno == TIMED_OUT
    assert server.cpu_until_idle() < STOPS_WITHIN_CPU_SECONDS
