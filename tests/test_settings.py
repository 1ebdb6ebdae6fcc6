"""What may stand in an address of the API, and what is refused before anything is started with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallyai_mcp.api import ApiClient
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.settings import Settings


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://api.kallyai.com", "https://api.kallyai.com"),
        ("HTTPS://API.KALLYAI.COM:443/", "https://api.kallyai.com:443"),
        ("https://api.kallyai.com.", "https://api.kallyai.com."),
        ("https://xn--9ca.example", "https://xn--9ca.example"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_origin_is_taken_in_its_plain_form(given: str, origin: str) -> None:
    settings = Settings.read({"KALLYAI_API_URL": given})
    assert settings.api_url == origin
    ApiClient(origin, version="1")


@pytest.mark.parametrize(
    "given",
    [
        "api.kallyai.com",
        "ftp://api.kallyai.com",
        "http://api.kallyai.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.",
        "http://localhost\u3002",
        "http://0x7f.1",
        "http://127.1",
        "http://[::ffff:127.0.0.1]",
        "https://user@api.kallyai.com",
        "https://api.kallyai.com@evil.example",
        "https://api.kallyai.com\\@evil.example",
        "https://evil.example\\.kallyai.com",
        "https://api.kallyai.com\u3002evil.example",
        "https://\u24d0pi.kallyai.com",
        "https://a\u200bpi.kallyai.com",
        "https://exa mple.com",
        "https://a%41.example",
        "https://a..example",
        "https://[::1",
        "https://api.kallyai.com:99999",
        "https://api.kallyai.com/v1",
        "https://api.kallyai.com?x=1",
    ],
)
def test_what_is_no_origin_or_could_be_read_in_two_ways_is_refused(given: str) -> None:
    with pytest.raises(InvalidSettings, match="KALLYAI_API_URL"):
        Settings.read({"KALLYAI_API_URL": given})


@pytest.mark.parametrize("variable", ["KALLYAI_PROXY", "KALLYAI_TOKEN_URL", "KALLYAI_DEVICE_AUTHORIZATION_URL"])
@pytest.mark.parametrize("given", ["https://[::1", "https://name:secret\u2100@h", "https://h h", "https://h/a b", "x"])
def test_a_refused_address_is_not_repeated(variable: str, given: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.read({variable: given})
    assert "secret" not in caught.value.message + caught.value.next_step


def test_nothing_fails_where_nobody_has_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a user id of its own."""

    def no_home(*_: object, **__: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_state_path", no_home)
    monkeypatch.setattr(Path, "expanduser", no_home)
    settings = Settings.read({"KALLYAI_API_URL": "http://127.0.0.1:8770"})
    assert not settings.token_file.exists()
    assert not settings.state_folder.exists()
