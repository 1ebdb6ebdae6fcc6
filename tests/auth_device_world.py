"""A service with a device flow, in memory."""

from pathlib import Path
from typing import Any

import httpx2
from auth_world import Service, VirtualClock, session_in

from kallyai_mcp.auth.sign_in import SignIn

CODE = "/v1/auth/device/code"
TOKEN = "/v1/auth/device/token"
DEVICE_CODE = "dc-s3cret"
Answer = httpx2.Response | Exception
START: dict[str, Any] = {
    "device_code": DEVICE_CODE,
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://kallyai.com/device",
    "verification_uri_complete": "https://kallyai.com/device?user_code=ABCD-EFGH",
    "expires_in": 600,
    "interval": 5,
}
PENDING = "authorization_pending"


def error(code: str, status: int = 400) -> httpx2.Response:
    return httpx2.Response(status, json={"error": code})


def grant(**fields: object) -> httpx2.Response:
    tokens = {"access_token": "at-s3cret", "refresh_token": "rt-s3cret", "expires_in": 3600, "token_type": "Bearer"}
    return httpx2.Response(200, json=tokens | fields)


class DeviceService(Service):
    """Gives one device code and then the answers of a list, the last one for ever; knows when it was asked."""

    def __init__(self, clock: VirtualClock, answers: list[Answer], latency: float = 0.0, **start: object) -> None:
        super().__init__()
        self.clock = clock
        self.answers = answers
        self.latency = latency
        self.times: list[float] = []
        self.answered: list[float] = []
        self.start = {name: value for name, value in (START | start).items() if value is not ...}
        self.at(CODE, lambda _: httpx2.Response(200, json=self.start)).at(TOKEN, self.token)

    def token(self, request: httpx2.Request) -> httpx2.Response:
        self.times.append(self.clock.elapsed)
        self.clock.pass_(self.latency)
        self.answered.append(self.clock.elapsed)
        answer = self.answers[min(len(self.times), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers, request=request)


def signing_in(
    folder: Path, answers: list[Answer], latency: float = 0.0, **start: object
) -> tuple[SignIn, DeviceService, VirtualClock]:
    clock = VirtualClock()
    service = DeviceService(clock, answers, latency, **start)
    return SignIn(session_in(folder, service, clock)), service, clock
