"""TLS in front of a server that has none."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from functools import partial

from sandbox.local.ports import HOST


@contextlib.contextmanager
def terminator(context: ssl.SSLContext, target: int) -> Iterator[int]:
    """A port with TLS that leads to the target port."""
    ready: list[int] = []
    running = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(partial(_join, target), HOST, 0, ssl=context)
        # A client that refuses the certificate is no error of ours.
        loop.set_exception_handler(lambda *_: None)
        ready.append(server.sockets[0].getsockname()[1])
        running.set()
        await stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    running.wait()
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


async def _join(target: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    inner_reader, inner_writer = await asyncio.open_connection(HOST, target)
    await asyncio.gather(_pour(reader, inner_writer), _pour(inner_reader, writer))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
