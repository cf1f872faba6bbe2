"""Clusters keep strangers out, and their workers compute in one precision."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # distributed depends on it
import pytest
from distributed import Client, LocalCluster, Security

from rs_superres.batch.cluster import TlsFiles, connected, is_open, precision_of_workers
from rs_superres.errors import ClusterError, InputError
from rs_superres.system.devices import Precision


class Workers:
    """A client of workers, some of which have processors that multiply bf16."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *multiply_bf16: bool) -> None:
        self._patch, self._workers = monkeypatch, multiply_bf16

    def run(self, function: Callable[..., Any], *args: Any) -> dict[int, Any]:
        answers = {}
        for number, multiplies in enumerate(self._workers):
            with self._patch.context() as patched:
                patched.setattr(
                    "rs_superres.system.devices._multiplies_bf16",
                    lambda _, multiplies=multiplies: multiplies,
                )
                answers[number] = function(*args)
        return answers


@pytest.mark.parametrize(
    ("chosen", "workers", "precision"),
    [
        ("auto", (True, True), "bf16"),
        ("auto", (False,), "fp32"),
        ("auto", (True, False), "fp32"),
        ("bf16", (True, False), "bf16"),
    ],
)
def test_all_workers_compute_in_one_precision(
    chosen: Precision,
    workers: tuple[bool, ...],
    precision: Precision,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client: Any = Workers(monkeypatch, *workers)
    assert precision_of_workers(client, chosen, "cpu") == precision


def test_a_missing_device_is_no_error_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome of each scene says that the device is missing."""
    client: Any = Workers(monkeypatch, True)
    assert precision_of_workers(client, "auto", "cuda:99") == "fp32"


def test_the_precision_waits_for_the_first_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adaptive cluster has no worker before the first task."""
    monkeypatch.setattr("rs_superres.system.devices._multiplies_bf16", lambda _: True)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.adapt(minimum=0, maximum=1, interval="50ms")
        assert precision_of_workers(client, "auto", "cpu") == "bf16"


def listening() -> set[str]:
    """Return the addresses that this process and its children listen on."""
    this = psutil.Process()
    return {
        connection.laddr.ip
        for process in (this, *this.children(recursive=True))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def refuses(address: str, security: Security | None = None) -> bool:
    """Return whether a scheduler or worker closes the connection of a client."""
    try:
        Client(address, timeout=2, set_as_default=False, security=security).close()
    except (OSError, ValueError):
        return True
    return False


def test_nobody_gets_into_a_local_cluster() -> None:
    """Before, it listened for its dashboard on all interfaces and took anybody's pickles."""
    with connected("local:1") as client:
        assert listening() == {"127.0.0.1"}
        address = client.scheduler_info()["address"]
        assert address.startswith("tls://127.0.0.1:")
        workers = client.scheduler_info()["workers"]
        assert not is_open(client)
        plain = [a.replace("tls://", "tcp://") for a in (address, *workers)]
        assert all(map(refuses, plain))
        assert refuses(address, Security.temporary())
        [folder] = [Path(worker["local_directory"]) for worker in workers.values()]
        around = folder.parents[1]  # dask's own folder is in between
        assert (stat.S_IMODE(around.stat().st_mode), around.stat().st_uid) == (0o700, os.geteuid())
        assert client.submit(sum, [1, 2]).result() == 3
    assert not around.exists()


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Write credentials that dask made."""
    folder, made = tmp_path_factory.mktemp("pem"), Security.temporary()
    for name, text in (("cert", made.tls_client_cert), ("key", made.tls_client_key)):
        (folder / f"{name}.pem").write_text(text)
    cert = folder / "cert.pem"
    return TlsFiles(ca=cert, cert=cert, key=folder / "key.pem")


@pytest.fixture(scope="module")
def guarded(pem: TlsFiles) -> Iterator[str]:
    """Start a scheduler that wants credentials, and return its address."""
    files = {
        f"tls_{role}_{kind}": str(getattr(pem, kind))
        for role in ("client", "scheduler", "worker")
        for kind in ("cert", "key")
    }
    security = Security(tls_ca_file=str(pem.ca), require_encryption=True, **files)
    with LocalCluster(
        n_workers=1, processes=False, dashboard_address="127.0.0.1:0", security=security
    ) as cluster:
        yield cluster.scheduler_address


def test_tls_files_open_a_guarded_scheduler(guarded: str, pem: TlsFiles) -> None:
    with connected(guarded, tls=pem) as client:
        assert client.submit(sum, [1, 2]).result() == 3
        assert not is_open(client)


def test_a_scheduler_file_may_hold_a_guarded_address(
    guarded: str, pem: TlsFiles, tmp_path: Path
) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(f'{{"address": "{guarded}"}}')
    with connected(str(file), tls=pem) as client:
        assert client.submit(sum, [1, 2]).result() == 3
    file.write_text("[]")
    with pytest.raises(InputError, match=r"scheduler=.*cluster.json is not a scheduler file"):
        enter(str(file), pem)


def test_other_credentials_are_refused(
    guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_superres.batch.cluster.SCHEDULER_TIMEOUT", 1)
    other = Security.temporary()
    cert = tmp_path / "both.pem"
    cert.write_text(other.tls_client_cert + other.tls_client_key)
    with pytest.raises(ClusterError, match="or it does not accept the credentials"):
        enter(guarded, TlsFiles(ca=cert, cert=cert))


def enter(scheduler: str | None, tls: TlsFiles | None = None) -> None:
    with connected(scheduler, tls=tls):
        pytest.fail("it connected")


def test_tls_that_cannot_work_is_refused_in_one_line(pem: TlsFiles, tmp_path: Path) -> None:
    text, missing = tmp_path / "text.pem", tmp_path / "none.pem"
    text.write_text("hello")
    other = tmp_path / "other.pem"
    other.write_text(Security.temporary().tls_client_key)
    guarded = "tls://127.0.0.1:9"
    cases: list[tuple[str | None, TlsFiles | None, str]] = [
        (guarded, None, "needs credentials: give tls_ca=, tls_cert= and tls_key="),
        (guarded, TlsFiles(ca=pem.ca), "tls_ca= is not enough"),
        (guarded, TlsFiles(cert=pem.cert, key=pem.key), "tls_cert= is not enough"),
        (guarded, TlsFiles(ca=missing, cert=pem.cert), f"tls_ca={missing} does not exist"),
        (guarded, TlsFiles(ca=text, cert=pem.cert, key=pem.key), f"{text}, .*not a certificate"),
        (guarded, TlsFiles(ca=pem.ca, cert=pem.cert, key=other), "not a certificate .*mismatch"),
        (guarded, TlsFiles(ca=pem.ca, cert=pem.cert), "not a certificate"),  # without its key
        ("tcp://127.0.0.1:9", pem, "'tcp://127.0.0.1:9' is not encrypted"),
        ("local:1", pem, "tls_ca= is for a cluster elsewhere"),
        (None, pem, "tls_ca= is for a cluster elsewhere"),
    ]
    for scheduler, tls, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            enter(scheduler, tls)
        assert "\n" not in str(caught.value)


def test_a_scheduler_without_tls_is_open_to_others() -> None:
    class Elsewhere:
        def __init__(self, address: str) -> None:
            self.scheduler = type("Scheduler", (), {"address": address})

    def opened(address: str) -> bool:
        client: Any = Elsewhere(address)
        return is_open(client)

    assert opened(f"tcp://{socket.gethostname()}:8786")
    assert opened("tcp://10.0.0.7:8786")
    assert not opened("tcp://127.0.0.1:8786")
    assert not opened("tls://10.0.0.7:8786")
