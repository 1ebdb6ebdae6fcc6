"""The address of a request: built from the configured origin and nothing else, then compared with what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode

import httpx2

from kallyai_mcp.errors import InvalidArguments, Problem

if TYPE_CHECKING:
    from kallyai_mcp.model import ApiRequest, Command


class Origin:
    """Scheme, host and port of the API."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip("/")
        self._url = httpx2.URL(self.text)
        self._key = (self._url.raw_scheme, self._url.raw_host, self._url.port)
        self._known: dict[str, httpx2.URL] = {}
        """Addresses that were compared before, of commands that always have the same one."""

    @property
    def host(self) -> str:
        """Name or address of the host, in ASCII."""
        return self._url.raw_host.decode("ascii")

    @property
    def port(self) -> int:
        """TCP port, the scheme's own if none was named."""
        return self._url.port or (443 if self.is_encrypted else 80)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is spoken."""
        return self._url.scheme == "https"

    def address(self, command: Command, request: ApiRequest) -> httpx2.URL:
        """Return the request's URL.

        Raises:
            InvalidArguments: A value would lead elsewhere: to another host, route or query. Nothing was sent.
        """
        target = request.path
        if not request.query and (known := self._known.get(target)) is not None:
            return known
        try:
            if request.query:
                target += "?" + urlencode(request.query, quote_via=quote, safe="")
            url = httpx2.URL(self.text + target)
            meant = (
                (url.raw_scheme, url.raw_host, url.port) == self._key
                and url.raw_path == target.encode("ascii")
                and not url.userinfo
                and _keeps_route(command.path, request.path)
            )
        except (UnicodeError, httpx2.InvalidURL):
            meant, url = False, self._url
        if not meant:
            raise InvalidArguments(
                command.tool,
                [
                    Problem(name, "cannot stand in an address as it is.")
                    for name in sorted(command.path_args) or ["arguments"]
                ],
            )
        if not command.path_args and not request.query:
            self._known[target] = url
        return url


def _keeps_route(template: str, path: str) -> bool:
    wanted, got = template.split("/"), path.split("/")
    return len(wanted) == len(got) and all(
        (segment == expected if "{" not in expected else _is_one_segment(segment))
        for expected, segment in zip(wanted, got, strict=True)
    )


def _is_one_segment(segment: str) -> bool:
    return unquote(segment) not in {"", ".", ".."} and not {"?", "#", "\\"} & set(segment)
