"""How uvicorn serves within this program: no log, no lifespan, no name of the software, nothing believed of proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn import Config

if TYPE_CHECKING:
    import asyncio

    from starlette.types import ASGIApp


def quiet(app: ASGIApp, connection: type[asyncio.Protocol], **more: Any) -> Config:
    """Return the configuration of a server of our own.

    Args:
        app: Answers the requests.
        connection: Protocol of one connection.
        more: Other settings of uvicorn.
    """
    return Config(
        app,
        http=connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level=None,
        access_log=False,
        interface="asgi3",
        server_header=False,
        proxy_headers=False,
        **more,
    )
