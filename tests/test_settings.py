"""What may stand in an address of the API and in the bounds of acts; what is refused before anything is started."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from kallyai_mcp.api import ApiClient
from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.safety import ALL_DAY, SAFETY, Hours, Safety
from kallyai_mcp.settings import CREDENTIAL_VARIABLES, SETTINGS, Settings, unknown_variables


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


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("KALLYAI_TOOLSET", "KALLYAI_TOOLSETS"),
        ("KALLYAI_READONLY", "KALLYAI_READ_ONLY"),
        ("KALLYAI_EXCLUDE_TOOL", "KALLYAI_EXCLUDE_TOOLS"),
        ("KALLYAI_MAX_CREDIT_PER_DAY", "KALLYAI_MAX_CREDITS_PER_DAY"),
        ("KALLYAI_APPROVALS", "KALLYAI_APPROVAL"),
    ],
)
def test_a_bound_whose_name_is_misspelt_is_refused_rather_than_none(misspelt: str, meant: str) -> None:
    with pytest.raises(InvalidSettings, match=misspelt) as refused:
        Settings.read({misspelt: "1"})
    assert f"If {meant} is meant" in refused.value.next_step
    assert Settings.read({misspelt: ""}) == Settings.read({})


@pytest.mark.parametrize("name", ["KALLYAI_TEST_DATABASE_URL", "KALLYAI_TOKEN", "KALLYAI_DEBUG", "KALLYAI_", "TOOLSET"])
def test_variables_of_other_programs_are_left_alone(name: str) -> None:
    assert Settings.read({name: "1"}) == Settings.read({})
    assert Settings.read({"KALLYAI_MCP_METRICS_PORT": "tcp://10.0.0.7:9464"}) == Settings.read({})


def test_every_variable_that_is_known_is_taken() -> None:
    for name in {setting.variable for setting in SETTINGS} | {*CREDENTIAL_VARIABLES}:
        assert unknown_variables({name: "1"}) == []


def test_nothing_fails_where_nobody_has_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a user id of its own."""

    def no_home(*_: object, **__: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("platformdirs.user_state_path", no_home)
    monkeypatch.setattr(Path, "expanduser", no_home)
    settings = Settings.read({"KALLYAI_API_URL": "http://127.0.0.1:8770"})
    assert not settings.token_file.exists()
    assert not settings.state_folder.exists()


AMOUNTS = ("max_credits_per_act", "max_credits_per_hour", "max_credits_per_day")
COUNTS = ("max_calls_per_hour", "max_new_recipients_per_day", "max_acts_in_flight")
NUMBERS = ("allow_numbers", "deny_numbers")
COUNTRIES = ("allow_countries", "deny_countries")
DOMAINS = ("allow_mail_domains", "deny_mail_domains")
BOUNDS: list[tuple[tuple[str, ...], str, object]] = [
    (("approval",), "Host", "host"),
    (AMOUNTS, "0", 0.0),
    (AMOUNTS, "2.5", 2.5),
    (AMOUNTS, " 999999999 ", 999_999_999.0),
    (COUNTS, "0", 0),
    (COUNTS, "007", 7),
    (NUMBERS, "+12025550100", ("+12025550100",)),
    (NUMBERS, "+12025550100 , +1202*,+4*,", ("+12025550100", "+1202*", "+4*")),
    (COUNTRIES, "us, ES", ("US", "ES")),
    (DOMAINS, "Example.COM, @mail.example.org.", ("example.com", "mail.example.org")),
    (DOMAINS, "b\u00fccher.example, xn--bcher-kva.example", ("xn--bcher-kva.example", "xn--bcher-kva.example")),
    (("contact_hours",), "8:00-21:00", Hours(time(8), time(21))),
    (("contact_hours",), "09:30 - 9:31", Hours(time(9, 30), time(9, 31))),
    (("contact_hours",), "22:00-4:05", Hours(time(22), time(4, 5))),
    (("contact_hours",), "Off", ALL_DAY),
    (("contact_hours",), "always", ALL_DAY),
    (("lockdown", "dry_run"), "1", True),
    (("lockdown", "dry_run"), "off", False),
]
NO_BOUNDS: list[tuple[tuple[str, ...], list[str]]] = [
    (("approval",), ["yes", "none", "ask,off", "\uff4f\uff46\uff46"]),
    (AMOUNTS, ["-1", "-0.01", "nan", "inf", "1e9", "2,5", "5 credits", "0x10", " "]),
    (COUNTS, ["-1", "1.0", "1e3", "+1", "1_0", "1234567890", "\u0663", "\uff11", " "]),
    (NUMBERS, ["*", "+", "+*", "+0123", "12025550100", "0012025550100", "+1*2", "+1**", "+1234567890123456"]),
    (NUMBERS, ["tel:+12025550100", "+1202;+1203"]),
    (NUMBERS, ["+1 202 555 0100", "+\u0661202", "+\uff112025550100", ",", " , "]),
    (COUNTRIES, ["USA", "U1", "UK", "XX", "\u00df", "+1", "001", "US ES", "US;ES", ",", " "]),
    (DOMAINS, ["*.example.com", "jo@example.com", "https://example.com", "example..com", "@", ".", "a;b"]),
    (DOMAINS, ["exa mple.com", "b\u00fccher example", "\u2488example.com", ",", " "]),
    (
        ("contact_hours",),
        ["8-21", "8:00", "8:00-", "-21:00", "8:00-24:00", "8:60-9:00", "8:00-21:00-22:00", "21:00", "on"],
    ),
    (("contact_hours",), ["08:00Z-21:00Z", "08:00+02:00-21:00", "08:00:30-21:00", "8:00-8:00", "08:00-8:00"]),
    (("contact_hours",), ["8:00 21:00", "\u0668:00-21:00"]),
    (("lockdown", "dry_run"), ["maybe", "2", "y"]),
]


def test_unless_told_otherwise_a_person_is_asked_and_everything_is_bounded() -> None:
    assert (
        Settings.read({}).safety
        == Safety()
        == Safety(
            approval="ask",
            max_credits_per_act=50.0,
            max_credits_per_hour=200.0,
            max_credits_per_day=500.0,
            max_calls_per_hour=30,
            max_new_recipients_per_day=40,
            max_acts_in_flight=16,
            contact_hours=Hours(time(8), time(21)),
        )
    )


def test_the_defaults_are_shown_as_they_would_be_given() -> None:
    given = {setting.variable: setting.default for setting in SAFETY if setting.default}
    assert Settings.read(given).safety == Safety()
    assert {setting.name for setting in SAFETY} - {setting.name for setting in SAFETY if setting.default} == {
        *NUMBERS,
        *COUNTRIES,
        *DOMAINS,
    }


def test_every_bound_is_tried() -> None:
    tried = {name for names, *_ in BOUNDS for name in names}
    assert tried == {name for names, _ in NO_BOUNDS for name in names} == {setting.name for setting in SAFETY}


@pytest.mark.parametrize(
    ("name", "given", "value"), [(name, given, value) for names, given, value in BOUNDS for name in names]
)
def test_a_bound_is_read_from_its_variable_and_from_its_flag_which_wins(name: str, given: str, value: object) -> None:
    setting = next(setting for setting in SETTINGS if setting.name == name)
    assert getattr(Settings.read({setting.variable: given}).safety, name) == value
    assert getattr(Settings.read({setting.variable: "nonsense"}, {name: given}).safety, name) == value
    assert (setting.variable, setting.flag) == (f"KALLYAI_{name.upper()}", f"--{name.replace('_', '-')}")


@pytest.mark.parametrize(
    ("name", "given"), [(name, given) for names, texts in NO_BOUNDS for name in names for given in texts]
)
def test_what_is_no_bound_is_refused_by_the_name_of_its_variable_or_flag(name: str, given: str) -> None:
    setting = next(setting for setting in SETTINGS if setting.name == name)
    for environment, flags, source in (
        ({setting.variable: given}, {}, setting.variable),
        ({}, {name: given}, setting.flag),
    ):
        with pytest.raises(InvalidSettings) as caught:
            Settings.read(environment, flags)
        assert caught.value.message.startswith(f"{source} must ")
        assert setting.help in caught.value.next_step


@pytest.mark.parametrize(
    ("hours", "within", "without"),
    [
        (Hours(time(8), time(21)), [time(8), time(20, 59, 59)], [time(7, 59, 59), time(21), time(0)]),
        (Hours(time(22), time(4)), [time(22), time(23, 59), time(0), time(3, 59)], [time(4), time(12), time(21, 59)]),
        (ALL_DAY, [time(0), time(12), time(23, 59, 59)], []),
    ],
)
def test_hours_contain_their_start_and_not_their_end_past_midnight_too(
    hours: Hours, within: list[time], without: list[time]
) -> None:
    assert [moment for moment in within if moment not in hours] == []
    assert [moment for moment in without if moment in hours] == []


@pytest.mark.parametrize("given", ["08:00-21:00", "22:30-04:05", "off"])
def test_hours_are_written_as_they_are_given(given: str) -> None:
    assert str(Settings.read({"KALLYAI_CONTACT_HOURS": given}).safety.contact_hours) == given
