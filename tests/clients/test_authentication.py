"""Proving who one is: passwords and their lock, key pairs, access tokens, and the record of it."""

import hashlib
import base64
import json
import time
import uuid

import pytest
import requests
from conftest import PASSWORD, Wire
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from snowflake.connector import errors

USER_PASSWORD = "correct-horse-7"


@pytest.fixture
def admin(connect):
    with connect().cursor() as cursor:
        yield cursor


@pytest.fixture
def user(admin, name):
    admin.execute(f"CREATE USER {name} PASSWORD = '{USER_PASSWORD}'")
    yield name
    admin.execute(f"DROP USER {name}")


def attempt(server, user, password=None, **more):
    """A login by hand: the reply."""
    data = {"LOGIN_NAME": user, "PASSWORD": password, "CLIENT_APP_ID": "Test", **more}
    body = {"data": {key: value for key, value in data.items() if value is not None}}
    response = requests.post(server.url + "/session/v1/login-request", json=body)
    assert response.status_code == 200
    return response.json()


def dicts(cursor, text):
    cursor.execute(text)
    columns = [column.name for column in cursor.description]
    return [dict(zip(columns, row)) for row in cursor.fetchall()]


def test_five_wrong_passwords_lock_the_user(server, admin, user):
    for _ in range(4):
        assert attempt(server, user, "wrong")["code"] == "390100"
    # A right one begins the count anew.
    assert attempt(server, user, USER_PASSWORD)["success"]
    for _ in range(5):
        assert attempt(server, user, "wrong")["code"] == "390100"
    # Locked: the right password does not help, however the name is written.
    assert attempt(server, user.lower(), USER_PASSWORD)["code"] == "390102"
    (row,) = dicts(admin, f"SHOW USERS LIKE '{user}'")
    assert row["locked_until_time"] is not None
    assert 1 <= int(row["mins_to_unlock"]) <= 16
    # Other users are not touched.
    assert attempt(server, "admin", PASSWORD)["success"]
    admin.execute(f"ALTER USER {user} SET MINS_TO_UNLOCK = 0")
    assert attempt(server, user, USER_PASSWORD)["success"]


def test_unknown_names_are_locked_alike(server, name):
    codes = [attempt(server, name, "wrong")["code"] for _ in range(6)]
    assert codes == ["390100"] * 5 + ["390102"]


def test_a_password_that_must_be_changed_opens_no_session(server, admin, user):
    admin.execute(f"ALTER USER {user} SET MUST_CHANGE_PASSWORD = TRUE")
    assert attempt(server, user, "wrong")["code"] == "390100"
    with pytest.raises(errors.DatabaseError) as caught:
        server.connect(user=user, password=USER_PASSWORD)
    assert caught.value.errno == 390106
    admin.execute(f"ALTER USER {user} SET PASSWORD = 'another-1'")
    server.connect(user=user, password="another-1").close()


def test_logins_with_long_names_are_not_written_down(server, admin):
    name = "n" * 256
    assert attempt(server, name, "wrong")["code"] == "390100"
    assert attempt(server, name, "frzl_wrong")["code"] == "390100"
    rows = dicts(admin, "SELECT MAX(LENGTH(user_name)) AS n FROM TABLE(information_schema.login_history())")
    assert rows[0]["N"] <= 255


def test_a_lock_ends_with_time(server, user):
    if not server.data_dir:
        pytest.skip("the catalog is out of reach")
    for _ in range(5):
        attempt(server, user, "wrong")
    assert attempt(server, user, USER_PASSWORD)["code"] == "390102"
    server.catalog(
        "UPDATE frazil_login_failure SET locked_until = 1 WHERE login_name = ?", user
    )
    assert attempt(server, user, "wrong")["code"] == "390100"
    assert attempt(server, user, USER_PASSWORD)["success"]


def key_pair():
    """A private key in DER form, and its public half as ALTER USER takes it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, base64.b64encode(public).decode(), public


def test_key_pairs_open_sessions_and_rotate(server, admin, user):
    first, first_public, der = key_pair()
    second, second_public, _ = key_pair()

    def connect(key):
        return server.connect(
            user=user, password=None, authenticator="SNOWFLAKE_JWT", private_key=key
        )

    with pytest.raises(errors.DatabaseError) as caught:
        connect(first)
    assert caught.value.errno == 390144
    admin.execute(f"ALTER USER {user} SET RSA_PUBLIC_KEY = '{first_public}'")
    with connect(first) as connection:
        assert connection.cursor().execute("SELECT CURRENT_USER()").fetchone() == (user,)
    described = {row["property"]: row["value"] for row in dicts(admin, f"DESC USER {user}")}
    digest = base64.b64encode(hashlib.sha256(der).digest()).decode()
    assert described["RSA_PUBLIC_KEY_FP"] == f"SHA256:{digest}"
    admin.execute(f"ALTER USER {user} SET RSA_PUBLIC_KEY_2 = '{second_public}'")
    connect(first).close()
    connect(second).close()
    admin.execute(f"ALTER USER {user} UNSET RSA_PUBLIC_KEY")
    connect(second).close()
    with pytest.raises(errors.DatabaseError):
        connect(first)
    (row,) = dicts(admin, f"SHOW USERS LIKE '{user}'")
    assert row["has_rsa_public_key"] == "true"


def test_a_session_ends_with_its_key(server, admin, user):
    private, public, _ = key_pair()
    admin.execute(f"ALTER USER {user} SET RSA_PUBLIC_KEY = '{public}'")
    with server.connect(
        user=user, password=None, authenticator="SNOWFLAKE_JWT", private_key=private
    ) as connection:
        cursor = connection.cursor()
        assert cursor.execute("SELECT CURRENT_USER()").fetchone() == (user,)
        admin.execute(f"ALTER USER {user} UNSET RSA_PUBLIC_KEY")
        with pytest.raises(errors.DatabaseError) as caught:
            cursor.execute("SELECT 1")
        assert caught.value.errno in (390104, 390111)


def test_the_secret_of_a_token_is_shown_to_its_session_alone(wire, server, name):
    other = Wire(server)
    add = f"ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN {name}_"

    def result(asking, reply):
        return asking.get(f"/queries/{reply['data']['queryId']}/result")

    request_id = str(uuid.uuid4())
    reply = wire.query(add + "A", request_id=request_id)
    assert reply["success"] and reply["data"]["total"] == 1
    refused = result(other, reply)
    assert not refused["success"] and "token" not in str(refused["data"])
    # The answer was lost: the request comes again.
    again = wire.query(add + "A", request_id=request_id, retry=1)
    assert again["success"] and again["data"]["queryId"] == reply["data"]["queryId"]
    # What nobody waited for is asked for by its session.
    reply = wire.query(add + "B", asyncExec=True)
    assert reply["code"] == "333334"
    while (mine := result(wire, reply)).get("code") in ("333333", "333334"):
        pass
    assert mine["success"] and mine["data"]["total"] == 1
    assert not result(other, reply)["success"]
    for asking in (wire, other):
        scan = f"SELECT * FROM TABLE(RESULT_SCAN('{reply['data']['queryId']}'))"
        assert not asking.query(scan)["success"]
    for token in "AB":
        wire.query(f"ALTER USER admin REMOVE PROGRAMMATIC ACCESS TOKEN {name}_{token}")


def test_a_lost_secret_is_not_made_again(own_server):
    server = own_server()
    wire = Wire(server)
    add = "ALTER USER admin ADD PROGRAMMATIC ACCESS TOKEN LOST"
    request_id = str(uuid.uuid4())
    assert wire.query(add, request_id=request_id)["success"]
    server.kill()
    wire = Wire(own_server(), token=wire.token, master_token=wire.master_token)
    again = wire.query(add, request_id=request_id, retry=1)
    assert not again["success"]
    assert "secret in it is not kept" in again["message"] and "Rotate" in again["message"]
    # The token is there, once; a request of its own finds it so.
    assert "already exists" in wire.query(add)["message"]
    assert wire.query("ALTER USER admin ROTATE PROGRAMMATIC ACCESS TOKEN LOST")["success"]


def test_a_key_that_is_none_is_refused(admin, user):
    with pytest.raises(errors.ProgrammingError) as caught:
        admin.execute(f"ALTER USER {user} SET RSA_PUBLIC_KEY = 'bm90IGEga2V5'")
    assert "Invalid public key" in str(caught.value)


def test_access_tokens_hold_to_their_role_and_end(server, admin, user, name):
    role = f"R_{name}"
    admin.execute(f"CREATE ROLE {role}")
    admin.execute(f"GRANT ROLE {role} TO USER {user}")
    (row,) = dicts(
        admin,
        f"ALTER USER {user} ADD PROGRAMMATIC ACCESS TOKEN T "
        f"ROLE_RESTRICTION = '{role}' DAYS_TO_EXPIRY = 1",
    )
    secret = row["token_secret"]

    def connect():
        return server.connect(
            user=user, password=None, token=secret, authenticator="PROGRAMMATIC_ACCESS_TOKEN"
        )

    with connect() as connection:
        cursor = connection.cursor()
        assert cursor.execute("SELECT CURRENT_ROLE()").fetchone() == (role,)
        with pytest.raises(errors.ProgrammingError):
            cursor.execute("USE ROLE PUBLIC")
    if server.data_dir:
        with connect() as connection:
            server.catalog("UPDATE frazil_access_token SET expires_on = 1 WHERE name = 'T'")
            with pytest.raises(errors.ProgrammingError) as caught:
                connection.cursor().execute("SELECT 1")
            assert caught.value.errno == 390111
        with pytest.raises(errors.DatabaseError) as caught:
            connect()
        assert caught.value.errno == 390100
    admin.execute(f"DROP ROLE {role}")


def test_disabling_a_user_ends_its_sessions(server, admin, user):
    token = attempt(server, user, USER_PASSWORD)["data"]["token"]
    wire = Wire(server, token=token)
    assert wire.query("SELECT 1")["success"]
    admin.execute(f"ALTER USER {user} SET DISABLED = TRUE")
    assert wire.query("SELECT 1")["code"] in ("390104", "390111")
    assert attempt(server, user, USER_PASSWORD)["code"] == "390101"
    # Whoever does not know the password does not learn that the user is disabled.
    assert attempt(server, user, "wrong")["code"] == "390100"


def test_logins_are_recorded(server, admin, user):
    attempt(server, user, "wrong")
    attempt(server, user, USER_PASSWORD, CLIENT_APP_VERSION="1.2.3")
    attempt(server, user, AUTHENTICATOR="SNOWFLAKE_JWT", TOKEN="a.b.c")
    rows = dicts(
        admin,
        "SELECT * FROM TABLE(INFORMATION_SCHEMA.LOGIN_HISTORY_BY_USER("
        f"USER_NAME => '{user}')) ORDER BY EVENT_TIMESTAMP",
    )
    found = [
        (row["IS_SUCCESS"], row["FIRST_AUTHENTICATION_FACTOR"], row["ERROR_CODE"]) for row in rows
    ]
    assert found == [
        ("NO", "PASSWORD", 390100),
        ("YES", "PASSWORD", None),
        ("NO", "RSA_KEYPAIR", 394306),
    ]
    assert {row["CLIENT_IP"] for row in rows} == {"127.0.0.1"}
    assert rows[1]["REPORTED_CLIENT_TYPE"] == "Test"
    assert rows[1]["REPORTED_CLIENT_VERSION"] == "1.2.3"


def test_the_log_tells_of_logins_without_their_secrets(own_server, tmp_path):
    path = tmp_path / "log"
    with path.open("w") as log:
        server = own_server("--log-format", "json", log=log, FRAZIL_LOG="debug")
        with server.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE USER U PASSWORD = 'secret-of-u-7'")
            cursor.execute("ALTER USER U ADD PROGRAMMATIC ACCESS TOKEN T")
            token = cursor.fetchone()[1]
        attempt(server, "U", "secret-that-is-wrong")
        attempt(server, "U", token)
        session = attempt(server, "U", "secret-of-u-7")["data"]
        Wire(server, token=session["token"]).query("SELECT 'seen-in-no-log'")
        server.stop()
    text = path.read_text()
    events = [json.loads(line) for line in text.splitlines()]
    logins = [event for event in events if event.get("message") == "login"]
    assert {"ADMIN", "U"} <= {event["user"] for event in logins}
    assert any(event.get("message") == "login refused" for event in events)
    for secret in (
        PASSWORD,
        "secret-of-u-7",
        "secret-that-is-wrong",
        token,
        session["token"],
        session["masterToken"],
        "seen-in-no-log",
    ):
        assert secret not in text


def test_health_and_metrics(server, connect):
    reply = requests.get(server.url + "/healthz")
    assert (reply.status_code, reply.json()["status"]) == (200, "ok")

    def numbers():
        text = requests.get(server.url + "/metrics").text
        assert text.endswith("# EOF\n")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}

    before = numbers()
    cursor = connect().cursor()
    cursor.execute("SELECT 1")
    with pytest.raises(errors.ProgrammingError):
        cursor.execute("SELECT NO_SUCH_COLUMN")
    attempt(server, "nobody", "wrong")
    deadline = time.monotonic() + 10
    while True:
        after = numbers()
        change = {name: after[name] - before.get(name, 0) for name in after}
        if change['frazil_statements_total{outcome="failed"}'] >= 1:
            break
        assert time.monotonic() < deadline
    assert change['frazil_statements_total{outcome="success"}'] >= 1
    assert change['frazil_logins_total{outcome="success"}'] >= 1
    assert change['frazil_logins_total{outcome="refused"}'] >= 1
    assert change["frazil_statement_seconds_count"] >= 2
    assert after["frazil_memory_limit_bytes"] > 0
    assert after["frazil_sessions"] >= 1
