"""Scoring over HTTP: shapes of requests, rights, and version switches under load."""

import json
import threading
import time
import uuid

import pytest
import requests
from snowflake.connector import DictCursor
from snowflake.connector.errors import ProgrammingError


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
    endpoint.role, endpoint.token = role, token
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


def test_what_is_taken_away_is_refused_at_once(endpoint):
    body = {"json": {"records": [{"X": 1, "C": "a"}]}}
    assert call(endpoint, **body).status_code == 200
    for taken, given, status in [
        (f"REVOKE USAGE ON ENDPOINT {endpoint.name} FROM ROLE {endpoint.role}",
         f"GRANT USAGE ON ENDPOINT {endpoint.name} TO ROLE {endpoint.role}", (403, 404)),
        (f"REVOKE ROLE {endpoint.role} FROM USER ADMIN",
         f"GRANT ROLE {endpoint.role} TO USER ADMIN", (401,)),
    ]:
        endpoint.cursor.execute(taken)
        refused = call(endpoint, **body)
        assert refused.status_code in status, (taken, refused.text)
        assert "predictions" not in refused.json()
        ping = requests.get(
            f"{endpoint.url}/ping", headers={"Authorization": f"Bearer {endpoint.secret}"}
        )
        assert ping.status_code in status, taken
        endpoint.cursor.execute(given)
        assert call(endpoint, **body).status_code == 200, given


def test_removed_tokens_and_disabled_users_are_refused(server, endpoint, name):
    body = {"json": {"records": [{"X": 1, "C": "a"}]}}
    cursor, user = endpoint.cursor, f"U_{name}"
    cursor.execute(f"CREATE USER {user} PASSWORD = 'Calls-Endpoints-1' DEFAULT_ROLE = {endpoint.role}")
    cursor.execute(f"GRANT ROLE {endpoint.role} TO USER {user}")

    def token(label, role):
        cursor.execute(f"ALTER USER {user} ADD PROGRAMMATIC ACCESS TOKEN {label} {role}")
        row = {key.lower(): value for key, value in cursor.fetchone().items()}
        return row["token_secret"]

    # Without a restriction the user's default role counts.
    first = token("FIRST", f"ROLE_RESTRICTION = '{endpoint.role}'")
    second = token("SECOND", "")
    for secret in first, second:
        assert call(endpoint, secret=secret, **body).status_code == 200
    cursor.execute(f"ALTER USER {user} REMOVE PROGRAMMATIC ACCESS TOKEN FIRST")
    assert call(endpoint, secret=first, **body).status_code == 401
    assert call(endpoint, secret=second, **body).status_code == 200
    cursor.execute(f"ALTER USER {user} SET DISABLED = TRUE")
    assert call(endpoint, secret=second, **body).status_code == 401
    cursor.execute(f"ALTER USER {user} SET DISABLED = FALSE")
    assert call(endpoint, secret=second, **body).status_code == 200
    cursor.execute(f"DROP USER {user}")
    assert call(endpoint, secret=second, **body).status_code == 401


def test_a_caller_needs_no_right_on_the_model(server, endpoint):
    """The role has USAGE on the endpoint alone: SQL on the model stays closed to it."""
    with server.connect(role=endpoint.role) as connection:
        with pytest.raises(ProgrammingError):
            connection.cursor().execute(
                f"SELECT CLIENTS.TESTS.{endpoint.model}!PREDICT(1, 'a')"
            )


def test_classes_keep_their_types(server, endpoint, name):
    """A boolean target answers JSON booleans, a number JSON numbers, as in SQL."""
    cursor = endpoint.cursor
    for target, expected in [
        ("X >= 50", [False, True]),
        ("IFF(X >= 50, 20, 10)::NUMBER(3)", [10, 20]),
        ("IFF(X >= 50, 'high', 'low')", ["low", "high"]),
    ]:
        cursor.execute(f"DROP ENDPOINT IF EXISTS E_{name}")
        cursor.execute(
            f"CREATE OR REPLACE MODEL M_{name} USING GBT TARGET T OPTIONS (task => 'binary', "
            f"n_estimators => 5) AS SELECT X, {target} AS T "
            f"FROM {endpoint.model.replace('M_', 'D_')}"
        )
        cursor.execute(f"CREATE ENDPOINT E_{name} FROM MODEL M_{name}")
        cursor.execute(f"GRANT USAGE ON ENDPOINT E_{name} TO ROLE {endpoint.role}")
        response = requests.post(
            f"{server.url}/endpoints/e_{name.lower()}/invocations",
            json={"records": [{"x": 3}, {"x": 90}]},
            headers={"Authorization": f"Bearer {endpoint.secret}"},
        )
        assert response.status_code == 200, response.text
        assert response.json()["predictions"] == expected
        cursor.execute(
            f"SELECT M_{name}!PREDICT(X) AS P, M_{name}!PREDICT_PROBA(X) AS PROBABILITIES "
            "FROM VALUES (3), (90) AS V(X) ORDER BY X"
        )
        scored = cursor.fetchall()
        assert [row["P"] for row in scored] == expected
        response = requests.post(
            f"{server.url}/endpoints/e_{name.lower()}/invocations?method=predict_proba",
            json={"records": [{"x": 3}, {"x": 90}]},
            headers={"Authorization": f"Bearer {endpoint.secret}"},
        )
        assert response.status_code == 200, response.text
        probabilities = [json.loads(row["PROBABILITIES"]) for row in scored]
        assert response.json()["predictions"] == probabilities
        assert [sum(row.values()) for row in probabilities] == pytest.approx([1, 1])
    cursor.execute(f"DROP ENDPOINT E_{name}")


@pytest.mark.parametrize(
    "request_, status, words",
    [
        ({"data": b""}, 400, "not JSON"),
        ({"data": b"[]"}, 400, "no rows"),
        ({"data": b'"text"'}, 400, "records"),
        ({"data": b'{"records": 3}'}, 400, "records"),
        ({"data": b'{"records": [3]}'}, 400, "records"),
        ({"data": b'{"columns": ["X"], "data": [[1]]}'}, 400, "'C' is missing"),
        ({"data": b'{"columns": ["X", "C"], "data": [[1, "a"], [1]]}'}, 400, "row 2 has 1 values"),
        ({"data": b'{"records": [{"X": {"a": 1}, "C": "a"}]}'}, 400, "row 1, column 'X'"),
        ({"data": b'{"records": [{"X": 1, "x": 2, "C": "a"}]}'}, 200, None),
        ({"data": b"X,C\n1,a\n2\n", "headers": {"Content-Type": "text/csv"}}, 400, "row 2 has 1"),
        ({"data": b"X,C\n", "headers": {"Content-Type": "text/csv"}}, 400, "no rows"),
        ({"data": b"X\n1\n", "headers": {"Content-Type": "text/csv"}}, 400, "'C' is missing"),
        ({"data": b"X,C\none,a\n", "headers": {"Content-Type": "text/csv"}}, 400, "not a number"),
        ({"data": b"X,C\n1,\xff\n", "headers": {"Content-Type": "text/csv"}}, 400, "UTF-8"),
        ({"data": b"\x93NUMPY", "headers": {"Content-Type": "application/x-npy"}}, 415, "text/csv"),
    ],
)
def test_bad_input_is_told(endpoint, request_, status, words):
    headers = request_.get("headers", {"Content-Type": "application/json"})
    response = call(endpoint, data=request_["data"], headers=dict(headers))
    assert response.status_code == status, response.text
    if words:
        assert words in response.json()["message"], response.text


@pytest.mark.parametrize(
    "query, words",
    [
        ("method=predict_proba", "PREDICT_PROBA"),
        ("method=explain", "EXPLAIN"),
        ("methods=predict", "methods"),
    ],
)
def test_a_method_that_is_not_there_is_told(endpoint, query, words):
    # The endpoint's model is a regression: it has no probabilities.
    response = requests.post(
        f"{endpoint.url}/invocations?{query}",
        json={"records": [{"X": 1, "C": "a"}]},
        headers={"Authorization": f"Bearer {endpoint.secret}"},
    )
    assert response.status_code == 400, response.text
    assert words in response.text


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
