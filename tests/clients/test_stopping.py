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
    "collecting window": "SELECT MAX(ARRAY_SIZE(A)) FROM (SELECT ARRAY_AGG(N) OVER "
    "(ORDER BY N ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW) AS A FROM STOPPING)",
    "sorting window": "SELECT MAX(R) FROM (SELECT MEDIAN(S) OVER (PARTITION BY M ORDER BY N "
    "ROWS BETWEEN 100000 PRECEDING AND CURRENT ROW) AS R FROM STOPPING)",
    "window to the end": "SELECT MAX(R) FROM (SELECT MEDIAN(S) OVER (ORDER BY N "
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS R FROM STOPPING)",
    "lambda": "SELECT ARRAY_SIZE(TRANSFORM(ARRAY_GENERATE_RANGE(0, 1000000 + N), X -> "
    "EDITDISTANCE(REPEAT('ab', 2000), REPEAT('ba', 2000) || X))) FROM STOPPING WHERE N < 1",
    "reduce": "SELECT LENGTH(REDUCE(ARRAY_GENERATE_RANGE(0, 1000000 + N), '', "
    "(R, X) -> R || 'abcdefghij' || X)) FROM STOPPING WHERE N < 1",
    "recursion": "WITH RECURSIVE C AS (SELECT 0 AS N UNION ALL SELECT N + 1 FROM C WHERE N < 1e12) "
    "SELECT COUNT(*) FROM C",
    "flatten": "SELECT SUM(F.VALUE::NUMBER + R.N) FROM "
    f"(SELECT SEQ8() AS N, ARRAY_GENERATE_RANGE(0, 1000) AS A FROM {FAR}) R, "
    "LATERAL FLATTEN(INPUT => R.A) F",
    # Not endless, but long before it runs.
    "optimizer": "WITH A0 AS (SELECT N, M, S FROM STOPPING), "
    + ", ".join(
        f"A{n + 1} AS (SELECT X.N, X.M, Y.S FROM A{n} X JOIN A{n} Y ON X.N = Y.N AND X.M > {n})"
        for n in range(11)
    )
    + " SELECT COUNT(*) FROM A11",
    "insert": f"INSERT INTO STOPPING SELECT SEQ8() + 2000000, 0, 8 FROM {FAR}",
    "create table as select": f"CREATE TABLE NEVER_MADE AS SELECT SEQ8() AS N FROM {FAR}",
    "update": "UPDATE STOPPING SET S = 9 WHERE NOT EXISTS "
    "(SELECT 1 FROM STOPPING B WHERE STOPPING.S + B.S > 7)",
    "delete": "DELETE FROM STOPPING WHERE NOT EXISTS "
    "(SELECT 1 FROM STOPPING B WHERE STOPPING.S + B.S > 7)",
    "merge": "MERGE INTO STOPPING USING (SELECT A.N FROM STOPPING A JOIN STOPPING B "
    "ON A.S + B.S > 7) FAR ON STOPPING.N = FAR.N WHEN NOT MATCHED THEN INSERT VALUES (0, 0, 9)",
    "unload": f"COPY INTO @STOPPED FROM (SELECT SEQ8() FROM {FAR})",
}


@pytest.fixture(scope="module", autouse=True)
def tables(server, database):
    with server.connect(database=database, schema="TESTS") as connection:
        cursor = connection.cursor()
        cursor.execute(
            "CREATE OR REPLACE TABLE STOPPING AS SELECT SEQ4() AS N, MOD(SEQ4(), 3) AS M, "
            f"SIN(SEQ4()) AS S FROM {ROWS}"
        )
        cursor.execute("CREATE OR REPLACE STAGE STOPPED")


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


def test_nothing_is_left_of_what_was_aborted(cursor):
    cursor.execute("SELECT COUNT(*), SUM(N), MAX(S) < 8 FROM STOPPING")
    assert cursor.fetchone() == (1_000_000, 499_999_500_000, True)
    assert cursor.execute("SHOW TABLES LIKE 'NEVER_MADE'").fetchall() == []
    assert cursor.execute("LIST @STOPPED").fetchall() == []


def test_a_statement_past_its_time_stops(server, cursor):
    cursor.execute("ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = 2")
    with pytest.raises(snowflake.connector.errors.ProgrammingError) as raised:
        cursor.execute(ENDLESS["cross join"])
    assert raised.value.errno == TIMED_OUT
    assert server.cpu_until_idle() < STOPS_WITHIN_CPU_SECONDS
