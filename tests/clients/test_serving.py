"""Scoring over HTTP: shapes of requests, rights, and version switches under load."""

import threading
import time
import uuid

import pytest
import requests
from snowflake.connector import DictCursor


@pytest.fixture(scope="module")
def endpoint(server, database):
    """A model with two versions behind an endpoint, and a role that may call it."""
    suffix = uuid.uuid4().hex[:8].upper()
    model, name, role = f"M_{suffix}", f"E_{suffix}", f"R_{suffix}"
    connection = server.connect(database=database, schema="TESTS")
    cursor = connection.cursor(DictCursor)
    cursor.execute(
        f"CREATE TABLE D_{suffix} AS SELECT SEQ4() % 97 AS X, "
        "IFF(SEQ4() % 3 = 0, 'a', 'b') AS C, (SEQ4() % 97) * 2 + IFF(SEQ4() % 3 = 0, 5, 0) AS Y "
        "FROM TABLE(GENERATOR(ROWCOUNT => 3000))"
    )
    train = f"USING GBT TARGET Y OPTIONS (n_estimators => {{}}, seed => 1) AS SELECT * FROM D_{suffix}"
    cursor.execute(f"CREATE MODEL {model} WITH VERSION V1 {train.format(20)}")
    cursor.execute(f"ALTER MODEL {model} ADD VERSION V2 {train.format(60)}")
    cursor.execute(f"CREATE ENDPOINT {name} FROM MODEL {model} VERSION V1")
    cursor.execute(f"CREATE ROLE {role}")
    cursor.execute(f"GRANT USAGE ON ENDPOINT {name} TO ROLE {role}")
    cursor.execute(f"GRANT ROLE {role} TO USER ADMIN")

    def token(token_role):
        cursor.execute(
            f"ALTER USER ADMIN ADD PROGRAMMATIC ACCESS TOKEN T_{uuid.uuid4().hex[:8].upper()} "
            f"ROLE_RESTRICTION = '{token_role}'"
        )
        row = {key.lower(): value for key, value in cursor.fetchone().items()}
        return row["token_secret"]

    class Endpoint:
        url = f"{server.url}/endpoints/{name}"
        secret = token(role)
        other_secret = token("PUBLIC")

    endpoint = Endpoint()
    endpoint.cursor, endpoint.model, endpoint.name = cursor, model, name
    yield endpoint
    connection.close()


def call(endpoint, secret=None, **request):
    headers = request.pop("headers", {})
    headers["Authorization"] = f"Bearer {secret or endpoint.secret}"
    return requests.post(f"{endpoint.url}/invocations", headers=headers, **request)


def sql_scores(endpoint, version, rows):
    values = ", ".join(f"({i}, {x}, '{c}')" for i, (x, c) in enumerate(rows))
    endpoint.cursor.execute(
        f"SELECT MODEL({endpoint.model}, {version})!PREDICT(X, C) AS P "
        f"FROM (VALUES {values}) AS V(I, X, C) ORDER BY I"
    )
    return [row["P"] for row in endpoint.cursor.fetchall()]


ROWS = [(1, "a"), (50, "b"), (96, "a")]


def test_every_shape_scores_alike(endpoint):
    expected = sql_scores(endpoint, "V1", ROWS)
    records = [{"X": x, "C": c} for x, c in ROWS]
    split = {"columns": ["X", "C"], "data": [list(row) for row in ROWS]}
    csv = "X,C\n" + "".join(f"{x},{c}\n" for x, c in ROWS)
    for request in (
        {"json": {"records": records}},
        {"json": {"dataframe_records": records}},
        {"json": {"dataframe_split": split}},
        {"json": split},
        {"json": records},
        {"data": csv, "headers": {"Content-Type": "text/csv"}},
    ):
        response = call(endpoint, **request)
        assert response.status_code == 200, response.text
        body = response.json()
        assert body["predictions"] == pytest.approx(expected, abs=0)
        assert body["version"] == "V1"
        assert response.headers["x-frazil-model-version"] == "V1"
        assert endpoint.model in body["model"]


def test_ping(endpoint):
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    assert requests.get(f"{endpoint.url}/ping", headers=headers).status_code == 200
    missing = f"{endpoint.url}_NOT_THERE/ping"
    assert requests.get(missing, headers=headers).status_code == 404


def test_rights(endpoint):
    body = {"records": [{"X": 1, "C": "a"}]}
    url = f"{endpoint.url}/invocations"
    assert requests.post(url, json=body).status_code == 401
    assert call(endpoint, secret="nonsense", json=body).status_code == 401
    assert call(endpoint, secret=endpoint.other_secret, json=body).status_code in (403, 404)


def test_refusals_name_what_is_wrong(endpoint):
    response = call(endpoint, json={"records": [{"X": 1}]})
    assert response.status_code == 400
    assert "C" in response.json()["message"]
    response = call(endpoint, json={"records": [{"X": 1, "C": "a"}, {"X": "abc", "C": "a"}]})
    assert response.status_code == 400
    assert "X" in response.json()["message"] and "ow 2" in response.json()["message"]
    response = call(endpoint, data="<x/>", headers={"Content-Type": "application/xml"})
    assert response.status_code == 415
    response = call(endpoint, data="{", headers={"Content-Type": "application/json"})
    assert response.status_code == 400


def test_missing_values_score_as_in_sql(endpoint):
    response = call(endpoint, json={"records": [{"X": None, "C": "a"}, {"X": 3, "C": None}]})
    assert response.status_code == 200, response.text
    endpoint.cursor.execute(
        f"SELECT MODEL({endpoint.model}, V1)!PREDICT(NULL::INT, 'a') AS A, "
        f"MODEL({endpoint.model}, V1)!PREDICT(3, NULL::VARCHAR) AS B"
    )
    row = endpoint.cursor.fetchone()
    assert response.json()["predictions"] == pytest.approx([row["A"], row["B"]], abs=0)


def test_a_version_switch_under_load_fails_nothing(endpoint):
    expected = {version: sql_scores(endpoint, version, ROWS) for version in ("V1", "V2")}
    assert expected["V1"] != expected["V2"]
    records = {"records": [{"X": x, "C": c} for x, c in ROWS]}
    stop, failures, seen = threading.Event(), [], []

    def work():
        http = requests.Session()
        while not stop.is_set():
            response = http.post(
                f"{endpoint.url}/invocations",
                json=records,
                headers={"Authorization": f"Bearer {endpoint.secret}"},
            )
            body = response.json()
            if response.status_code != 200 or body["predictions"] != expected[body["version"]]:
                failures.append(body)
            seen.append(body.get("version"))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for version in ("V2", "V1", "V2"):
        count = len(seen)
        while len(seen) < count + 20:
            time.sleep(0.01)
        endpoint.cursor.execute(f"ALTER ENDPOINT {endpoint.name} SET VERSION {version}")
    count = len(seen)
    while len(seen) < count + 20:
        time.sleep(0.01)
    stop.set()
    for worker in workers:
        worker.join()
    assert not failures, failures[:3]
    assert {"V1", "V2"} <= set(seen)
    assert call(endpoint, json=records).json()["version"] == "V2"
    endpoint.cursor.execute(f"ALTER ENDPOINT {endpoint.name} SET VERSION V1")
