"""Images on a server of loopback that can be as unreliable as the provider's."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"red" * 100_000
WEBP = b"RIFF\x24\x00\x00\x00WEBP" + b"blue" * 100_000


class Files:
    """The files of a server by their paths. A file is cut off or held up in its middle by its path."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.cut_off: set[str] = set()
        self.held_up: set[str] = set()
        self.asked: list[str] = []
        self.released = threading.Event()
        self.url = ""


@contextlib.contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[Files]:
    """A server of these files."""
    served = Files(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            data = served.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            half = len(data) // 2
            self.wfile.write(data[:half])
            if self.path in served.held_up:
                self.wfile.flush()
                served.released.wait(60)
            if self.path not in served.cut_off:
                self.wfile.write(data[half:])

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Print nothing: a client may go away."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield served
        finally:
            served.released.set()
            server.shutdown()
            thread.join()
