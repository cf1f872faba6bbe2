"""The server answers this machine, by this machine's name, with one page."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from rs_superres.errors import InputError
from rs_superres.view.server import address_of, serving

PAGE = "<!doctype html><title>é</title>"


@pytest.fixture
def port() -> Iterator[int]:
    with serving(PAGE) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert address_of(server) == f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(
    port: int, path: str = "/", method: str = "GET", host: str | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers={} if host is None else {"Host": host})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def test_the_page(port: int) -> None:
    response, body = ask(port)
    assert (response.status, body.decode()) == (200, PAGE)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Python" not in response.headers["Server"]
    response, body = ask(port, method="HEAD")
    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) == len(PAGE.encode())


@pytest.mark.parametrize("path", ["/x", "/../etc/passwd", "/?", "/index.html"])
def test_no_other_page(port: int, path: str) -> None:
    assert ask(port, path)[0].status == 404


def test_only_by_the_names_of_this_machine(port: int) -> None:
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        assert ask(port, host=host)[0].status == 200
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1.evil:{port}", ""):
        response, body = ask(port, host=host)
        assert response.status == 421, host
        assert PAGE.encode() not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_no_other_method(port: int, method: str) -> None:
    assert ask(port, method=method)[0].status == 501


def test_a_browser_that_hangs_up_is_no_failure(
    port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
    assert ask(port)[0].status == 200
    assert capfd.readouterr().err == ""


def test_a_port_that_is_in_use(port: int) -> None:
    with pytest.raises(InputError, match=f"cannot listen to port {port}"), serving(PAGE, port):
        pass
