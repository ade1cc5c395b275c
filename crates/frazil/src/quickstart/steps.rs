//! The quickstart's statements, in order. Everything shown or plotted comes from one of them.

/// How a step's rows are drawn in the report.
#[derive(Debug, Clone, Copy)]
pub enum Plot {
    None,
    /// Bars: label column, value column.
    Bars {
        label: usize,
        value: usize,
    },
    /// One line per group: x column, y column, group column.
    Lines {
        x: usize,
        y: usize,
        group: usize,
    },
}

/// One statement with the words around it.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub title: &'static str,
    pub text: &'static str,
    pub sql: &'static str,
    pub plot: Plot,
}

const fn step(title: &'static str, text: &'static str, sql: &'static str) -> Step {
    Step { title, text, sql, plot: Plot::None }
}

const fn plotted(title: &'static str, text: &'static str, sql: &'static str, plot: Plot) -> Step {
    Step { title, text, sql, plot }
}

/// Columns the flights file must have.
pub const FLIGHT_COLUMNS: &[&str] = &[
    "month",
    "day",
    "sched_dep_time",
    "dep_delay",
    "carrier",
    "flight",
    "origin",
    "dest",
    "distance",
    "hour",
    "time_hour",
];
/// Columns the weather file must have.
pub const WEATHER_COLUMNS: &[&str] =
    &["origin", "time_hour", "temp", "humid", "wind_speed", "precip", "visib"];

/// Database, stage, and the columns of the two files.
pub const PREPARE: &[Step] = &[
    step("A place to work", "", "CREATE DATABASE IF NOT EXISTS flights"),
    step("", "", "USE SCHEMA flights.public"),
    step("", "", "CREATE FILE FORMAT IF NOT EXISTS parquet_files TYPE = PARQUET"),
    step("", "", "CREATE STAGE IF NOT EXISTS raw FILE_FORMAT = (TYPE = PARQUET)"),
];

pub const INFER_FLIGHTS: Step = step(
    "What is in the files",
    "Both files say themselves which columns they have.",
    "SELECT column_name, type FROM TABLE(INFER_SCHEMA(LOCATION => '@raw/nyc_flights_2013.parquet', FILE_FORMAT => 'parquet_files'))",
);
pub const INFER_WEATHER: Step = step(
    "",
    "",
    "SELECT column_name, type FROM TABLE(INFER_SCHEMA(LOCATION => '@raw/nyc_weather_2013.parquet', FILE_FORMAT => 'parquet_files'))",
);

/// From files to a trained and registered model, and scores.
pub const BUILD: &[Step] = &[
    step(
        "Load",
        "All flights that left New York City in 2013, and the hourly weather at its airports.",
        "CREATE OR REPLACE TABLE flight (
  month NUMBER(2) NOT NULL, day NUMBER(2) NOT NULL, sched_dep_time NUMBER(4) NOT NULL,
  dep_delay NUMBER(6), carrier VARCHAR NOT NULL, flight NUMBER(6) NOT NULL,
  origin VARCHAR NOT NULL, dest VARCHAR NOT NULL, distance NUMBER(6) NOT NULL,
  hour NUMBER(2) NOT NULL, time_hour TIMESTAMP_NTZ NOT NULL)",
    ),
    step(
        "",
        "",
        "COPY INTO flight FROM (
  SELECT $1:month, $1:day, $1:sched_dep_time, $1:dep_delay, $1:carrier, $1:flight,
         $1:origin, $1:dest, $1:distance, $1:hour, $1:time_hour
  FROM @raw/nyc_flights_2013.parquet)
FILE_FORMAT = (FORMAT_NAME = 'parquet_files')",
    ),
    step(
        "",
        "",
        "CREATE OR REPLACE TABLE weather (
  origin VARCHAR NOT NULL, time_hour TIMESTAMP_NTZ NOT NULL, temp FLOAT, humid FLOAT,
  wind_speed FLOAT, precip FLOAT, visib FLOAT)",
    ),
    step(
        "",
        "",
        "COPY INTO weather FROM (
  SELECT $1:origin, $1:time_hour, $1:temp, $1:humid, $1:wind_speed, $1:precip, $1:visib
  FROM @raw/nyc_weather_2013.parquet)
FILE_FORMAT = (FORMAT_NAME = 'parquet_files')",
    ),
    plotted(
        "Look",
        "A flight is late when it leaves more than 15 minutes after its time. Cancelled flights have no delay.",
        "SELECT month, COUNT(*) AS flights, COUNT_IF(dep_delay IS NULL) AS cancelled,
       ROUND(AVG(dep_delay), 1) AS mean_delay,
       ROUND(100 * AVG(IFF(dep_delay > 15, 1, 0)), 1) AS late_percent
FROM flight GROUP BY month ORDER BY month",
        Plot::Bars { label: 0, value: 4 },
    ),
    step(
        "Features",
        "Only what is known at departure: the schedule, the weather of the hour before, and how late \
         the flights of the same airport and of the same airline ran two hours earlier.",
        "CREATE OR REPLACE TABLE feature AS
WITH hourly AS (
  SELECT origin, time_hour, AVG(dep_delay) AS delay, COUNT(*) AS departures
  FROM flight GROUP BY origin, time_hour),
airport AS (
  SELECT origin, time_hour, departures,
         LAG(delay, 2) OVER (PARTITION BY origin ORDER BY time_hour) AS airport_delay
  FROM hourly),
airline AS (
  SELECT carrier, time_hour,
         LAG(delay, 2) OVER (PARTITION BY carrier ORDER BY time_hour) AS airline_delay
  FROM (SELECT carrier, time_hour, AVG(dep_delay) AS delay
        FROM flight GROUP BY carrier, time_hour))
SELECT f.time_hour, f.month, f.carrier, f.origin, f.dest, f.distance, f.hour,
       DAYOFWEEK(f.time_hour) AS weekday, f.sched_dep_time,
       a.departures, a.airport_delay, l.airline_delay,
       w.temp, w.humid, w.wind_speed, w.precip, w.visib,
       f.dep_delay > 15 AS late
FROM flight f
JOIN airport a ON a.origin = f.origin AND a.time_hour = f.time_hour
JOIN airline l ON l.carrier = f.carrier AND l.time_hour = f.time_hour
LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = DATEADD(hour, -1, f.time_hour)
WHERE f.dep_delay IS NOT NULL",
    ),
    step("", "", "SELECT * FROM feature ORDER BY time_hour, carrier, dest, sched_dep_time LIMIT 5"),
    step(
        "Train",
        "A gradient boosted tree model on January to June; the last fifth of that time is held out.",
        "CREATE OR REPLACE MODEL delay WITH VERSION v1 USING GBT TARGET late
OPTIONS (n_estimators => 120, max_depth => 6, learning_rate => 0.1, seed => 1)
EVALUATE (SPLIT 0.2 BY time_hour)
AS SELECT * FROM feature WHERE month <= 6",
    ),
    step(
        "Register",
        "The version gets a name that can move.",
        "ALTER MODEL delay VERSION v1 SET ALIAS = champion",
    ),
    step("", "", "SHOW VERSIONS IN MODEL delay"),
    step(
        "Score",
        "The other months, in SQL, in parallel, into a table.",
        "CREATE OR REPLACE TABLE score AS
SELECT month, carrier, origin, late,
       MODEL(delay, champion)!PREDICT_PROBA(*):\"true\"::FLOAT AS probability
FROM feature WHERE month > 6",
    ),
    plotted(
        "Evaluate",
        "By carrier, on months the model has not seen: the mean probability should be near the share \
         of late flights. Log loss is lower when better.",
        "SELECT carrier, COUNT(*) AS flights,
       ROUND(AVG(IFF(late, 1, 0)), 3) AS late_share,
       ROUND(AVG(probability), 3) AS mean_probability,
       ROUND(AVG(IFF(late, -LN(probability), -LN(1 - probability))), 4) AS log_loss
FROM score GROUP BY carrier HAVING COUNT(*) > 100 ORDER BY log_loss",
        Plot::Bars { label: 0, value: 4 },
    ),
];

pub const CREATE_ENDPOINT: Step = step(
    "Serve",
    "An endpoint follows the default version. It answers over HTTP with the same numbers as SQL.",
    "CREATE OR REPLACE ENDPOINT delay FROM MODEL delay",
);
pub const ONE_ROW: Step = step(
    "",
    "",
    "SELECT carrier, origin, dest, distance, hour, month, weekday, sched_dep_time, departures,
       airport_delay, airline_delay, temp, humid, wind_speed, precip, visib,
       delay!PREDICT(*) AS sql_prediction
FROM feature WHERE month = 12 ORDER BY time_hour, carrier, dest, sched_dep_time LIMIT 3",
);

pub const DRIFT: Step = plotted(
    "Watch",
    "Population stability index of each feature and of the prediction, month by month, against the \
     training rows. Above 0.2 a feature has clearly moved.",
    "SELECT month, feature, ROUND(value, 4) AS psi FROM (
  SELECT 7 AS month, feature, metric, value FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 7)))
  UNION ALL
  SELECT 8, feature, metric, value FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 8)))
  UNION ALL
  SELECT 9, feature, metric, value FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 9)))
  UNION ALL
  SELECT 10, feature, metric, value FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 10)))
  UNION ALL
  SELECT 11, feature, metric, value FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 11)))
  UNION ALL
  SELECT 12, feature, metric, value FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 12))))
WHERE LOWER(metric) = 'psi' AND feature IN ('TEMP', 'AIRPORT_DELAY', 'AIRLINE_DELAY', 'HUMID', 'WIND_SPEED', 'PREDICTION')
ORDER BY feature, month",
    Plot::Lines { x: 0, y: 2, group: 1 },
);

/// Retraining and the comparison.
pub const RETRAIN: &[Step] = &[
    step(
        "Retrain",
        "A second version on January to September.",
        "ALTER MODEL delay ADD VERSION v2 USING GBT TARGET late
OPTIONS (n_estimators => 120, max_depth => 6, learning_rate => 0.1, seed => 1)
EVALUATE (SPLIT 0.2 BY time_hour)
AS SELECT * FROM feature WHERE month <= 9",
    ),
    plotted(
        "Champion and challenger",
        "Both versions on October to December, which neither has seen.",
        "SELECT version, COUNT(*) AS flights,
       ROUND(AVG(IFF(late, -LN(p), -LN(1 - p))), 4) AS log_loss,
       ROUND(AVG(IFF((p > 0.5) = late, 1, 0)), 4) AS accuracy
FROM (
  SELECT 'v1 (champion)' AS version, late, MODEL(delay, v1)!PREDICT_PROBA(*):\"true\"::FLOAT AS p
  FROM feature WHERE month >= 10
  UNION ALL
  SELECT 'v2 (challenger)', late, MODEL(delay, v2)!PREDICT_PROBA(*):\"true\"::FLOAT
  FROM feature WHERE month >= 10)
GROUP BY version ORDER BY version",
        Plot::Bars { label: 0, value: 2 },
    ),
];

pub const PROMOTE: Step = step(
    "Switch",
    "The challenger is better: it becomes the default version, and the endpoint follows at once.",
    "ALTER MODEL delay SET DEFAULT_VERSION = v2",
);
