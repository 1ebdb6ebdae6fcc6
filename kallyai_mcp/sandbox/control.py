"""The controls of the sandbox, under /sandbox: its state, clock, faults, errors, tokens and sign-in.

They are no part of KallyAI's API, and need no token. The door lets them answer on loopback names only, and to no other
site.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import Route

from kallyai_mcp.model.codes import CODES
from kallyai_mcp.sandbox import signin, tokens
from kallyai_mcp.sandbox.answers import respond
from kallyai_mcp.sandbox.area import Reply
from kallyai_mcp.sandbox.clock import iso
from kallyai_mcp.sandbox.faults import AFTER, FAULT_HEADER, INSTEAD, SETTINGS, Armed, parse_fault
from kallyai_mcp.sandbox.refusal import Refusal
from kallyai_mcp.sandbox.scopes import ALL_SCOPES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from kallyai_mcp.sandbox.faults import Switches
    from kallyai_mcp.sandbox.world import World

JUMP = "jump"
"""How infinite speed is written: the clock jumps ahead whenever something waits."""


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ClockOrder(_Order):
    """Put the clock, push it ahead, or change how fast it runs."""

    set: datetime | Literal["now"] | None = None
    advance: float = 0
    speed: Annotated[float, Field(ge=0)] | Literal["jump"] | None = None


class ResetOrder(_Order):
    """Begin a new world."""

    seed: int | None = None
    start: datetime | None = None


class Target(_Order):
    """Which requests are meant: the next `times`, of one method, path or tool where these are given."""

    times: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    method: str | None = None
    path: str | None = None
    tool: str | None = None


class FaultOrder(Target):
    """Let requests go wrong."""

    fault: str


class ErrorOrder(Target):
    """Let requests be refused with a documented code, or change the form of the error envelope."""

    code: str | None = None
    form: Literal["a", "b"] | None = None


class TokenOrder(_Order):
    """Issue a pair of tokens."""

    scopes: list[str] = list(ALL_SCOPES)
    expires_in: Annotated[int, Field(ge=0)] = tokens.LIFETIME


OrderT = TypeVar("OrderT", bound=_Order)


class Control:
    """The endpoints, around one world."""

    def __init__(self, world: World, switches: Switches) -> None:
        self._world = world
        self._switches = switches

    async def index(self, _: Request) -> Response:
        """List the controls."""
        listed = [
            {"methods": sorted(set(route.methods or ()) - {"HEAD"}), "path": route.path, "does": route.endpoint.__doc__}
            for route in routes(self._world, self._switches)
        ]
        return respond(Reply({"controls": listed, "fault_header": FAULT_HEADER}))

    async def state(self, _: Request) -> Response:
        """Show the time and how many things of each kind there are."""
        return respond(Reply(self._state()))

    async def show_clock(self, _: Request) -> Response:
        """Show the clock."""
        return respond(Reply(self._clock()))

    async def put_clock(self, request: Request) -> Response:
        """Change the clock: `set` (ISO 8601 or now), `advance` (seconds), `speed` (a factor, or jump)."""
        order = await _order(request, ClockOrder)
        clock = self._world.clock
        if order.speed is not None:
            clock.speed = math.inf if order.speed == JUMP else float(order.speed)
        if order.set is not None:
            clock.set(datetime.now(UTC) if order.set == "now" else _utc(order.set))
        if order.advance:
            clock.advance(order.advance)
        self._world.run_due()
        self._world.changed()
        return respond(Reply(self._clock()))

    async def reset(self, request: Request) -> Response:
        """Begin a new world: `seed`, `start` (ISO 8601). Tokens, faults and all else are forgotten."""
        order = await _order(request, ResetOrder)
        self._switches.clear()
        self._world.reset(order.seed, start=None if order.start is None else _utc(order.start))
        return respond(Reply(self._state()))

    async def ledger(self, _: Request) -> Response:
        """List every request received that was to change or cost something."""
        return respond(Reply({"requests": self._world.all("request")}))

    async def show_faults(self, _: Request) -> Response:
        """List the armed faults, and those there are."""
        armed = [armed.as_dict() for armed in self._switches.armed]
        return respond(Reply({"armed": armed, "faults": INSTEAD | AFTER, "settings": SETTINGS}))

    async def arm_fault(self, request: Request) -> Response:
        """Arm a fault: `fault` as in the header, `times`, and `method`, `path` or `tool` to choose requests."""
        order = await _order(request, FaultOrder)
        return respond(Reply(self._arm(order.fault, order).as_dict(), status=201))

    async def disarm(self, _: Request) -> Response:
        """Disarm all faults and errors."""
        self._switches.clear()
        return respond(Reply(status=204))

    async def show_errors(self, _: Request) -> Response:
        """List the documented codes, and the form of the error envelope."""
        codes = [{"code": c.code, "http": c.http_status, "meaning": c.meaning} for c in CODES.values()]
        return respond(Reply({"form": self._switches.form, "codes": codes}))

    async def arm_error(self, request: Request) -> Response:
        """Arm a documented code for the next request: `code`, with the choices of a fault; `form` a or b."""
        order = await _order(request, ErrorOrder)
        if order.form is not None:
            self._switches.form = order.form
        if order.code is not None:
            if order.code not in CODES:
                raise Refusal(status=422, message="This code is not documented.")
            self._arm(f"code={order.code}", order)
        return respond(Reply({"form": self._switches.form, "armed": [a.as_dict() for a in self._switches.armed]}))

    async def issue(self, request: Request) -> Response:
        """Issue a pair of tokens: `scopes`, `expires_in` (seconds)."""
        order = await _order(request, TokenOrder)
        if unknown := set(order.scopes) - set(ALL_SCOPES):
            raise Refusal(status=422, message=f"There is no scope {', '.join(sorted(unknown))}.")
        pair = tokens.issue(self._world, order.scopes, expires_in=order.expires_in)
        facts = {
            "access_token": pair.access_token,
            "refresh_token": pair.refresh_token,
            "expires_in": pair.expires_in,
            "scope": " ".join(pair.scopes),
        }
        return respond(Reply(facts, status=201))

    async def revoke(self, _: Request) -> Response:
        """Revoke every token but the demo token."""
        tokens.revoke_all(self._world)
        return respond(Reply(status=204))

    async def show_sign_in(self, _: Request) -> Response:
        """Show how signing in goes."""
        return respond(Reply(signin.options(self._world)))

    async def change_sign_in(self, request: Request) -> Response:
        """Change how signing in goes: `interval`, `expires_in`, `device_endpoints`, answers in `next`, `next_code`."""
        changes = await _json(request)
        if not isinstance(changes, dict):
            raise Refusal(status=422, message="The body must be a JSON object.")
        return respond(Reply(signin.set_options(self._world, cast("dict[str, Any]", changes))))

    def _arm(self, text: str, target: Target) -> Armed:
        armed = Armed(text, parse_fault(text), target.times, target.method, target.path, target.tool)
        self._switches.armed.append(armed)
        return armed

    def _clock(self) -> dict[str, Any]:
        clock = self._world.clock
        speed = JUMP if math.isinf(clock.speed) else clock.speed
        return {"now": self._world.now(), "wall": iso(clock.wall()), "speed": speed}

    def _state(self) -> dict[str, Any]:
        facts = {"sandbox": True, "seed": self._world.seed, "clock": self._clock(), "counts": self._world.counts()}
        return facts | {"armed": len(self._switches.armed), "form": self._switches.form}


def routes(world: World, switches: Switches) -> list[Route]:
    """Return the routes under /sandbox."""
    control = Control(world, switches)
    return [
        Route("/sandbox", control.index, methods=["GET"]),
        Route("/sandbox/state", control.state, methods=["GET"]),
        Route("/sandbox/clock", control.show_clock, methods=["GET"]),
        Route("/sandbox/clock", control.put_clock, methods=["POST"]),
        Route("/sandbox/reset", control.reset, methods=["POST"]),
        Route("/sandbox/ledger", control.ledger, methods=["GET"]),
        Route("/sandbox/faults", control.show_faults, methods=["GET"]),
        Route("/sandbox/faults", control.arm_fault, methods=["POST"]),
        Route("/sandbox/faults", control.disarm, methods=["DELETE"]),
        Route("/sandbox/errors", control.show_errors, methods=["GET"]),
        Route("/sandbox/errors", control.arm_error, methods=["POST"]),
        Route("/sandbox/tokens", control.issue, methods=["POST"]),
        Route("/sandbox/tokens", control.revoke, methods=["DELETE"]),
        Route("/sandbox/oauth", control.show_sign_in, methods=["GET"]),
        Route("/sandbox/oauth", control.change_sign_in, methods=["POST"]),
    ]


async def _json(request: Request) -> Any:
    # Not application/json: a form of another page could send that without asking (Fetch, "CORS-safelisted").
    text = await request.body()
    if text and request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refusal(status=415)
    try:
        return json.loads(text or b"{}")
    except (ValueError, RecursionError):
        raise Refusal(status=400, message="The body is not JSON.") from None


async def _order(request: Request, model: type[OrderT]) -> OrderT:
    try:
        return model.model_validate(await _json(request))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc'])) or 'body'}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise Refusal(status=422, message=wrong) from None


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
