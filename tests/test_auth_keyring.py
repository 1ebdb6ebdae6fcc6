"""Tokens in the system's keyring: shared by processes under one lock, and never kept elsewhere instead."""

import sys
from pathlib import Path

import anyio
import pytest
from auth_browsers import free_ports
from auth_world import NOW, Refreshing, Service, VirtualClock, session_in, settings_in, write_pair
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.backends.null import Keyring as ForgetfulKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError

from kallyai_mcp.auth import keyring_store
from kallyai_mcp.auth.keyring_store import KeyringStore
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.session import Session
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.auth.store import KeyringUnusable
from kallyai_mcp.errors import KallyError, SignInRequired

pytestmark = pytest.mark.anyio
USER = "default@https://api.kallyai.com"
PAIR = TokenPair("at-0", "rt-0", NOW + 3000)


class Memory(KeyringBackend):
    """A keyring that keeps everything, and counts how often it is asked."""

    priority = 5  # pyright: ignore[reportAssignmentType]  # a property of the class there

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.reads = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.reads += 1
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError(username)


class Deaf(Memory):
    """A keyring that does not keep what it is given."""

    def set_password(self, service: str, username: str, password: str) -> None:
        del service, username, password


class Locked(Memory):
    """A keyring that nobody unlocks; its words hold what was to be kept."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"s3cret of {service} {username}")


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Memory:
    memory = Memory()
    use(monkeypatch, memory)
    return memory


def use(monkeypatch: pytest.MonkeyPatch, backend: KeyringBackend) -> None:
    import keyring

    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)


def everything_in(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def session(folder: Path, service: Service | None = None, **changes: object) -> Session:
    return session_in(folder, service, VirtualClock(), store="keyring", **changes)


async def test_tokens_are_kept_in_the_entry_of_profile_and_api_and_in_no_file(tmp_path: Path, keyring: Memory) -> None:
    signed_in = session(tmp_path)
    assert await signed_in.token() is None
    assert await signed_in.adopt(PAIR)
    assert keyring.kept.keys() == {("kallyai-mcp", USER)}
    assert await session(tmp_path).token() == "at-0"
    assert signed_in.status().source == "keyring"
    assert not (tmp_path / "token.json").exists()
    written = everything_in(tmp_path)
    assert "at-0" not in written
    assert "rt-0" not in written


async def test_an_unchanged_entry_is_not_asked_for_again_and_a_changed_one_is(tmp_path: Path, keyring: Memory) -> None:
    one, other = session(tmp_path), session(tmp_path)
    await one.adopt(PAIR)
    assert await other.token() == "at-0"
    reads = keyring.reads
    for _ in range(20):
        assert await other.token() == "at-0"
    assert keyring.reads == reads
    await one.adopt(TokenPair("at-9", "rt-9", NOW + 3000))
    assert await other.token() == "at-9"
    assert await one.forget()
    assert await other.token() is None
    assert keyring.kept == {}
    assert not await one.forget()


async def test_any_number_of_runs_and_sessions_share_one_refresh(tmp_path: Path, keyring: Memory) -> None:
    service = Refreshing()
    sessions = [session(tmp_path, service) for _ in range(4)]
    await sessions[0].adopt(TokenPair("at-0", "rt-0", NOW - 1))
    tokens: list[str | None] = []

    async def run(one: Session) -> None:
        tokens.append(await one.token())

    async with anyio.create_task_group() as group:
        for one in sessions * 5:
            group.start_soon(run, one)
    assert tokens == ["at-1"] * 20
    assert service.issued == 1
    assert "rt-1" in keyring.kept["kallyai-mcp", USER]


async def test_the_lock_is_in_the_state_folder_and_shared(tmp_path: Path, keyring: Memory) -> None:
    del keyring
    one, other = session(tmp_path).file, session(tmp_path).file
    async with one.locked():
        with pytest.raises(KallyError) as busy:
            async with other.locked(1.0):
                pytest.fail("two hold the lock")
    assert busy.value.error_code == "token_file_busy"
    assert list((tmp_path / "state" / "keyring").glob("*.lock"))


async def test_an_entry_removed_by_hand_ends_with_the_next_refresh(tmp_path: Path, keyring: Memory) -> None:
    service = Refreshing()
    signed_in = session(tmp_path, service)
    await signed_in.adopt(TokenPair("at-0", "rt-0", NOW - 1))
    keyring.kept.clear()
    assert await session(tmp_path, service).token() is None


async def test_a_refused_refresh_token_is_one_stable_error_and_the_entry_is_kept(
    tmp_path: Path, keyring: Memory
) -> None:
    service = Refreshing(current="another")
    signed_in = session(tmp_path, service)
    await signed_in.adopt(TokenPair("at-0", "rt-0", NOW - 1))
    for _ in range(2):
        with pytest.raises(SignInRequired, match="the keyring"):
            await signed_in.token()
    assert len(service.requests) == 1
    assert "rt-0" in keyring.kept["kallyai-mcp", USER]


@pytest.mark.parametrize("backend", [NoKeyring, ForgetfulKeyring, Locked])
async def test_an_unusable_keyring_is_an_error_and_no_reason_to_look_into_the_file(
    tmp_path: Path, backend: type[KeyringBackend], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pair(tmp_path)
    use(monkeypatch, backend())
    service = Service()
    signed_out = session(tmp_path, service)
    with pytest.raises(KeyringUnusable) as unusable:
        await signed_out.token()
    assert unusable.value.error_code == "keyring_unusable"
    assert "--token-store file" in unusable.value.next_step
    assert "s3cret" not in f"{unusable.value} {unusable.value.next_step}"
    with pytest.raises(KeyringUnusable):
        await SignIn(signed_out, ports=free_ports()).begin()
    assert service.requests == []


async def test_a_keyring_that_keeps_nothing_is_found_out_when_tokens_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Deaf())
    signed_in = session(tmp_path)
    assert await signed_in.adopt(PAIR) is False
    assert await signed_in.token() == "at-0"
    assert not (tmp_path / "token.json").exists()


async def test_without_the_extra_the_remedy_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setitem(sys.modules, "keyring.errors", None)
    with pytest.raises(KeyringUnusable) as unusable:
        await session(tmp_path).token()
    assert "kallyai-mcp[keyring]" in unusable.value.next_step


async def test_a_keyring_that_waits_for_its_password_holds_nobody_up_for_ever(
    tmp_path: Path, keyring: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    unlocked = threading.Event()
    monkeypatch.setattr(keyring_store, "PATIENCE", 0.05)
    monkeypatch.setattr(keyring, "get_password", lambda _service, _user: unlocked.wait(60) and None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]  # stands for a dialog
    try:
        with pytest.raises(KeyringUnusable, match="not answered"):
            await session(tmp_path).token()
    finally:
        unlocked.set()


@pytest.mark.parametrize(
    "text", ["", "no", "[]", "{}", '{"access_token": "a b", "expires_at": 1}', '{"access_token": "a"}']
)
async def test_an_entry_without_tokens_is_named_and_not_quoted(tmp_path: Path, keyring: Memory, text: str) -> None:
    keyring.kept["kallyai-mcp", USER] = text
    with pytest.raises(KeyringUnusable, match="holds no tokens"):
        await session(tmp_path).token()


def test_profiles_and_services_have_entries_of_their_own(tmp_path: Path) -> None:
    def place(**changes: object) -> str:
        return KeyringStore.of(settings_in(tmp_path, **changes), VirtualClock()).place

    places = {
        place(),
        place(profile="work"),
        place(api_url="http://127.0.0.1:8770"),
        place(profile="work", api_url="http://127.0.0.1:8770"),
        place(sandbox=True),
    }
    assert len(places) == 5
    assert place() == f"the keyring (kallyai-mcp, {USER})"
