"""An SFTP server whose host key is known beforehand, and folders on it.

Nobody else may answer for the server: its key is pinned, never accepted at first sight. A
connection that breaks is TryAgain where nothing can have happened, and UnknownOutcome where the
last word, a rename, may have been heard.
"""

import base64
import errno
import hashlib
import io
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import paramiko
from paramiko.pkey import UnknownKeyType

from resources.errors import RemoteError, SignInAgain, TryAgain, UnknownOutcome
from resources.systems.folders import PART, Entry

#: Forms of private key that a current server takes.
KEYS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
READ_SECONDS = 60.0
PIECE_BYTES = 1024 * 1024


class SftpServer:
    """One account of one server; connects when it is first used, and again after a loss."""

    def __init__(
        self,
        system: str,
        host: str,
        user: str,
        host_key: str,
        *,
        port: int = 22,
        password: str | None = None,
        private_key: str | None = None,
        connect_seconds: float = 15,
    ) -> None:
        self.system, self.host, self.port, self.user = system, host, port, user
        self.connect_seconds = connect_seconds
        self._password, self._private_key = password, private_key
        self._host_keys = pinned(system, host_key)
        self._ssh: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None

    def folder(self, path: str) -> "SftpFolder":
        """A folder on it; nothing is asked yet."""
        return SftpFolder(self, path)

    def close(self) -> None:
        """Hang up."""
        if self._ssh is not None:
            self._ssh.close()
        self._ssh = self._sftp = None

    @contextmanager
    def calling(self, lost: type[RemoteError] = TryAgain) -> Iterator[paramiko.SFTPClient]:
        """The session; a connection that breaks inside raises `lost`, other faults are OSError."""
        sftp = self._session()
        try:
            yield sftp
        except (EOFError, paramiko.SSHException, TimeoutError, ConnectionError) as fault:
            self.close()
            raise lost(self.system, self._broke(fault)) from fault
        except OSError as fault:
            transport = self._ssh.get_transport() if self._ssh else None
            if transport is None or not transport.is_active():
                self.close()
                raise lost(self.system, self._broke(fault)) from fault
            if fault.errno is None:  # the server's "failure" comes without a number
                raise OSError(errno.EIO, str(fault)) from fault
            raise

    def _broke(self, fault: Exception) -> str:
        return f"the connection to {self.host}:{self.port} broke ({type(fault).__name__})"

    def _session(self) -> paramiko.SFTPClient:
        transport = self._ssh.get_transport() if self._ssh else None
        if self._sftp is not None and transport is not None and transport.is_active():
            return self._sftp
        self.close()
        key = _private(self.system, self._private_key) if self._private_key else None
        ssh = paramiko.SSHClient()
        ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        known = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        for one in self._host_keys:
            ssh.get_host_keys().add(known, one.get_name(), one)
        try:
            self._sftp = self._opened(ssh, key)
        except BaseException:
            ssh.close()
            raise
        self._ssh = ssh
        return self._sftp

    def _opened(self, ssh: paramiko.SSHClient, key: paramiko.PKey | None) -> paramiko.SFTPClient:
        where = f"{self.host}:{self.port}"
        try:
            ssh.connect(
                self.host,
                self.port,
                self.user,
                self._password,
                pkey=key,
                timeout=self.connect_seconds,
                banner_timeout=self.connect_seconds,
                auth_timeout=self.connect_seconds,
                allow_agent=False,
                look_for_keys=False,
            )
            sftp = ssh.open_sftp()
        except paramiko.BadHostKeyException as fault:
            text = f"{where} does not answer with the host key that is configured"
            raise SignInAgain(self.system, text, code="host_key") from fault
        except paramiko.AuthenticationException as fault:
            text = f"{where} does not let {self.user} in"
            raise SignInAgain(self.system, text) from fault
        except (OSError, EOFError, paramiko.SSHException) as fault:
            text = f"cannot reach {where} ({type(fault).__name__})"
            raise TryAgain(self.system, text) from fault
        channel = sftp.get_channel()
        if channel is not None:
            channel.settimeout(READ_SECONDS)
        return sftp


class SftpFolder:
    """A folder on an SFTP server."""

    def __init__(self, server: SftpServer, path: str) -> None:
        self.server, self._path = server, path

    @property
    def path(self) -> str:
        """Where it is on the server."""
        return self._path

    def entries(self, under: str = "") -> list[Entry]:
        """The regular files; a folder below that is not there yet has none."""
        with self.server.calling() as sftp:
            try:
                found = sftp.listdir_attr(self._at(under) if under else self._path)
            except FileNotFoundError:
                if not under:
                    raise
                return []
        return [
            Entry(one.filename, one.st_size or 0, int(one.st_mtime or 0) * 10**9)
            for one in found
            if stat.S_ISREG(one.st_mode or 0) and "/" not in one.filename
        ]

    def read(self, name: str) -> bytes:
        """The whole content."""
        with self.server.calling() as sftp, sftp.open(self._at(name), "rb") as file:
            return file.read()

    def digest(self, name: str) -> str:
        """SHA-256 of the content, in hex."""
        made = hashlib.sha256()
        with self.server.calling() as sftp, sftp.open(self._at(name), "rb") as file:
            while piece := file.read(PIECE_BYTES):
                made.update(piece)
        return made.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        """Put a file there whole or not at all."""
        self._make_parent(name)
        part = self._at(name) + PART
        with self.server.calling() as sftp:
            with sftp.open(part, "wb") as file:
                file.write(content)
            if sftp.stat(part).st_size != len(content):
                raise OSError(errno.EIO, "the server kept less than was sent")
        self._move(part, self._at(name))

    def rename(self, name: str, to: str) -> None:
        """Move a file within the folder, over what may be there."""
        self._make_parent(to)
        self._move(self._at(name), self._at(to))

    def _move(self, old: str, new: str) -> None:
        with self.server.calling(lost=UnknownOutcome) as sftp:
            try:
                sftp.posix_rename(old, new)
                return
            except FileNotFoundError:
                raise
            except OSError as fault:
                if fault.errno is not None:
                    raise
            # A server without that extension: its own rename refuses to replace a file.
            with suppress(FileNotFoundError):
                sftp.remove(new)
            sftp.rename(old, new)

    def _make_parent(self, name: str) -> None:
        parent = posixpath.dirname(name)
        if not parent:
            return
        with self.server.calling() as sftp:
            try:
                sftp.stat(self._at(parent))
            except FileNotFoundError:
                sftp.mkdir(self._at(parent))

    def _at(self, name: str) -> str:
        return posixpath.join(self._path, name)


def pinned(system: str, told: str) -> list[paramiko.PKey]:
    """The keys in what `ssh-keyscan` printed: a host, a kind and base64 a line."""
    found = []
    for line in told.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        kinds = [place for place, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-"))]
        try:
            content = base64.b64decode(words[kinds[0] + 1], validate=True)
            found.append(paramiko.PKey.from_type_string(words[kinds[0]], content))
        except (IndexError, ValueError, paramiko.SSHException, UnknownKeyType) as fault:
            raise ValueError(f"{system}: host_key is not what ssh-keyscan prints") from fault
    if not found:
        raise ValueError(f"{system}: host_key names no key")
    return found


def _private(system: str, text: str) -> paramiko.PKey:
    for kind in KEYS:
        try:
            return kind.from_private_key(io.StringIO(text.strip() + "\n"))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise SignInAgain(system, "the private key cannot be read", code="private_key")
