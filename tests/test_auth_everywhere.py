"""Signing in wherever the program runs: what is shown, what is opened, and where the tokens end up."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest
from auth_browsers import free_ports
from auth_device_world import DeviceService, grant
from auth_world import Service, VirtualClock, file_at, session_in, settings_in, stored

from kallyai_mcp.auth.boundary import token_path
from kallyai_mcp.auth.claims import TokenFacts, read_facts
from kallyai_mcp.auth.flow import Done
from kallyai_mcp.auth.keyring_store import mark_name
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.auth.store import UnreadableTokenFile
from kallyai_mcp.engine.account import Account
from kallyai_mcp.errors import SignInFailed
from kallyai_mcp.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DESKTOP = {"DISPLAY": ":0"}
UNWANTED = DESKTOP | {"KALLYAI_NO_BROWSER": "1"}
SSH = {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "192.0.2.1 50000 192.0.2.2 22"}
WAYLAND_SSH = {"WAYLAND_DISPLAY": "wayland-0", "SSH_TTY": "/dev/pts/0"}
CONTAINER: dict[str, str] = {}


def signing_in(folder: Path, environment: dict[str, str], device: bool) -> tuple[SignIn, list[str], VirtualClock]:
    clock, opened = VirtualClock(), list[str]()
    service = DeviceService(clock, [grant()]) if device else Service()

    def opener(address: str) -> bool:
        opened.append(address)
        return True

    settings = Settings.read(environment)
    session = session_in(folder, service, clock, display=settings.display, no_browser=settings.no_browser)
    return SignIn(session, opener=opener, ports=free_ports()), opened, clock


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a display is always there")
@pytest.mark.anyio
@pytest.mark.parametrize("device", [True, False], ids=["device codes", "no device codes"])
@pytest.mark.parametrize(
    ("environment", "opens"),
    [(DESKTOP, True), (UNWANTED, False), (SSH, False), (WAYLAND_SSH, False), (CONTAINER, False)],
    ids=["desktop", "desktop, no browser wanted", "ssh with forwarding", "ssh", "container"],
)  # fmt: skip
async def test_address_and_code_are_shown_everywhere_and_opened_on_a_desktop_only(
    tmp_path: Path, environment: dict[str, str], opens: bool, device: bool
) -> None:
    sign_in, opened, clock = signing_in(tmp_path, environment, device)
    pending = await sign_in.begin()
    assert opened == [pending.verification_uri_complete or pending.verification_uri] * opens
    assert pending.verification_uri in pending.message
    if device:
        assert pending.user_code == "ABCD-EFGH"
        assert "ABCD-EFGH" in pending.message
        clock.pass_(5)
        assert isinstance(await sign_in.poll(), Done)
    await sign_in.close()


@pytest.mark.anyio
async def test_a_missing_home_folder_keeps_the_server_signed_in_and_names_the_remedy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("")  # no folder: refused for every user, root included
    clock = VirtualClock()
    session = session_in(home, DeviceService(clock, [grant()]), clock)
    account = Account(session, sign_in := SignIn(session))
    assert (await account.login())["status"] == "pending"
    clock.pass_(5)
    done = await account.login()
    assert done["status"] == "authenticated"
    assert "--token-file" in done["message"]
    assert "could not be saved" in done["message"]
    assert await session.token() == "at-s3cret"
    told = await account.status()
    assert told["authenticated"] is True
    assert await sign_in.sign_out()
    assert await session.token() is None


@pytest.mark.anyio
async def test_a_terminal_says_so_before_it_asks_anybody(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    service = Service()
    sign_in = SignIn(session_in(tmp_path / "home", service))
    with pytest.raises(UnreadableTokenFile, match="cannot be taken") as refused:
        await sign_in.begin(lasting=True)
    assert "--token-file" in refused.value.next_step
    assert service.requests == []


@pytest.mark.anyio
async def test_a_read_only_file_system_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, since root may write everywhere."""

    def mkdir(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    session = session_in(tmp_path)
    assert await session.adopt(TokenPair("at-1", None, 3e9)) is False
    assert await session.token() == "at-1"
    with pytest.raises(UnreadableTokenFile, match="Read-only file system") as refused:
        await SignIn(session).begin(lasting=True)
    assert "--token-file" in refused.value.next_step
    assert not (tmp_path / "token.json").exists()


@pytest.mark.anyio
async def test_a_damaged_file_is_replaced_by_signing_in_and_anything_else_is_not(tmp_path: Path) -> None:
    clock = VirtualClock()
    session = session_in(tmp_path, DeviceService(clock, [grant()]), clock)
    account = Account(session, SignIn(session))
    (tmp_path / "token.json").write_text("{")
    (tmp_path / "token.json").chmod(0o600)
    os.utime(tmp_path / "token.json", (1, 1))
    assert (await account.login())["status"] == "pending"
    clock.pass_(5)
    assert (await account.login())["status"] == "authenticated"
    assert stored(tmp_path / "token.json")["access_token"] == "at-s3cret"

    (tmp_path / "token.json").unlink()
    (tmp_path / "token.json").mkdir()
    with pytest.raises(UnreadableTokenFile, match="not a plain file"):
        await Account(session_in(tmp_path), SignIn(session)).login()


def test_without_a_terminal_or_a_home_folder_the_program_says_what_it_knows(tmp_path: Path) -> None:
    """As hosts and containers start it: nothing on stdin, HOME a device, no display."""
    environment = {"HOME": "/dev/null", "PATH": os.defpath, "PYTHONPATH": str(ROOT), "KALLYAI_STATE_DIR": str(tmp_path)}
    for argv, status in ((["status", "--json"], 3), (["logout", "--json"], 0), (["status", "--all", "--json"], 0)):
        done = subprocess.run(  # noqa: S603 - our own interpreter, our own program
            [sys.executable, "-m", "kallyai_mcp", *argv],
            env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (status, ""), argv
        assert json.loads(done.stdout)
    login = subprocess.run(
        [sys.executable, "-m", "kallyai_mcp", "login", "--json"],
        env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert (login.returncode, login.stdout) == (2, "")
    assert "--token-file" in json.loads(login.stderr)["next_step"]


def test_paths_of_windows_take_profiles_locks_and_marks(tmp_path: Path) -> None:
    """Nothing in a name that Windows refuses: the colon and slashes of an origin, above all."""
    for name in (
        mark_name("work@https://api.kallyai.com:8443"),
        file_at(tmp_path / ".kallyai_token.json", posix=False).path.name + ".lock",
        token_path(settings_in(tmp_path, token_file=tmp_path / ".kallyai_token.json", profile="work")).name,
    ):
        assert not set(name) & set('<>:"/\\|?*')
        assert not PureWindowsPath(name).is_reserved()
        assert PureWindowsPath(f"C:\\Users\\me\\{name}").name == name


@pytest.mark.anyio
async def test_on_windows_a_sign_in_is_kept_without_modes_and_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "geteuid")
    clock = VirtualClock()
    http = DeviceService(clock, [grant()]).http
    file = file_at(tmp_path / "Me & You" / "token.json", posix=False)
    session = Session(settings_in(tmp_path), http=http, clock=clock, file=file)
    await SignIn(session).finish()
    assert stored(tmp_path / "Me & You" / "token.json")["access_token"] == "at-s3cret"
    assert await session.token() == "at-s3cret"


def jwt(claims: object) -> str:
    import base64

    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJub25lIn0.{middle}.c2ln"


@pytest.mark.parametrize(
    ("token", "granted", "facts"),
    [
        (jwt({"sub": "u-1", "email": "a@b.example", "scope": "calls:write calls:read"}), "x",
         TokenFacts((("email", "a@b.example"), ("sub", "u-1")), ("calls:read", "calls:write"))),
        (jwt({"sub": "u-1", "scope": ["calls:read", 7]}), None, TokenFacts((("sub", "u-1"),), ("calls:read",))),
        (jwt({"sub": 7, "email": "a\nb", "scope": {}}), "search:read", TokenFacts((), ("search:read",))),
        (jwt({"email": "x" * 300}), None, TokenFacts()),
        (jwt([1]), None, TokenFacts()),
        ("a.%%%.c", None, TokenFacts()),
        ("a.gA.c", None, TokenFacts()),
        ("opaque", "credits:read", TokenFacts((), ("credits:read",))),
        ("opaque", "a\x1b[2J", TokenFacts()),
    ],
)  # fmt: skip
def test_what_a_token_says_of_itself_is_read_with_suspicion(token: str, granted: str | None, facts: TokenFacts) -> None:
    assert read_facts(token, granted) == facts


@pytest.mark.anyio
async def test_status_tells_account_scopes_end_source_place_and_service(tmp_path: Path) -> None:
    clock = VirtualClock()
    token = jwt({"email": "a@b.example", "sub": "u-1"})
    service = DeviceService(clock, [grant(access_token=token, scope="credits:read calls:read")])
    session = session_in(tmp_path, service, clock, profile="work")
    account = Account(session, sign_in := SignIn(session))
    await sign_in.finish()
    told: dict[str, Any] = await account.status()
    assert told == {
        "authenticated": True,
        "account": {"email": "a@b.example", "sub": "u-1", "verified": False},
        "scopes": ["calls:read", "credits:read"],
        "expires_at": stored(tmp_path / "token.work.json")["expires_at"],
        "source": "token file",
        "stored_in": str(tmp_path / "token.work.json"),
        "profile": "work",
        "token_store": "file",
        "service": "https://api.kallyai.com",
    }
    other = session_in(tmp_path, service, clock, profile="work")
    assert (await Account(other, SignIn(other)).status())["scopes"] == "unknown"


@pytest.mark.anyio
async def test_signing_out_says_what_was_removed_and_what_cannot_be(tmp_path: Path) -> None:
    session = session_in(tmp_path)
    await session.adopt(TokenPair("at-1", None, 3e9))
    account = Account(session, SignIn(session))
    told = await account.logout()
    assert told["removed"] == [str(tmp_path / "token.json")]
    assert f"Removed the tokens of profile default from {tmp_path / 'token.json'}." in told["message"]
    assert "no way to revoke" in told["message"]
    again = await account.logout()
    assert (again["status"], again["removed"]) == ("logged_out", [])
    fixed = session_in(tmp_path, access_token="fixed-s3cret")
    told = await Account(fixed, SignIn(fixed)).logout()
    assert "KALLYAI_ACCESS_TOKEN is set" in told["message"]
    assert "s3cret" not in str(told)


@pytest.mark.anyio
async def test_a_port_outside_the_documented_range_is_never_listened_on(tmp_path: Path) -> None:
    from kallyai_mcp.auth.callback import PORTS

    assert (PORTS.start, PORTS.stop - 1) == (8740, 8759)
    sign_in = SignIn(session_in(tmp_path), ports=range(1, 1))
    with pytest.raises(SignInFailed) as failed:
        await sign_in.begin()
    assert failed.value.error_code == "port_unavailable"
