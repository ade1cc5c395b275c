"""The delay model of the quickstart, driven from Python through the connector.

Load, features, train, register, evaluate, score, serve, drift, retrain, champion and challenger.
"""

import json
import pathlib
import urllib.request

from connection import connect, show, url

DATA = pathlib.Path(__file__).resolve().parent / "data"

FLIGHT = {
    "month": "NUMBER(2)",
    "sched_dep_time": "NUMBER(4)",
    "dep_delay": "NUMBER(6)",
    "carrier": "VARCHAR",
    "origin": "VARCHAR",
    "dest": "VARCHAR",
    "distance": "NUMBER(6)",
    "hour": "NUMBER(2)",
    "time_hour": "TIMESTAMP_NTZ",
}
WEATHER = {
    "origin": "VARCHAR",
    "time_hour": "TIMESTAMP_NTZ",
    "temp": "FLOAT",
    "wind_speed": "FLOAT",
    "precip": "FLOAT",
    "visib": "FLOAT",
}

# Only what is known at departure. Of flights due two to four hours earlier a delay counts up to
# 60 minutes: of a longer one no more is known yet.
FEATURES = """
CREATE OR REPLACE TABLE feature AS
SELECT f.time_hour, f.month, f.carrier, f.origin, f.dest, f.distance, f.hour, f.sched_dep_time,
       f.departures, f.airport_delay, w.temp, w.wind_speed, w.precip, w.visib,
       f.dep_delay > 15 AS late
FROM (
  SELECT *, COUNT(*) OVER (PARTITION BY origin, time_hour) AS departures,
         AVG(LEAST(dep_delay, 60)) OVER (
           PARTITION BY origin ORDER BY time_hour
           RANGE BETWEEN INTERVAL '4 hours' PRECEDING AND INTERVAL '2 hours' PRECEDING
         ) AS airport_delay
  FROM flight) f
LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = DATEADD(hour, -1, f.time_hour)
WHERE f.dep_delay IS NOT NULL
"""

TRAIN = """
USING GBT TARGET late
OPTIONS (n_estimators => 60, learning_rate => 0.15, seed => 1)
EVALUATE (SPLIT 0.2 BY time_hour)
AS SELECT * EXCLUDE month FROM feature WHERE month <= %s
"""

ROW = [
    "carrier", "origin", "dest", "distance", "hour", "sched_dep_time", "departures",
    "airport_delay", "temp", "wind_speed", "precip", "visib",
]


def load(cursor, table, file, columns):
    cursor.execute(f"PUT 'file://{DATA / file}' @raw OVERWRITE = TRUE")
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    selected = ", ".join(f"$1:{name}" for name in columns)
    cursor.execute(f"CREATE OR REPLACE TABLE {table} ({declared})")
    cursor.execute(
        f"COPY INTO {table} FROM (SELECT {selected} FROM @raw/{file}) FILE_FORMAT = (TYPE = PARQUET)"
    )


def call_endpoint(records, token):
    """What the endpoint answers: predictions, and the version they come from."""
    request = urllib.request.Request(
        f"{url()}/endpoints/delay_python/invocations",
        data=json.dumps({"records": records}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def serve(cursor):
    """An endpoint, a role that may do nothing but call it, and a token of that role."""
    cursor.execute("CREATE OR REPLACE ENDPOINT delay_python FROM MODEL delay")
    cursor.execute("CREATE ROLE IF NOT EXISTS delay_caller")
    cursor.execute("GRANT USAGE ON ENDPOINT delay_python TO ROLE delay_caller")
    user = cursor.execute("SELECT CURRENT_USER()").fetchone()[0]
    cursor.execute(f'GRANT ROLE delay_caller TO USER "{user}"')
    cursor.execute(
        "ALTER USER ADD PROGRAMMATIC ACCESS TOKEN delay_python "
        "ROLE_RESTRICTION = 'DELAY_CALLER' DAYS_TO_EXPIRY = 1"
    )
    return cursor.fetchone()[1]


def compare_with_endpoint(cursor, token):
    cursor.execute(
        f"SELECT {', '.join(ROW)}, delay!PREDICT(*) FROM feature WHERE month = 12 "
        "ORDER BY time_hour, carrier, dest, sched_dep_time LIMIT 100"
    )
    rows = cursor.fetchall()
    records = [
        {name: value if isinstance(value, str) or value is None else float(value)
         for name, value in zip(ROW, row)}
        for row in rows
    ]
    reply = call_endpoint(records, token)
    same = reply["predictions"] == [row[-1] for row in rows]
    assert same, "the endpoint answers something else than SQL"
    print(f"\n{len(rows)} rows over HTTP: the same answers as in SQL, from version {reply['version']}")


def main():
    connection = connect("flights_python")
    cursor = connection.cursor()
    cursor.execute("CREATE STAGE IF NOT EXISTS raw FILE_FORMAT = (TYPE = PARQUET)")
    load(cursor, "flight", "nyc_flights_2013.parquet", FLIGHT)
    load(cursor, "weather", "nyc_weather_2013.parquet", WEATHER)
    cursor.execute("SELECT COUNT(*) AS flights FROM flight")
    show(cursor, "Loaded")
    cursor.execute(FEATURES)

    cursor.execute("DROP ENDPOINT IF EXISTS delay_python")
    cursor.execute("CREATE OR REPLACE MODEL delay WITH VERSION v1" + TRAIN % 6)
    show(cursor, "Trained on January to June")
    cursor.execute("ALTER MODEL delay VERSION v1 SET ALIAS = champion")
    cursor.execute(
        "SELECT carrier, COUNT(*) AS flights, ROUND(AVG(IFF(late, 1, 0)), 3) AS late_share, "
        'ROUND(AVG(delay!PREDICT_PROBA(*):"true"::FLOAT), 3) AS predicted '
        "FROM feature WHERE month > 6 GROUP BY carrier ORDER BY flights DESC LIMIT 8"
    )
    show(cursor, "July to December, by carrier")

    token = serve(cursor)
    try:
        compare_with_endpoint(cursor, token)
        cursor.execute(
            "SELECT feature, ROUND(value, 4) AS psi FROM TABLE(MODEL_DRIFT(MODEL => 'delay', "
            "DATA => (SELECT * FROM feature WHERE month = 12))) WHERE metric = 'psi' "
            "ORDER BY value DESC NULLS LAST LIMIT 5"
        )
        show(cursor, "Drift in December")

        cursor.execute("ALTER MODEL delay ADD VERSION v2" + TRAIN % 9)
        cursor.execute(
            "SELECT COUNT(*) AS flights, "
            "ROUND(AVG(IFF(late, -LN(p1), -LN(1 - p1))), 4) AS champion, "
            "ROUND(AVG(IFF(late, -LN(p2), -LN(1 - p2))), 4) AS challenger FROM ("
            'SELECT late, MODEL(delay, champion)!PREDICT_PROBA(*):"true"::FLOAT AS p1, '
            'MODEL(delay, v2)!PREDICT_PROBA(*):"true"::FLOAT AS p2 FROM feature WHERE month >= 10)'
        )
        show(cursor, "Log loss of both versions, October to December")
        _, champion, challenger = cursor.execute(
            f"SELECT * FROM TABLE(RESULT_SCAN('{cursor.sfqid}'))"
        ).fetchone()
        if challenger < champion:
            cursor.execute("ALTER MODEL delay SET DEFAULT_VERSION = v2")
        compare_with_endpoint(cursor, token)
    finally:
        cursor.execute("ALTER USER REMOVE PROGRAMMATIC ACCESS TOKEN delay_python")

    frame = cursor.execute(
        "SELECT carrier, dest, airport_delay, delay!PREDICT(*) AS predicted, late FROM feature "
        "WHERE month = 12 ORDER BY time_hour, carrier, dest, sched_dep_time LIMIT 5"
    ).fetch_pandas_all()
    print("\nAs a DataFrame")
    print(frame.to_string(index=False))
    connection.close()


if __name__ == "__main__":
    main()
