//! The quickstart's statements, in order. Everything shown or plotted comes from one of them.

/// What of an answer is drawn, by column number.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Upright columns: a label, and values beside each other with their names.
    Columns { label: usize, series: &'static [(usize, &'static str)] },
    /// Lying bars: a label and a value.
    Bars { label: usize, value: usize },
    /// One line per group; a value worth a dashed line, with its name.
    Lines { x: usize, y: usize, group: usize, limit: Option<(f64, &'static str)> },
    /// Points, against the diagonal of equal values.
    Points { x: usize, y: usize, note: &'static str },
}

/// How an answer is drawn in the report.
#[derive(Debug, Clone, Copy)]
pub struct Plot {
    pub title: &'static str,
    /// Names of the axes, with their units.
    pub x: &'static str,
    pub y: &'static str,
    pub kind: Kind,
}

/// One statement with the words around it.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub title: &'static str,
    pub text: &'static str,
    pub sql: &'static str,
    pub plot: Option<Plot>,
}

const fn step(title: &'static str, text: &'static str, sql: &'static str) -> Step {
    Step { title, text, sql, plot: None }
}

const fn plotted(step: Step, title: &'static str, axes: [&'static str; 2], kind: Kind) -> Step {
    let [x, y] = axes;
    Step { plot: Some(Plot { title, x, y, kind }), ..step }
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
    // A model that is served cannot be replaced: an earlier run's endpoint goes first.
    step("", "", "DROP ENDPOINT IF EXISTS delay"),
    step("", "", "CREATE FILE FORMAT IF NOT EXISTS parquet_files TYPE = PARQUET"),
    step("", "", "CREATE STAGE IF NOT EXISTS raw FILE_FORMAT = (TYPE = PARQUET)"),
];

pub const INFER_FLIGHTS: Step = step(
    "What is in the files",
    "Both files say themselves which columns they have.",
    "SELECT column_name, type
FROM TABLE(INFER_SCHEMA(LOCATION => '@raw/nyc_flights_2013.parquet',
                        FILE_FORMAT => 'parquet_files'))",
);
pub const INFER_WEATHER: Step = step(
    "",
    "",
    "SELECT column_name, type
FROM TABLE(INFER_SCHEMA(LOCATION => '@raw/nyc_weather_2013.parquet',
                        FILE_FORMAT => 'parquet_files'))",
);

pub const LOAD: &[Step] = &[
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
];

/// Flights and the share that was late; the report's first figures.
pub const TOTAL: Step = step(
    "Look",
    "A flight is late when it leaves more than 15 minutes after its time. Cancelled flights have \
     no delay.",
    "SELECT COUNT(*) AS flights, COUNT_IF(dep_delay IS NULL) AS cancelled,
       ROUND(100 * AVG(IFF(dep_delay > 15, 1, 0)), 1) AS late_percent
FROM flight",
);

pub const LOOK: &[Step] = &[
    plotted(
        step(
            "",
            "",
            "SELECT month, COUNT(*) AS flights, COUNT_IF(dep_delay IS NULL) AS cancelled,
       ROUND(AVG(dep_delay), 1) AS mean_delay,
       ROUND(100 * AVG(IFF(dep_delay > 15, 1, 0)), 1) AS late_percent
FROM flight GROUP BY month ORDER BY month",
        ),
        "Summer and December run late",
        ["month of 2013", "late flights, %"],
        Kind::Columns { label: 0, series: &[(4, "late")] },
    ),
    plotted(
        step(
            "",
            "",
            "SELECT hour, COUNT(*) AS flights,
       ROUND(100 * AVG(IFF(dep_delay > 15, 1, 0)), 1) AS late_percent
FROM flight GROUP BY hour HAVING COUNT(*) > 100 ORDER BY hour",
        ),
        "Delays pile up over the day",
        ["hour of scheduled departure", "late flights, %"],
        Kind::Columns { label: 0, series: &[(2, "late")] },
    ),
];

pub const FEATURES: &[Step] = &[
    step(
        "Features",
        "Only what is known at departure: the schedule, the weather of the hour before, and how late \
         the flights ran that were due two to four hours earlier, at the same airport and of the \
         same airline. A delay counts up to 60 minutes there: of a longer one no more is known yet.",
        "CREATE OR REPLACE TABLE feature AS
SELECT f.time_hour, f.month, f.carrier, f.origin, f.dest, f.distance, f.hour,
       DAYOFWEEK(f.time_hour) AS weekday, f.sched_dep_time,
       f.departures, f.airport_delay, f.airline_delay,
       w.temp, w.humid, w.wind_speed, w.precip, w.visib,
       f.dep_delay > 15 AS late
FROM (
  SELECT *,
         COUNT(*) OVER (PARTITION BY origin, time_hour) AS departures,
         AVG(LEAST(dep_delay, 60)) OVER (
           PARTITION BY origin ORDER BY time_hour
           RANGE BETWEEN INTERVAL '4 hours' PRECEDING AND INTERVAL '2 hours' PRECEDING) AS airport_delay,
         AVG(LEAST(dep_delay, 60)) OVER (
           PARTITION BY carrier ORDER BY time_hour
           RANGE BETWEEN INTERVAL '4 hours' PRECEDING AND INTERVAL '2 hours' PRECEDING) AS airline_delay
  FROM flight) f
LEFT JOIN weather w ON w.origin = f.origin AND w.time_hour = DATEADD(hour, -1, f.time_hour)
WHERE f.dep_delay IS NOT NULL",
    ),
    step(
        "",
        "",
        "SELECT time_hour, carrier, origin, dest, departures, ROUND(airport_delay, 1) AS airport_delay,
       ROUND(airline_delay, 1) AS airline_delay, temp, late
FROM feature WHERE hour = 12 ORDER BY time_hour, carrier, dest, sched_dep_time LIMIT 5",
    ),
];

pub const TRAIN: &[Step] = &[
    step(
        "Train",
        "A gradient boosted tree model on January to June; the last fifth of that time is held out.",
        "CREATE OR REPLACE MODEL delay WITH VERSION v1 USING GBT TARGET late
OPTIONS (n_estimators => 120, max_depth => 6, learning_rate => 0.1, seed => 1)
EVALUATE (SPLIT 0.2 BY time_hour)
AS SELECT * EXCLUDE month FROM feature WHERE month <= 6",
    ),
    step(
        "Register",
        "The version is kept with its query, the snapshot it read, its parameters and metrics. It gets \
         a name that can move.",
        "ALTER MODEL delay VERSION v1 SET ALIAS = champion",
    ),
];

/// What was measured on the rows held out from training.
pub const MEASURED: Step = step(
    "",
    "",
    "SELECT model_version_name AS version, model_version_aliases AS aliases, row_count AS trained_on,
       m:rows_evaluated::NUMBER AS held_out, ROUND(m:log_loss::FLOAT, 4) AS log_loss,
       ROUND(m:auc::FLOAT, 4) AS auc, ROUND(m:accuracy::FLOAT, 4) AS accuracy
FROM (SELECT *, PARSE_JSON(metrics) AS m FROM INFORMATION_SCHEMA.MODEL_VERSIONS)
WHERE model_name = 'DELAY' ORDER BY created",
);

pub const SCORE: &[Step] = &[
    plotted(
        step(
            "",
            "",
            "SELECT f.key AS feature, ROUND(100 * f.value::FLOAT, 1) AS share_percent
FROM INFORMATION_SCHEMA.MODEL_VERSIONS v,
     LATERAL FLATTEN(INPUT => PARSE_JSON(v.metadata):feature_importance) f
WHERE v.model_name = 'DELAY' AND v.model_version_name = 'V1'
ORDER BY f.value::FLOAT DESC",
        ),
        "What the model looks at",
        ["", "share of the trees' total gain, %"],
        Kind::Bars { label: 0, value: 1 },
    ),
    step(
        "Score",
        "The other months, in SQL, in parallel, into a table.",
        "CREATE OR REPLACE TABLE score AS
SELECT month, carrier, origin, late,
       MODEL(delay, champion)!PREDICT_PROBA(*):\"true\"::FLOAT AS probability
FROM feature WHERE month > 6",
    ),
    plotted(
        step(
            "Evaluate",
            "By carrier, on months the model has not seen: the expected share of late flights should \
             be near the observed one. Log loss is lower when better.",
            "SELECT carrier, COUNT(*) AS flights,
       ROUND(100 * AVG(IFF(late, 1, 0)), 1) AS late_percent,
       ROUND(100 * AVG(probability), 1) AS expected_percent,
       ROUND(AVG(IFF(late, -LN(probability), -LN(1 - probability))), 4) AS log_loss
FROM score GROUP BY carrier HAVING COUNT(*) > 100 ORDER BY flights DESC",
        ),
        "Late flights by carrier, July to December: observed and expected",
        ["carrier, largest first", "late flights, %"],
        Kind::Columns { label: 0, series: &[(2, "observed"), (3, "expected")] },
    ),
    plotted(
        step(
            "",
            "In twenty equal groups by the model's probability.",
            "SELECT part, COUNT(*) AS flights, ROUND(100 * AVG(probability), 1) AS expected_percent,
       ROUND(100 * AVG(IFF(late, 1, 0)), 1) AS late_percent
FROM (SELECT *, NTILE(20) OVER (ORDER BY probability) AS part FROM score)
GROUP BY part ORDER BY part",
        ),
        "Can the probabilities be believed?",
        ["expected late flights, %", "observed late flights, %"],
        Kind::Points { x: 2, y: 3, note: "observed = expected" },
    ),
];

pub const CREATE_ENDPOINT: Step = step(
    "Serve",
    "An endpoint follows the default version. It answers over HTTP what SQL answers.",
    "CREATE OR REPLACE ENDPOINT delay FROM MODEL delay",
);
/// Three likely late flights and three others, with SQL's own answer in the last column.
pub const SIX_ROWS: Step = step(
    "",
    "",
    "SELECT carrier, origin, dest, distance, hour, weekday, sched_dep_time, departures,
       airport_delay, airline_delay, temp, humid, wind_speed, precip, visib,
       delay!PREDICT(*) AS sql_prediction
FROM feature WHERE month = 12
QUALIFY ROW_NUMBER() OVER (PARTITION BY delay!PREDICT(*)
                           ORDER BY time_hour, carrier, dest, sched_dep_time) <= 3
ORDER BY time_hour, carrier, dest, sched_dep_time",
);

pub const DRIFT: Step = plotted(
    step(
        "Watch",
        "Population stability index of the main features and of the prediction, month by month, \
         against the training rows. Above 0.2 a feature has clearly moved.",
        "SELECT month, feature, ROUND(value, 4) AS psi FROM (
  SELECT 7 AS month, * FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 7)))
  UNION ALL
  SELECT 8, * FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 8)))
  UNION ALL
  SELECT 9, * FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 9)))
  UNION ALL
  SELECT 10, * FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 10)))
  UNION ALL
  SELECT 11, * FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 11)))
  UNION ALL
  SELECT 12, * FROM TABLE(MODEL_DRIFT(MODEL => 'delay', DATA => (SELECT * FROM feature WHERE month = 12))))
WHERE metric = 'psi' AND feature IN ('TEMP', 'AIRPORT_DELAY', 'AIRLINE_DELAY', 'HUMID', 'WIND_SPEED', 'PREDICTION')
ORDER BY feature, month",
    ),
    "Drift from the training months",
    ["month of 2013", "population stability index (logarithmic)"],
    Kind::Lines { x: 0, y: 2, group: 1, limit: Some((0.2, "0.2: moved")) },
);

pub const RETRAIN: Step = step(
    "Retrain",
    "A second version on January to September.",
    "ALTER MODEL delay ADD VERSION v2 USING GBT TARGET late
OPTIONS (n_estimators => 120, max_depth => 6, learning_rate => 0.1, seed => 1)
EVALUATE (SPLIT 0.2 BY time_hour)
AS SELECT * EXCLUDE month FROM feature WHERE month <= 9",
);

pub const DUEL: Step = step(
    "Champion and challenger",
    "Both versions on October to December, which neither has seen.",
    "CREATE OR REPLACE TABLE duel AS
SELECT month, late, MODEL(delay, v1)!PREDICT_PROBA(*):\"true\"::FLOAT AS p1,
       MODEL(delay, v2)!PREDICT_PROBA(*):\"true\"::FLOAT AS p2
FROM feature WHERE month >= 10",
);

pub const BY_MONTH: Step = plotted(
    step(
        "",
        "",
        "SELECT month, COUNT(*) AS flights,
       ROUND(AVG(IFF(late, -LN(p1), -LN(1 - p1))), 4) AS champion,
       ROUND(AVG(IFF(late, -LN(p2), -LN(1 - p2))), 4) AS challenger
FROM duel GROUP BY month ORDER BY month",
    ),
    "Log loss by month (lower is better)",
    ["month of 2013", "mean log loss"],
    Kind::Columns { label: 0, series: &[(2, "champion v1"), (3, "challenger v2")] },
);

/// The verdict: log loss of both versions and of no model at all.
pub const VERDICT: Step = step(
    "",
    "Without a model every flight would get the share of late flights known by then.",
    "SELECT COUNT(*) AS flights,
       ROUND(AVG(IFF(late, -LN(base), -LN(1 - base))), 4) AS no_model,
       ROUND(AVG(IFF(late, -LN(p1), -LN(1 - p1))), 4) AS champion,
       ROUND(AVG(IFF(late, -LN(p2), -LN(1 - p2))), 4) AS challenger,
       challenger < champion AS challenger_wins
FROM duel, (SELECT AVG(IFF(late, 1, 0)) AS base FROM feature WHERE month <= 9)",
);

pub const PROMOTE: Step = step(
    "Switch",
    "The challenger is better: it becomes the default version, and the endpoint follows at once.",
    "ALTER MODEL delay SET DEFAULT_VERSION = v2",
);
