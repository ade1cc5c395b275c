"""HTTPS with a generated certificate and with one's own."""

import os
import subprocess
import sys

import pytest
import requests
from conftest import CONNECTOR_MAJOR, PASSWORD, binary


def login(server, **more):
    body = {"data": {"LOGIN_NAME": "admin", "PASSWORD": PASSWORD}}
    return requests.post(server.url + "/session/v1/login-request", json=body, **more).json()


def test_a_generated_certificate_is_kept_and_trusted(own_server, tmp_path):
    server = own_server("--tls-generate")
    folder = tmp_path / "data" / "tls"
    assert server.url.startswith("https://127.0.0.1:")
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    authority = str(folder / "ca.pem")
    with pytest.raises(requests.exceptions.SSLError):
        login(server)
    reply = login(server, verify=authority)
    assert reply["success"]
    # Chunks and files are fetched over the same scheme.
    headers = {"Authorization": f'Snowflake Token="{reply["data"]["token"]}"'}
    text = "SELECT SEQ4(), REPEAT('x', 40) FROM TABLE(GENERATOR(ROWCOUNT => 200000))"
    data = requests.post(
        server.url + "/queries/v1/query-request?requestId=1",
        json={"sqlText": text},
        headers=headers,
        verify=authority,
    ).json()["data"]
    url = data["chunks"][0]["url"]
    assert url.startswith(server.url)
    assert requests.get(url, verify=authority).status_code == 200
    # A client that does not speak TLS gets no answer, and disturbs nobody.
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(server.url.replace("https:", "http:"), timeout=5)
    made = (folder / "certificate.pem").read_bytes()
    server.stop()
    again = own_server("--tls-generate")
    assert (folder / "certificate.pem").read_bytes() == made
    own_server_files = ("--tls-cert", str(folder / "certificate.pem"))
    assert login(again, verify=authority)["success"]
    again.stop()
    own = own_server(*own_server_files, "--tls-key", str(folder / "key.pem"))
    assert login(own, verify=authority)["success"]


@pytest.mark.skipif(CONNECTOR_MAJOR >= 5, reason="connector 5 has its own trust store")
def test_the_connector_over_https(own_server, tmp_path):
    server = own_server("--tls-generate")
    program = (
        "import snowflake.connector\n"
        f"connection = snowflake.connector.connect(user='admin', password='{PASSWORD}',\n"
        f"    account='any', host='{server.host}', port={server.port}, protocol='https',\n"
        "    disable_ocsp_checks=True)\n"
        "text = 'SELECT SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 300000))'\n"
        "print(len(connection.cursor().execute(text).fetchall()))\n"
    )
    environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(tmp_path / "data" / "tls" / "ca.pem")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "300000", done.stderr


def test_the_command_line_trusts_an_authority(own_server, tmp_path):
    server = own_server("--tls-generate")
    environment = {**os.environ, "FRAZIL_PASSWORD": PASSWORD}
    command = [binary(), "sql", "--connect", server.url, "-c", "SELECT 6 * 7", "--format", "csv"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    authority = str(tmp_path / "data" / "tls" / "ca.pem")
    done = subprocess.run(
        [*command, "--tls-ca", authority],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "42" in done.stdout


def test_beyond_loopback_needs_encryption_or_a_flag(tmp_path):
    command = [binary(), "serve", "--data-dir", str(tmp_path / "d"), "--listen", "0.0.0.0:0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0
    assert "--tls-generate" in refused.stderr
