"""A KallyAI of many accounts that answers with whose token came, and writes down every byte of every request.

python organisation_upstream.py <port> <file>
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

TOKEN = "at-"
"""Beginning of the access tokens; the person's name follows."""


class Upstream:
    """The service.

    Args:
        file: Where requests are written down, one a line.
    """

    def __init__(self, file: Path) -> None:
        self._file = file.open("a", encoding="utf-8")
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        request = {"path": scope["path"], "query": query, "headers": headers, "body": body.decode("utf-8", "replace")}
        self._file.write(json.dumps(request) + "\n")
        self._file.flush()
        status, answer = self._answer(scope["method"], scope["path"], headers)
        content = json.dumps(answer).encode()
        start = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        name = headers.get("authorization", "").removeprefix(f"Bearer {TOKEN}")
        if not name or " " in name:
            return 401, {"error": {"code": "unauthorized", "message": "No."}}
        self._count += 1
        mine = {"owner": name, "canary": f"canary-{name}"}
        if path == "/v1/credits/balance":
            return 200, {"credits_remaining": 121, "credits_used": 79, "credits_allocated": 200, **mine}
        if method == "POST":
            return 200, {"task_id": f"task-{name}-{self._count}", **mine}
        return 200, mine


if __name__ == "__main__":
    uvicorn.run(Upstream(Path(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", ws="none")
