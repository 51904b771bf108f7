"""Servers that hold data for DVC, on 127.0.0.1 and only while tests run: SeaweedFS for S3, OpenSSH for SSH."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"
PATIENCE_S = 60
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
SETPRIV = shutil.which("setpriv")
# Keys of this server alone: an administrator, and one who may only read.
IDENTITIES = """{"identities": [
  {"name": "writer", "credentials": [{"accessKey": "writer", "secretKey": "writer-secret"}], "actions": ["Admin", "Read", "Write", "List"]},
  {"name": "reader", "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}], "actions": ["Read", "List"]}
]}"""


class S3(NamedTuple):
    """A server of S3 with users `writer` and `reader`."""

    endpoint: str


class SSH(NamedTuple):
    """A server of SSH; the owner of one key may write, the owner of the other one only read."""

    port: int
    user: str
    folder: Path  # free for tests
    writer: Path
    reader: Path
    stranger: Path  # a key that it does not know
    host_key: str  # a line of known_hosts


@contextmanager
def s3(folder: Path) -> Iterator[S3]:
    ports = free_ports(8)
    (folder / "identities.json").write_text(IDENTITIES)
    (folder / "data").mkdir()
    names = (
        "master.port",
        "master.port.grpc",
        "volume.port",
        "volume.port.grpc",
        "filer.port",
        "filer.port.grpc",
        "s3.port.grpc",
        "s3.port",
    )
    command = ["weed", "server", f"-dir={folder / 'data'}", f"-ip={HOST}", f"-ip.bind={HOST}", "-filer", "-s3"]
    command += [f"-{name}={port}" for name, port in zip(names, ports, strict=True)] + ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [
        "-volume.max=60",
        "-master.volumeSizeLimitMB=64",
        "-s3.autoCreateBucket=false",
        f"-s3.config={folder / 'identities.json'}",
    ]
    endpoint = f"http://{HOST}:{ports[-1]}"
    with running(command, folder, lambda: _refuses_strangers(endpoint)):
        yield S3(endpoint)


@contextmanager
def ssh(folder: Path) -> Iterator[SSH]:
    assert SSHD is not None
    (port,) = free_ports(1)
    keys = {name: folder / name for name in ("host", "writer", "reader", "stranger")}
    for key in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = {name: key.with_suffix(".pub").read_text() for name, key in keys.items()}
    (folder / "authorized").write_text(public["writer"] + 'command="internal-sftp -R",restrict ' + public["reader"])
    (folder / "data").mkdir()
    settings = {
        "ListenAddress": f"{HOST}:{port}",
        "HostKey": keys["host"],
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none",
    }
    settings |= {"StrictModes": "no", "UsePAM": "no", "PasswordAuthentication": "no", "KbdInteractiveAuthentication": "no"}
    settings |= {"Subsystem": "sftp internal-sftp", "PermitRootLogin": "prohibit-password", "MaxStartups": "100"}
    (folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it, of root
    with running([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], folder, lambda: _greets(port)):
        line = f"[{HOST}]:{port} {' '.join(public['host'].split()[:2])}\n"
        yield SSH(port, getpass.getuser(), folder / "data", keys["writer"], keys["reader"], keys["stranger"], line)


@contextmanager
def running(command: list[str], folder: Path, answers: Callable[[], bool]) -> Iterator[None]:
    """A server from its first answer on; it is stopped, with what it started, at the end."""
    with (folder / "log").open("wb") as log:
        dies = [SETPRIV, "--pdeathsig", "KILL"] if SETPRIV else []  # with this process, however it ends
        server = subprocess.Popen(
            [*dies, *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        end = time.monotonic() + PATIENCE_S
        while not answers():
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # what it holds goes with the folder
        server.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _refuses_strangers(endpoint: str) -> bool:
    """A server of S3 that is ready says so."""
    try:
        urllib.request.urlopen(endpoint, timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code == 403
    except OSError:
        return False
    return True


def _greets(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=2) as server:
            return server.recv(4) == b"SSH-"
    except OSError:
        return False
