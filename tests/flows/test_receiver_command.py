"""`sync-assets receiver` as an operator meets it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from resources.store.postgres import Databases
from sync_assets.ops import host
from sync_assets.ops.cli import app
from tests.receiving import SECRET, US, inbox_of, signed

BODY = b'{"id":7}'


def configured(folder: Path, secret: str = SECRET) -> Path:
    path = folder / "sync.toml"
    path.write_text(
        f'[webhooks.us]\nscheme = "woocommerce"\nsecrets = ["{secret}"]\nevents_per_second = 1000\n'
    )
    return path


@pytest.fixture
def place(database: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNC_DATABASE_URL", database.text(database.store))
    monkeypatch.setenv("SYNC_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_when_nothing_is_configured_and_when_the_port_is_taken(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = CliRunner().invoke(app, ["receiver", "--port", str(port)])
    assert told.exit_code == 2
    assert "No sender is configured, so nothing will be taken." in told.stderr
    assert f"Cannot listen on 127.0.0.1:{port} (Address already in use)." in told.stderr


def test_a_key_that_cannot_be_one_is_one_clear_sentence(place: Path) -> None:
    path = configured(place, "not hexadecimal")
    path.write_text(path.read_text().replace("woocommerce", "adyen"))
    told = CliRunner().invoke(app, ["receiver", "--port", str(host.free_port())])
    assert told.exit_code == 2
    assert "webhooks.us.secrets: Adyen's HMAC key is hexadecimal" in told.stderr
    assert "not hexadecimal" not in told.stderr


def test_two_workers_take_deliveries_and_tell_one_sum(place: Path, database: Databases) -> None:
    configured(place)
    port = host.free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "sync_assets.ops.cli", "receiver"]
    command += ["--port", str(port), "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("Receiving at"):
                break
        assert said[0] == f"{url}{US}"
        headers = signed(BODY) | {"content-type": "application/json"}
        for _ in range(12):  # a connection each, so that both workers get some
            assert httpx.post(url + US, content=BODY, headers=headers).status_code == 200
        text = httpx.get(f"{url}/metrics").text
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    label = 'outcome="kept",source="woocommerce",store="us"'
    assert f"sync_webhooks_received_total{{{label}}} 12.0" in text
    assert "sync_webhooks_batch_rows_sum 12.0" in text
    assert [row["resource_id"] for row in inbox_of(database)] == ["7"] * 12
