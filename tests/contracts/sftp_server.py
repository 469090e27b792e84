"""A real SFTP server on this machine for tests: paramiko's server side over a folder."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

HOST = "127.0.0.1"
ECHO = paramiko.SFTP_OK


@dataclass
class Rules:
    """Who may come in, and what goes wrong."""

    user: str = "sync"
    password: str | None = "secret"
    public_key: paramiko.PKey | None = None
    #: Names whose opening is not permitted.
    forbidden: set[str] = field(default_factory=set)
    #: The connection breaks once so many bytes of a file were written.
    cut_after_bytes: int | None = None
    #: The connection breaks when a rename is asked for, before or after it is done.
    cut_rename: str = ""
    #: Whether a rename may replace a file, by OpenSSH's extension.
    replaces: bool = True
    #: Bytes of every file that are kept, where a disk is full.
    keeps_bytes: int | None = None
    connections: int = 0


class Guard(paramiko.ServerInterface):
    """Signs people in, by password or key."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def get_allowed_auths(self, username: str) -> str:
        return "publickey" if self.rules.public_key else "password"

    def check_auth_password(self, username: str, password: str) -> int:
        is_known = (username, password) == (self.rules.user, self.rules.password)
        return paramiko.AUTH_SUCCESSFUL if is_known else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        is_known = username == self.rules.user and key == self.rules.public_key
        return paramiko.AUTH_SUCCESSFUL if is_known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class Handle(paramiko.SFTPHandle):
    """An open file."""

    def __init__(self, door: "Door", file: Any, flags: int) -> None:
        super().__init__(flags)
        self.door, self.readfile, self.writefile, self.written = door, file, file, 0

    def write(self, offset: int, data: bytes) -> int:
        rules = self.door.rules
        self.written += len(data)
        if rules.cut_after_bytes is not None and self.written > rules.cut_after_bytes:
            self.door.transport.close()
            return paramiko.SFTP_FAILURE
        if rules.keeps_bytes is not None:
            data = data[: max(0, rules.keeps_bytes - offset)]
        return super().write(offset, data)


class Door(paramiko.SFTPServerInterface):
    """Files below a folder, in the terms of the protocol."""

    def __init__(self, server: Any, root: Path, rules: Rules, transport: Any) -> None:
        super().__init__(server)
        self.root, self.rules, self.transport = root, rules, transport

    def _at(self, path: str) -> Path:
        return self.root / path.strip("/")

    def list_folder(self, path: str) -> Any:
        return _try(lambda: [_attributes(one, one.name) for one in self._at(path).iterdir()])

    def stat(self, path: str) -> Any:
        return _try(lambda: _attributes(self._at(path)))

    def open(self, path: str, flags: int, attr: Any) -> Any:
        if Path(path).name in self.rules.forbidden:
            return paramiko.SFTP_PERMISSION_DENIED
        mode = "wb" if flags & os.O_WRONLY else "rb"
        return _try(lambda: Handle(self, self._at(path).open(mode), flags))

    def mkdir(self, path: str, attr: Any) -> Any:
        return _try(lambda: self._at(path).mkdir() or ECHO)

    def remove(self, path: str) -> Any:
        return _try(lambda: self._at(path).unlink() or ECHO)

    def rename(self, oldpath: str, newpath: str) -> Any:
        if self._at(newpath).exists():
            return paramiko.SFTP_FAILURE
        return self._moved(oldpath, newpath)

    def posix_rename(self, oldpath: str, newpath: str) -> Any:
        if not self.rules.replaces:
            return paramiko.SFTP_OP_UNSUPPORTED
        return self._moved(oldpath, newpath)

    def _moved(self, old: str, new: str) -> Any:
        if self.rules.cut_rename == "before":
            self.transport.close()
            return paramiko.SFTP_FAILURE
        done = _try(lambda: self._at(old).replace(self._at(new)) and ECHO)
        if self.rules.cut_rename == "after":
            self.transport.close()
        return done


def _try(act: Any) -> Any:
    try:
        return act()
    except OSError as fault:
        return paramiko.SFTPServer.convert_errno(fault.errno or 0)


def _attributes(path: Path, name: str | None = None) -> paramiko.SFTPAttributes:
    return paramiko.SFTPAttributes.from_stat(path.stat(), name)


@contextmanager
def serving(root: Path, host_key: paramiko.PKey, rules: Rules) -> Iterator[int]:
    """Serve a folder on a free port of the loopback; yields the port."""
    transports: list[paramiko.Transport] = []
    with socket.create_server((HOST, 0)) as door:
        thread = threading.Thread(
            target=_accept, args=(door, root, host_key, rules, transports), daemon=True
        )
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            door.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()
                transport.join(5)


def _accept(
    door: socket.socket,
    root: Path,
    host_key: paramiko.PKey,
    rules: Rules,
    transports: list[paramiko.Transport],
) -> None:
    while True:
        try:
            connection, _ = door.accept()
        except OSError:
            return
        rules.connections += 1
        transport = paramiko.Transport(connection)
        transports.append(transport)
        transport.add_server_key(host_key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Door, root, rules, transport)
        try:
            transport.start_server(server=Guard(rules))
        except (EOFError, OSError, paramiko.SSHException):  # they hung up when they saw our key
            transport.close()
