"""A plain loop that copies files: fetch, hash, thumbnail, store, in a process of its own.

It reads its orders as JSON from standard input, and prints ``seconds`` and ``cpu`` for each image after the
warm-up. It checks nothing and records nothing.
"""

import hashlib
import http.client
import io
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from PIL import Image

from worker.copies.folder import Folder

IDENTITY = {"User-Agent": "plain-loop/1"}


def main() -> None:
    """Copy the files of the orders, and print what it took."""
    orders = json.load(sys.stdin)
    folder, urls, warm_up = Folder(orders["folder"]), orders["urls"], orders["warm_up"]

    def copy(url: str) -> None:
        data = fetch(url)
        sha256 = hashlib.sha256(data).hexdigest()
        name = urlsplit(url).path.removeprefix("/")
        if orders["thumbnails"]:
            small = thumbnail(data)
            about = {"content_type": "image/webp", "sha256": hashlib.sha256(small).hexdigest()}
            folder.put(f"{name}.webp", io.BytesIO(small), size=len(small), **about)
        folder.put(name, io.BytesIO(data), content_type="image/png", size=len(data), sha256=sha256)

    with ThreadPoolExecutor(orders["threads"]) as pool:
        list(pool.map(copy, urls[:warm_up]))
        began, cpu = time.monotonic(), time.process_time()
        list(pool.map(copy, urls[warm_up:]))
        seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    images = len(urls) - warm_up
    print(json.dumps({"seconds": seconds / images, "cpu": cpu / images}))


def fetch(url: str) -> bytes:
    """Return the bytes of a file."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=IDENTITY)
    data = connection.getresponse().read()
    connection.close()
    return data


def thumbnail(data: bytes) -> bytes:
    """Return a WebP of at most 256 x 256 pixels."""
    with Image.open(io.BytesIO(data)) as image:
        image.thumbnail((256, 256), Image.Resampling.LANCZOS, reducing_gap=2.0)
        out = io.BytesIO()
        image.save(out, "WEBP", quality=80, method=1)
        return out.getvalue()


if __name__ == "__main__":
    main()
