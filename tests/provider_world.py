"""A real OpenID provider on loopback: oidc-provider of panva, run by Node.js; `.ci/node` installs it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from joserfc.jwk import ECKey, KeyParameters, OKPKey, RSAKey
from node_binary import node
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Generator

FOLDER = Path(__file__).parent / "node"
ROOT = FOLDER.parent.parent
START_WAIT = 60.0
MISSING = "The OpenID provider of the tests is not installed. Install it: .ci/node"


def new_key(kid: str, kind: str = "RSA") -> dict[str, Any]:
    """Return a private key as a JSON Web Key."""
    facts: KeyParameters = {"use": "sig", "kid": kid}
    match kind:
        case "EC":
            key = ECKey.generate_key("P-256", facts)
        case "OKP":
            key = OKPKey.generate_key("Ed25519", facts)
        case _:
            key = RSAKey.generate_key(2048, facts)
    return dict(key.as_dict(private=True))


@dataclass
class TestProvider:
    """The provider, as tests use it.

    Attributes:
        folder: Where it keeps its keys.
        format: Of its access tokens: "jwt" or "opaque".
        keys: What it signs with; the first of a kind is used.
    """

    __test__ = False

    folder: Path
    format: str = "jwt"
    keys: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    port: int = field(default_factory=free_port)
    control: int = field(default_factory=free_port)
    _process: subprocess.Popen[str] | None = None

    @property
    def issuer(self) -> str:
        """Its name."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if not self.keys:
            self.keys = [new_key("rsa-1"), new_key("ec-1", "EC"), new_key("okp-1", "OKP")]
        file = self.folder / "keys.json"
        file.write_text(json.dumps({"keys": self.keys}))
        command = [node(), "provider.mjs", str(self.port), str(self.control), str(file), self.format]
        log = (self.folder / "provider.log").open("a")
        self._process = subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603 - our own program
        log.close()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "ready\n", (self.folder / "provider.log").read_text()

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def token(self, subject: str, resource: str, **facts: str | int) -> str:
        """Return an access token that the provider has made, as if this person had signed in."""
        query = {"sub": subject, "resource": resource} | {name: str(value) for name, value in facts.items()}
        answer = httpx2.get(f"http://127.0.0.1:{self.control}/", params=query, timeout=START_WAIT)
        assert answer.status_code == 200, answer.text
        return answer.text


def require_provider() -> None:
    """Skip, or fail in CI, where the provider cannot be run."""
    if Path(node()).exists() and (FOLDER / "node_modules" / "oidc-provider").is_dir():
        return
    if os.environ.get("CI"):
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@contextmanager
def provider(folder: Path, format: str = "jwt", **facts: Any) -> Generator[TestProvider]:  # noqa: A002 - the attribute's name
    """Give a provider for as long as the block lasts."""
    require_provider()
    made = TestProvider(folder, format, **facts)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def wait_for(address: str, status: int = 200, seconds: float = START_WAIT) -> httpx2.Response:
    """Wait until an address answers so."""
    end = time.monotonic() + seconds
    while True:
        try:
            answer = httpx2.get(address, timeout=seconds)
            if answer.status_code == status:
                return answer
            last = f"{answer.status_code} {answer.text}"
        except httpx2.HTTPError as error:
            last = repr(error)
        assert time.monotonic() < end, last
        time.sleep(0.05)
