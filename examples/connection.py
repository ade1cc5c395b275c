"""Connects to a Frazil server with Snowflake's connector; settings come from the environment."""

import os

import snowflake.connector

HOST = os.environ.get("FRAZIL_HOST", "127.0.0.1")
PORT = int(os.environ.get("FRAZIL_PORT", "8765"))


def url():
    """The server's address, for its endpoints."""
    return f"http://{HOST}:{PORT}"


def connect(database):
    connection = snowflake.connector.connect(
        user=os.environ.get("FRAZIL_USER", "admin"),
        password=os.environ["FRAZIL_PASSWORD"],
        account="frazil",
        host=HOST,
        port=PORT,
        protocol="http",
        session_parameters={"TIMEZONE": "UTC"},
    )
    cursor = connection.cursor()
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
    cursor.execute(f"USE SCHEMA {database}.PUBLIC")
    return connection


def show(cursor, title):
    """Prints a result as an aligned table."""
    names = [column[0] for column in cursor.description]
    rows = [["NULL" if value is None else str(value) for value in row] for row in cursor.fetchall()]
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows)]
    print(f"\n{title}")
    for row in [names, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
