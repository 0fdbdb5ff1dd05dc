"""moto's own server, without what the sandbox adds."""

from collections.abc import Iterator
from contextlib import contextmanager

from moto.core.base_backend import BackendDict
from moto.server import ThreadedMotoServer


@contextmanager
def moto_server() -> Iterator[str]:
    """Serve an empty AWS from this process; its endpoint.

    It has the backends of `mock_aws` and of the sandbox's `Server`: one at a time may be used.
    """
    BackendDict.reset()
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
