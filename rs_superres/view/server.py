"""Serves one page to this machine, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from rs_superres.errors import InputError

ADDRESS = "127.0.0.1"
"""The only address that the server listens to: other machines cannot reach it."""

IDLE = 30.0
"""Seconds after which a connection that says nothing is closed."""

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page itself holds the rest
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of the page."""


@contextmanager
def serving(html: str, port: int = 0) -> Iterator[ThreadingHTTPServer]:
    """Open a server of a page; ``serve_forever`` of the server answers requests.

    Args:
        html: the page.
        port: the port to listen to; 0 for any that is free.

    Yields:
        The server; the second item of its ``server_address`` is the port.

    Raises:
        InputError: the port is in use, or needs more rights.
    """
    try:
        server = _Server((ADDRESS, port), _handler(html.encode()))
    except OSError as error:
        raise InputError(
            f"cannot listen to port {port} of {ADDRESS}: {error.strerror or error}; choose another "
            "port, or none to take one that is free"
        ) from error
    with server:
        yield server


def address_of(server: ThreadingHTTPServer) -> str:
    """Return the address of the page."""
    return f"http://{ADDRESS}:{server.server_port}/"


class _Server(ThreadingHTTPServer):
    """A server that stays silent if a browser hangs up."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: a request that fails concerns only its sender."""


def _handler(page: bytes) -> type[BaseHTTPRequestHandler]:
    """Return a class of handlers that know one page."""

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        timeout = IDLE
        server_version, sys_version = "rs-sr", ""

        def do_GET(self) -> None:
            """Send the page."""
            self._answer(body=True)

        def do_HEAD(self) -> None:
            """Send the headers of the page."""
            self._answer(body=False)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as above)
            """Write no log of requests."""

        def _answer(self, *, body: bool) -> None:
            """Send the page if it was asked for by the name of this machine.

            A site of strangers can let its own name lead to 127.0.0.1; the browser then sends that
            name as the host.
            """
            port = self.connection.getsockname()[1]
            hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
            if port == 80:
                hosts |= {ADDRESS, "localhost"}
            if self.headers.get_all("Host", []) not in [[host] for host in hosts]:
                self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
                return
            if self.path != "/":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            if body:
                self.wfile.write(page)

    return Handler
