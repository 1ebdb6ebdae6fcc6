"""`Idempotency-Key`: a request that is repeated with its key is answered as the first was, and done once."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.sandbox.area import Reply
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kallyai_mcp.sandbox.world import World

KIND = "idempotency_key"
_LONGEST = 255


class Repeats:
    """Remembers the answers by key, in the world's store; requests still being answered, in memory."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: dict[str, anyio.Event] = {}

    async def once(self, command: str, key: str, body: bytes, run: Callable[[], Awaitable[Reply]]) -> Reply:
        """Return the first answer to this key, running `run` only if there was none.

        A second request that comes while the first runs waits for it. What failed before it was done (a refusal, a
        fault) is not remembered: nothing happened, and the key is free again. `body` is JSON; its order does not count.

        Raises:
            Refusal: 409 when the key came with another body, or when the first request was interrupted.
        """
        if not key.isascii() or not key.isprintable() or len(key) > _LONGEST:
            raise Refusal(status=400, message=f"Idempotency-Key must be 1 to {_LONGEST} visible ASCII characters.")
        name = f"{command} {key}"
        print_ = hashlib.sha256(json.dumps(json.loads(body), sort_keys=True).encode()).hexdigest()
        while (earlier := self._world.get(KIND, name)) is not None:
            if earlier["body"] != print_:
                raise Refusal(status=409, message="This Idempotency-Key came before, with another body.")
            if earlier["answer"] is not None:
                return Reply(**earlier["answer"])
            if name not in self._running:
                raise Refusal(status=409, message="The first request with this Idempotency-Key was interrupted.")
            await self._running[name].wait()
        return await self._first(name, print_, run)

    async def _first(self, name: str, body: str, run: Callable[[], Awaitable[Reply]]) -> Reply:
        finished = self._running[name] = anyio.Event()
        self._world.add(KIND, {"body": body, "answer": None}, id=name)
        try:
            reply = await run()
            answer = {
                "body": reply.body,
                "status": reply.status,
                "media_type": reply.media_type,
                "headers": reply.headers,
            }
            self._world.save(KIND, {"id": name, "body": body, "answer": answer})
        except Exception:
            self._world.delete(KIND, name)
            raise
        else:
            return reply
        finally:
            del self._running[name]
            finished.set()
