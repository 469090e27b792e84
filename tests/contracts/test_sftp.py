"""Folders on an SFTP server, against a real one on this machine."""

import errno
import hashlib
import io
import socket
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from resources.errors import SignInAgain, TryAgain, UnknownOutcome
from resources.systems.sftp import SftpFolder, SftpServer, pinned
from resources.systems.warehouse_files import Kind, Outcome, WarehouseFiles
from tests.contracts.sftp_server import HOST, Rules, serving

OURS = paramiko.ECDSAKey.generate()
THEIRS = paramiko.ECDSAKey.generate()
ROWS = [{"name": "Ada", "line_key": "us:1042:product:1", "sku": "SKU-1", "units": "2"}]
REQUEST = {"key": "us:1042:f1", "version": 1, "rows": ROWS}
SHIPPED = b"shipment_id,reference,sku,units\nS-1,us:1042:f1,SKU-1,2\n"


@pytest.fixture
def rules() -> Rules:
    return Rules()


@pytest.fixture
def port(tmp_path: Path, rules: Rules) -> Iterator[int]:
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
    with serving(tmp_path, THEIRS, rules) as at:
        yield at


def scanned(key: paramiko.PKey = THEIRS, host: str = HOST) -> str:
    """What ssh-keyscan prints of a server."""
    return f"# {host}:22 SSH-2.0-OpenSSH_9.6\n{host} {key.get_name()} {key.get_base64()}\n"


@pytest.fixture
def server(port: int) -> Iterator[SftpServer]:
    one = SftpServer("depot", HOST, "sync", scanned(), port=port, password="secret")
    yield one
    one.close()


@pytest.fixture
def folder(server: SftpServer) -> SftpFolder:
    return server.folder("/out")


def depot(server: SftpServer) -> WarehouseFiles:
    return WarehouseFiles("depot", server.folder("/in"), {Kind.SHIPMENT: server.folder("/out")})


def private(key: paramiko.PKey) -> str:
    text = io.StringIO()
    key.write_private_key(text)
    return text.getvalue()


def refused(port: int, host_key: str | None = None, **how: str) -> SignInAgain:
    """Why a server is not used."""
    one = SftpServer("depot", HOST, "sync", host_key or scanned(), port=port, **how)  # type: ignore[arg-type]
    with pytest.raises(SignInAgain) as caught:
        one.folder("/out").entries()
    one.close()
    return caught.value


# Files


def test_a_file_is_written_listed_read_and_moved(folder: SftpFolder, tmp_path: Path) -> None:
    folder.write("a.csv", b"one")
    folder.write("a.csv", b"two!")

    (entry,) = folder.entries()
    stat = (tmp_path / "out" / "a.csv").stat()
    assert (entry.name, entry.size, entry.modified_ns) == ("a.csv", 4, int(stat.st_mtime) * 10**9)
    assert folder.read("a.csv") == b"two!"
    assert folder.digest("a.csv") == hashlib.sha256(b"two!").hexdigest()

    folder.rename("a.csv", "done/a.csv")
    folder.write("a.csv", b"three")
    folder.rename("a.csv", "done/a.csv")

    assert folder.entries() == []
    assert [(one.name, one.size) for one in folder.entries("done")] == [("a.csv", 5)]
    assert folder.entries("refused") == []


def test_only_regular_files_are_listed(folder: SftpFolder, tmp_path: Path) -> None:
    (tmp_path / "out" / "looks.csv").mkdir()
    assert folder.entries() == []


def test_a_server_that_cannot_replace_a_file_is_helped(folder: SftpFolder, rules: Rules) -> None:
    rules.replaces = False
    folder.write("a.csv", b"one")
    folder.write("a.csv", b"two!")
    assert [(one.name, one.size) for one in folder.entries()] == [("a.csv", 4)]


def test_what_is_not_there_and_what_is_forbidden_are_told_apart(
    folder: SftpFolder, rules: Rules
) -> None:
    folder.write("locked.csv", b"one")
    rules.forbidden = {"locked.csv", "new.csv.part"}

    with pytest.raises(FileNotFoundError):
        folder.read("gone.csv")
    with pytest.raises(FileNotFoundError):
        folder.rename("gone.csv", "done/gone.csv")
    with pytest.raises(PermissionError):
        folder.read("locked.csv")
    with pytest.raises(PermissionError):
        folder.write("new.csv", b"two")
    assert [one.name for one in folder.entries()] == ["locked.csv"]


def test_a_large_file_arrives_whole(folder: SftpFolder) -> None:
    content = bytes(range(256)) * 4096
    folder.write("large.csv", content)
    assert folder.read("large.csv") == content


# Signing in


def test_a_key_signs_in_where_the_server_takes_keys(port: int, rules: Rules) -> None:
    rules.public_key = OURS
    one = SftpServer("depot", HOST, "sync", scanned(), port=port, private_key=private(OURS))
    assert one.folder("/out").entries() == []
    one.close()

    text = f"{HOST}:{port} does not let sync in"
    assert refused(port, private_key=private(THEIRS)).message == text


def test_a_wrong_password_asks_to_sign_in_again(port: int) -> None:
    assert refused(port, password="old").message == f"{HOST}:{port} does not let sync in"


def test_a_private_key_that_is_none_is_told_before_anybody_is_called(
    port: int, rules: Rules
) -> None:
    assert refused(port, private_key="-----BEGIN NONSENSE").code == "private_key"
    assert rules.connections == 0


def test_a_server_with_another_host_key_is_never_signed_in_to(
    port: int, rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "tests.contracts.sftp_server.Guard.check_auth_password",
        lambda _, user, password: asked.append(password) or paramiko.AUTH_SUCCESSFUL,
    )
    no = refused(port, scanned(OURS), password="secret")
    assert no.message == f"{HOST}:{port} does not answer with the host key that is configured"
    assert (no.code, asked) == ("host_key", [])


def test_a_server_may_have_an_rsa_key(tmp_path: Path) -> None:
    rsa = paramiko.RSAKey.generate(2048)
    with serving(tmp_path, rsa, Rules()) as port:
        one = SftpServer("depot", HOST, "sync", scanned(rsa), port=port, password="secret")
        assert one.folder("/").entries() == []
        one.close()


def test_a_host_key_of_another_kind_is_another_host_key(port: int) -> None:
    rsa = paramiko.RSAKey.generate(2048)
    assert refused(port, scanned(rsa), password="secret").code == "host_key"


@pytest.mark.parametrize("told", ["", "# nothing", "host ssh-ed25519", "host ecdsa-x !!", "host"])
def test_a_host_key_that_is_none_is_told_at_once(told: str) -> None:
    with pytest.raises(ValueError, match="depot: host_key"):
        SftpServer("depot", HOST, "sync", told, password="secret")


def test_every_key_that_was_scanned_is_pinned() -> None:
    both = scanned(OURS) + scanned(THEIRS, "[depot.example.com]:2222")
    assert pinned("depot", both) == [OURS, THEIRS]
    assert pinned("depot", f"{OURS.get_name()} {OURS.get_base64()}") == [OURS]


# A server that is away, or goes away


def test_a_server_that_is_not_there_is_asked_later() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    away = SftpServer("depot", HOST, "sync", scanned(), port=port, password="secret")
    with pytest.raises(TryAgain, match=f"depot: cannot reach {HOST}:{port}"):
        depot(away).ping()
    with pytest.raises(TryAgain):
        depot(away).put_fulfilments([REQUEST])
    with pytest.raises(TryAgain):
        list(depot(away).incoming())


def test_a_connection_lost_in_the_middle_of_a_write_leaves_no_request(
    server: SftpServer, rules: Rules, tmp_path: Path
) -> None:
    client = depot(server)
    rules.cut_after_bytes = 40
    with pytest.raises(TryAgain, match=f"the connection to {HOST}"):
        client.put_fulfilments([REQUEST])
    assert [path.suffix for path in (tmp_path / "in").iterdir()] == [".part"]

    rules.cut_after_bytes = None
    assert client.fulfilments(["us:1042:f1"]) == {}
    assert client.put_fulfilments([REQUEST]) == {}

    assert client.fulfilments(["us:1042:f1"])["us:1042:f1"]["version"] == 1
    (path,) = (tmp_path / "in").iterdir()
    assert path.read_bytes().count(b"\r\n") == 2


def test_a_disk_that_is_full_leaves_no_request(
    server: SftpServer, rules: Rules, tmp_path: Path
) -> None:
    rules.keeps_bytes = 40
    with pytest.raises(TryAgain, match="cannot be written: the server kept less than was sent"):
        depot(server).put_fulfilments([REQUEST])
    assert list((tmp_path / "in").glob("*.csv")) == []


@pytest.mark.parametrize(("when", "there"), [("before", []), ("after", ["us:1042:f1"])])
def test_a_rename_whose_answer_is_lost_is_looked_up(
    server: SftpServer, rules: Rules, when: str, there: list[str]
) -> None:
    client = depot(server)
    rules.cut_rename = when
    with pytest.raises(UnknownOutcome):
        client.put_fulfilments([REQUEST])

    rules.cut_rename = ""
    assert list(client.fulfilments(["us:1042:f1"])) == there

    client.put_fulfilments([REQUEST])
    assert list(client.fulfilments(["us:1042:f1"])) == ["us:1042:f1"]
    assert len([one for one in server.folder("/in").entries() if one.name.endswith(".csv")]) == 1


def test_a_lost_connection_is_made_anew_and_one_that_stands_is_kept(
    server: SftpServer, folder: SftpFolder, rules: Rules
) -> None:
    folder.entries()
    folder.entries()
    assert rules.connections == 1

    server.close()
    folder.entries()
    assert rules.connections == 2


# The warehouse's files over it


def test_a_shipment_is_read_and_then_moved_away(server: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "out" / "s.csv").write_bytes(SHIPPED)
    client = depot(server)

    (file,) = client.incoming()
    assert [raw.resource_id for raw in file.rows] == ["S-1"]
    client.acknowledge(file.name, Outcome.DONE, "read")

    kept = f"s.{file.digest[:16]}.csv"
    names = sorted(path.name for path in (tmp_path / "out" / "done").iterdir())
    assert names == [kept, f"{kept}.reason.txt"]
    assert list(client.incoming()) == []
    (kept_one,) = client.shipments_by_id(["S-1"])
    assert kept_one.resource_id == "S-1"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_whose_moving_is_cut_off_is_read_again_or_was_done(
    server: SftpServer, rules: Rules, tmp_path: Path, when: str
) -> None:
    (tmp_path / "out" / "s.csv").write_bytes(SHIPPED)
    client = depot(server)
    (file,) = client.incoming()
    rules.cut_rename = when
    with pytest.raises(TryAgain):
        client.acknowledge(file.name, Outcome.DONE)

    rules.cut_rename = ""
    (again,) = client.incoming()
    assert again.digest == file.digest
    client.acknowledge(again.name, Outcome.DONE)
    assert list(client.incoming()) == []


def test_a_file_that_may_not_be_read_is_left_and_the_others_are_read(
    server: SftpServer, rules: Rules, tmp_path: Path
) -> None:
    (tmp_path / "out" / "locked.csv").write_bytes(SHIPPED + b"\n")
    (tmp_path / "out" / "open.csv").write_bytes(SHIPPED)
    rules.forbidden = {"locked.csv"}
    files = depot(server).incoming()

    assert next(files).name == "shipments/open.csv"
    with pytest.raises(TryAgain, match="1 files cannot be read"):
        next(files)


def test_a_failure_the_server_does_not_explain_is_an_error_of_the_disk(
    folder: SftpFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.contracts.sftp_server.Door.open", lambda *_: paramiko.SFTP_FAILURE)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        folder.read("a.csv")
    assert caught.value.errno == errno.EIO
