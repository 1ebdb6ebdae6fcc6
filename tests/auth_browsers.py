"""What the tests of the browser's flows share: free ports, and what a browser does with a redirect to this machine."""

import http.client
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import ports


def free_ports() -> range:
    """Two ports in a row that are free now."""
    return ports.free_ports(2)


def query_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def follow(address: str) -> tuple[int, str | None]:
    """Go to an address on this machine; status and Location of what is there."""
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection("127.0.0.1", parts.port or 0, timeout=60)) as connection:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Location"]
