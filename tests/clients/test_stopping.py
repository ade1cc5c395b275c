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
    "nested loops": "SELECT COUNT(*) FROM STOPPING A JOIN STOPPING B ON A.N + B.N < A.S * B.S",
    "hash join": "SELECT SUM(A.N - B.N) FROM STOPPING A JOIN STOPPING B ON A.M = B.M",
    "anti join": "SELECT COUNT(*) FROM STOPPING A WHERE NOT EXISTS "
    "(SELECT 1 FROM STOPPING B WHERE A.M = B.M AND A.N + B.N < 0)",
    "aggregate": f"SELECT MOD(SEQ8() * 7919, 1000003) AS K, COUNT(DISTINCT SEQ8() / 3) FROM {FAR} "
    "GROUP BY K HAVING COUNT(*) < 0",
    "window": "SELECT SUM(W) FROM (SELECT COUNT(DISTINCT B.S) OVER (PARTITION BY A.M ORDER BY A.N) "
    "AS W FROM STOPPING A JOIN STOPPING B ON A.M = B.M)",
    "sort": "SELECT A.N, B.N FROM STOPPING A JOIN STOPPING B ON A.M = B.M ORDER BY A.N * B.N LIMIT 5",
    "recursion": "WITH RECURSIVE R AS (SELECT 1 AS A UNION ALL "
    "SELECT MOD(A, 7) + 1 FROM R WHERE A > 0) SELECT COUNT(*) FROM R",
    "flatten": "SELECT COUNT(*) FROM STOPPING A, "
    "LATERAL FLATTEN(ARRAY_GENERATE_RANGE(0, 1000000 + A.M)) F",
    "patterns": f"SELECT COUNT(*) FROM {FAR} WHERE REGEXP_LIKE(SEQ8() || 'x', '(.*1.*2.*3)+x')",
    "distances": f"SELECT SUM(EDITDISTANCE(REPEAT('ab', 2000), REPEAT('ba', 2000) || SEQ8())) FROM {FAR}",
    "insert": f"INSERT INTO STOPPED SELECT SEQ8(), 1, 1.5 FROM {FAR}",
    "table": f"CREATE OR REPLACE TABLE STOPPED_TOO AS SELECT SEQ8() AS N FROM {FAR}",
    "update": "UPDATE STOPPED SET N = 1 WHERE M < "
    "(SELECT COUNT(*) FROM STOPPING A, STOPPING B WHERE A.S + B.S > 3)",
    "unload": f"COPY INTO @%STOPPED FROM (SELECT SEQ8() AS N FROM {FAR})",
}


@pytest.fixture(scope="module", autouse=True)
def tables(server, database):
    with server.connect(database=database, schema="TESTS") as connection:
        cursor = connection.cursor()
        cursor.execute(
            "CREATE OR REPLACE TABLE STOPPING AS SELECT SEQ4() AS N, MOD(SEQ4(), 3) AS M, "
            f"SIN(SEQ4()) AS S FROM {ROWS}"
        )
        cursor.execute("CREATE OR REPLACE TABLE STOPPED (N NUMBER, M NUMBER, S FLOAT)")


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
    assert cursor.execute("SELECT COUNT(*) FROM STOPPED").fetchone() == (0,)


@pytest.mark.parametrize("work", ["hash join", "distances", "insert"])
def test_a_statement_past_its_time_stops(server, cursor, work):
    cursor.execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 2")
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
        cursor.execute(ENDLESS[work])
    assert raised.value.errno == TIMED_OUT
    assert server.cpu_until_idle() < STOPS_WITHIN_CPU_SECONDS
