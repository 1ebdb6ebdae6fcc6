"""The people of a server within one process: who is kept, who makes room, what a token and a rate allow."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from hosts import UNATTENDED
from mcp.server.request_state import InvalidRequestState

from kallyai_mcp.auth.callers.principal import Principal
from kallyai_mcp.catalog import by_tool
from kallyai_mcp.errors import InvalidSettings, KallyError
from kallyai_mcp.household.guarded import Guard, granted
from kallyai_mcp.household.household import Household
from kallyai_mcp.household.member import Common
from kallyai_mcp.household.requirements import require_whole
from kallyai_mcp.household.ring import COOKIES, codec_of
from kallyai_mcp.journal.storage import StorageAway
from kallyai_mcp.server.organisation.elsewhere import NoPages
from kallyai_mcp.server.organisation.scopes import Scopes
from kallyai_mcp.settings import Settings
from kallyai_mcp.shared import KeyRing, Shared, new_key

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.anyio
SCOPES = Scopes("kallyai:read", "kallyai:act")
BALANCE, ERRAND = by_tool()["kallyai_credits_balance"], by_tool()["kallyai_actions_errand"]
WHOLE = {
    "KALLYAI_ORGANISATION": "1",
    "KALLYAI_PUBLIC_URL": "https://mcp.example.com",
    "KALLYAI_ISSUER": "https://id.example.com",
    "KALLYAI_EMBEDDED_STORAGE": "1",
    "KALLYAI_VAULT_KEYS": new_key(),
}


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncGenerator[Shared]:
    async with Shared.open(None, KeyRing.read(new_key()), folder=tmp_path) as opened:
        yield opened


def household(shared: Shared, most: int = 3) -> Household:
    settings = Settings.read({**WHOLE, **UNATTENDED, "KALLYAI_MAX_PEOPLE": str(most)})
    common = Common(shared, codec_of(new_key()), SCOPES, lambda _: None, NoPages(), None, "at https://mcp.example.com")
    return Household(settings, common)


async def test_whoever_was_idle_the_longest_makes_room_and_never_one_at_work(shared: Shared) -> None:
    people = household(shared)
    ann, bob, cleo, dan, eve = (
        Principal("https://id.example.com", name) for name in ("ann", "bob", "cleo", "dan", "eve")
    )
    first = await people.member(ann)
    granted.set(frozenset({"kallyai:act"}))
    async with first.guard.admitted(BALANCE):
        second = await people.member(bob)
        await people.member(cleo)
        assert await people.member(ann) is first
        await people.member(bob)
        await people.member(dan)  # cleo makes room
        await people.member(eve)  # ann is at work: bob does
        assert len(people) == 3
        assert await people.member(ann) is first
        assert await people.member(bob) is not second
    await people.aclose()


async def test_no_two_people_share_a_part(shared: Shared) -> None:
    people = household(shared)
    one, other = [await people.member(Principal("https://id.example.com", name)) for name in ("ann", "bob")]
    assert one.account != other.account
    assert one.sign_in.account == one.account
    assert one.person is not other.person
    state = await one.states.give("a-state")
    assert not await other.states.use(state)
    assert await one.states.use(state)
    assert not await one.states.use(state)
    await people.aclose()


class Rates:
    """Counts what is taken, and is away when it is told to be."""

    def __init__(self, wait: float = 0.0, *, away: bool = False) -> None:
        self.taken: list[tuple[Any, ...]] = []
        self.wait = wait
        self.away = away

    async def take(self, *given: Any) -> float:
        self.taken.append(given)
        if self.away:
            raise StorageAway("Away.", next_step="Wait.")
        return self.wait


async def test_a_token_that_only_reads_runs_nothing_that_acts_whatever_stands_in_front() -> None:
    guard = Guard("ann", SCOPES, Rates(), 120)  # pyright: ignore[reportArgumentType]  # counts as the real ones do
    for scopes, command, is_allowed in (
        ({"kallyai:read"}, BALANCE, True),
        ({"kallyai:read"}, ERRAND, False),
        ({"kallyai:act"}, ERRAND, True),
        (set[str](), BALANCE, False),
        ({"kallyai:actor"}, ERRAND, False),
    ):
        granted.set(frozenset(scopes))
        if is_allowed:
            async with guard.admitted(command):
                assert guard.running == 1
        else:
            with pytest.raises(KallyError, match="does not allow"):
                async with guard.admitted(command):
                    pass
    assert guard.running == 0


async def test_runs_are_counted_in_blocks_and_refused_beyond_the_rate() -> None:
    rates = Rates()
    now = 0.0
    guard = Guard("ann", SCOPES, rates, 120, lambda: now)  # pyright: ignore[reportArgumentType]  # counts as the real ones do
    granted.set(frozenset({"kallyai:read"}))
    for _ in range(20):
        async with guard.admitted(BALANCE):
            pass
    assert rates.taken == [("ann", "runs", 12, 60.0)] * 2
    rates.wait = 4.2
    with pytest.raises(KallyError) as refused:
        async with guard.admitted(BALANCE):
            pass
    assert (refused.value.error_code, refused.value.details["retry_after"]) == ("too_many_runs", 5)
    rates.away = True
    async with guard.admitted(BALANCE):
        pass


def test_all_that_is_missing_is_named_at_once() -> None:
    require_whole(Settings.read(WHOLE))
    with pytest.raises(InvalidSettings) as refused:
        require_whole(Settings.read({"KALLYAI_ORGANISATION": "1"}))
    for name in ("PUBLIC_URL", "ISSUER", "DATABASE_URL", "VAULT_KEYS"):
        assert f"KALLYAI_{name}" in refused.value.message
    for more, name in (
        ({"KALLYAI_ACCESS_TOKEN": "a-token-for-tests"}, "KALLYAI_ACCESS_TOKEN"),
        ({"KALLYAI_DATABASE_URL": "postgresql://a@b/c"}, "KALLYAI_EMBEDDED_STORAGE"),
        ({"KALLYAI_ACT_SCOPE": "kallyai:read"}, "KALLYAI_ACT_SCOPE"),
        ({"KALLYAI_SANDBOX": "1"}, "sandbox"),
    ):
        with pytest.raises(InvalidSettings, match=name):
            require_whole(Settings.read(WHOLE | more))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KALLYAI_PUBLIC_URL", "http://mcp.example.com"),
        ("KALLYAI_PUBLIC_URL", "https://mcp.example.com/mcp"),
        ("KALLYAI_ISSUER", "http://id.example.com"),
        ("KALLYAI_ISSUER", "https://id.example.com?x=1"),
        ("KALLYAI_READ_SCOPE", 'a"b'),
        ("KALLYAI_MAX_PEOPLE", "0"),
        ("KALLYAI_TOKEN_TYPE", "any"),
    ],
)
def test_what_cannot_be_meant_is_refused(variable: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=variable):
        Settings.read(WHOLE | {variable: value})


def test_a_client_is_set_with_its_secret() -> None:
    with pytest.raises(InvalidSettings, match="KALLYAI_PAGES_CLIENT_SECRET"):
        Settings.read(WHOLE | {"KALLYAI_PAGES_CLIENT_ID": "pages"})


def test_states_are_opened_by_every_key_of_the_ring_and_cookies_are_none() -> None:
    old, new = new_key(), new_key()
    sealed = codec_of(old).seal(b"a state")
    assert codec_of(f"{new},{old}").unseal(sealed) == b"a state"
    for other in (codec_of(new), codec_of(old, COOKIES)):
        with pytest.raises(InvalidRequestState):
            other.unseal(sealed)
    assert base64.b64decode(old) not in sealed.encode()
