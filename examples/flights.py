"""The delay model of the quickstart, driven from Python through the connector."""

import pathlib

from connection import connect, show

DATA = pathlib.Path(__file__).resolve().parent / "data"

FEATURES = """
CREATE OR REPLACE TABLE feature AS
WITH airport AS (
  SELECT origin, time_hour, COUNT(*) AS departures,
         LAG(AVG(dep_delay), 2) OVER (PARTITION BY origin ORDER BY time_hour) AS airport_delay
  FROM flight GROUP BY origin, time_hour)
SELECT f.time_hour, f.month, f.carrier, f.origin, f.dest, f.distance, f.hour,
       a.departures, a.airport_delay, w.temp, w.wind_speed, w.precip, w.visib,
       f.dep_delay > 15 AS late
FROM flight f
JOIN airport a ON a.origin = f.origin AND a.time_hour = f.time_hour
LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = DATEADD(hour, -1, f.time_hour)
WHERE f.dep_delay IS NOT NULL
"""


def load(cursor, table, file, columns):
    cursor.execute(f"PUT 'file://{DATA / file}' @raw OVERWRITE = TRUE")
    declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    selected = ", ".join(f"$1:{name}" for name in columns)
    cursor.execute(f"CREATE OR REPLACE TABLE {table} ({declared})")
    cursor.execute(
        f"COPY INTO {table} FROM (SELECT {selected} FROM @raw/{file}) FILE_FORMAT = (TYPE = PARQUET)"
    )


def main():
    connection = connect("flights_python")
    cursor = connection.cursor()
    cursor.execute("CREATE STAGE IF NOT EXISTS raw FILE_FORMAT = (TYPE = PARQUET)")
    load(
        cursor,
        "flight",
        "nyc_flights_2013.parquet",
        {
            "month": "NUMBER(2)",
            "dep_delay": "NUMBER(6)",
            "carrier": "VARCHAR",
            "origin": "VARCHAR",
            "dest": "VARCHAR",
            "distance": "NUMBER(6)",
            "hour": "NUMBER(2)",
            "time_hour": "TIMESTAMP_NTZ",
        },
    )
    load(
        cursor,
        "weather",
        "nyc_weather_2013.parquet",
        {
            "origin": "VARCHAR",
            "time_hour": "TIMESTAMP_NTZ",
            "temp": "FLOAT",
            "wind_speed": "FLOAT",
            "precip": "FLOAT",
            "visib": "FLOAT",
        },
    )
    cursor.execute(FEATURES)
    cursor.execute(
        "CREATE OR REPLACE MODEL delay WITH VERSION v1 USING GBT TARGET late "
        "OPTIONS (n_estimators => 60, learning_rate => 0.15, seed => 1) "
        "EVALUATE (SPLIT 0.2 BY time_hour) AS SELECT * FROM feature WHERE month <= 6"
    )
    show(cursor, "Trained")
    cursor.execute(
        "SELECT carrier, COUNT(*) AS flights, ROUND(AVG(IFF(late, 1, 0)), 3) AS late_share, "
        'ROUND(AVG(delay!PREDICT_PROBA(*):"true"::FLOAT), 3) AS predicted '
        "FROM feature WHERE month > 6 GROUP BY carrier ORDER BY flights DESC LIMIT 8"
    )
    show(cursor, "July to December, by carrier")
    cursor.execute(
        "SELECT feature, ROUND(value, 4) AS psi FROM TABLE(MODEL_DRIFT(MODEL => 'delay', "
        "DATA => (SELECT * FROM feature WHERE month = 12))) WHERE LOWER(metric) = 'psi' "
        "ORDER BY value DESC NULLS LAST LIMIT 5"
    )
    show(cursor, "Drift in December")
    frame = cursor.execute("SELECT * FROM feature WHERE month = 12 LIMIT 5").fetch_pandas_all()
    print("\nAs a DataFrame")
    print(frame.to_string(index=False))
    connection.close()


if __name__ == "__main__":
    main()
