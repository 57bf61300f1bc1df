"""A server that notes what it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Listener:
    """A server that notes the headers of each request, and answers with a redirect where it is told one."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.redirect: str | None = None
        self.status = 200
        self.body: Callable[[Mapping[str, str]], object] = lambda heard: {}
        """What is answered to a request with these headers."""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                self.rfile.read(int(self.headers.get("content-length") or 0))
                listener.heard.append({name.lower(): value for name, value in self.headers.items()})
                content = json.dumps(listener.body(listener.heard[-1])).encode()
                self.send_response(307 if listener.redirect else listener.status)
                if listener.redirect:
                    self.send_header("location", listener.redirect)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.close()
