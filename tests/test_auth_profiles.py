"""Profiles: tokens and sign-ins of several accounts side by side, never mixed."""

from dataclasses import replace
from pathlib import Path

import pytest
from auth_device_world import DeviceService, grant
from auth_world import NOW, VirtualClock, session_in, settings_in, stored, write, write_pair
from test_auth_keyring import Memory, use

from kallyai_mcp.auth.boundary import token_path
from kallyai_mcp.auth.pair import TokenPair
from kallyai_mcp.auth.profiles import profiles
from kallyai_mcp.auth.sign_in import SignIn
from kallyai_mcp.engine.account import all_accounts
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.settings import Settings, default_token_file

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("given", "name"),
    [("work", "work"), ("Work", "work"), ("a-b_9", "a-b_9"), ("x" * 32, "x" * 32), ("default", "default")],
)
def test_a_profile_is_named_by_flag_or_variable(given: str, name: str) -> None:
    assert Settings.read({"KALLYAI_PROFILE": given}).profile == name
    assert Settings.read({"KALLYAI_PROFILE": "other"}, {"profile": given}).profile == name


@pytest.mark.parametrize("given", ["x" * 33, "../up", "a b", "a.b", "a/b", "ö", "a\u0660", "a\nb"])
def test_what_could_be_another_file_is_no_profile(given: str) -> None:
    with pytest.raises(InvalidSettings, match="--profile must be 1 to 32"):
        Settings.read({}, {"profile": given})


def test_each_profile_has_a_file_beside_the_default_one(tmp_path: Path) -> None:
    ours = settings_in(tmp_path, token_file=default_token_file())
    assert token_path(ours) == default_token_file()
    assert token_path(replace(ours, profile="work")) == default_token_file().with_name(".kallyai_token.work.json")
    named = settings_in(tmp_path, profile="work")
    assert token_path(named) == tmp_path / "token.work.json"
    assert token_path(replace(ours, sandbox=True, profile="work")) == tmp_path / "state" / "sandbox-token.work.json"


def test_no_profiles_file_is_the_lock_or_the_temporary_file_of_another(tmp_path: Path) -> None:
    for base in ("token.json", "token", ".token"):
        default = settings_in(tmp_path, token_file=tmp_path / base)
        own = {f"{base}.lock", f"{base}.tmp", base}
        for name in ("lock", "tmp", "json"):
            assert token_path(replace(default, profile=name)).name not in own


async def test_two_profiles_sign_in_on_their_own(tmp_path: Path) -> None:
    clock = VirtualClock()
    for profile, token in (("default", "at-home"), ("work", "at-work")):
        service = DeviceService(clock, [grant(access_token=token)])
        await SignIn(session_in(tmp_path, service, clock, profile=profile)).finish()
    home, work = session_in(tmp_path), session_in(tmp_path, profile="work")
    assert (await home.token(), await work.token()) == ("at-home", "at-work")
    assert stored(tmp_path / "token.work.json")["access_token"] == "at-work"
    assert await work.forget()
    assert (await home.token(), await work.token()) == ("at-home", None)


def test_all_profiles_with_a_file_are_listed_signed_in_or_not(tmp_path: Path) -> None:
    write_pair(tmp_path, name="token.json")
    write(tmp_path / "token.old.json", access_token="at", expires_at=NOW - 9e8)
    write(tmp_path / "token.broken.json", nothing=1)
    write_pair(tmp_path, name="token.work.json")
    for stray in ("token.json.lock", "token.work.json.lock", "token.work.json.tmp", "token.a.b.json", "other.json"):
        (tmp_path / stray).touch()
    settings = settings_in(tmp_path, access_token="fixed", profile="new")
    assert profiles(settings) == ["default", "broken", "new", "old", "work"]
    listed = {account["profile"]: account for account in all_accounts(settings)}
    assert {name: account["authenticated"] for name, account in listed.items()} == {
        "default": True,
        "broken": False,
        "new": False,
        "old": False,
        "work": True,
    }
    assert listed["broken"]["problem"]["code"] == "token_file_unusable"
    assert listed["work"]["stored_in"] == str(tmp_path / "token.work.json")
    assert "fixed" not in str(listed)


def test_without_a_folder_there_is_the_settings_own_profile_only(tmp_path: Path) -> None:
    assert profiles(settings_in(tmp_path / "nowhere", profile="work")) == ["work"]


async def test_profiles_in_the_keyring_are_listed_by_their_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Memory())
    for profile, origin in (("default", "https://api.kallyai.com"), ("work", "https://api.kallyai.com")):
        session = session_in(tmp_path, store="keyring", profile=profile, api_url=origin)
        await session.adopt(TokenPair("at-0", "rt-0", NOW + 3000))
    elsewhere = session_in(tmp_path, store="keyring", profile="sand", api_url="http://127.0.0.1:1")
    await elsewhere.adopt(TokenPair("kallyai_sandbox_at_0", None, NOW + 3000))
    settings = settings_in(tmp_path, store="keyring")
    assert profiles(settings) == ["default", "work"]
    assert [account["token_store"] for account in all_accounts(settings)] == ["keyring", "keyring"]
