"""The terminal: which subcommand runs, what reaches stdout and stderr, and the exit status."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cli_world import FakeProgram, FakeSignIn, Reply

from kallyai_mcp.cli import run
from kallyai_mcp.cli.output import EXIT_STATUS
from kallyai_mcp.engine import Result
from kallyai_mcp.engine.result import File
from kallyai_mcp.errors import (
    ApiError,
    InvalidArguments,
    InvalidSettings,
    KallyError,
    Problem,
    SignInFailed,
    SignInRequired,
    TransportError,
)
from kallyai_mcp.exposure import exposed

if TYPE_CHECKING:
    from collections.abc import Iterator

HISTORY = ["run", "calls", "history"]
SIGNED_IN: dict[str, Reply] = {"auth-status": {"authenticated": True, "source": "token file", "expires_at": 1775730600}}
SIGNED_OUT: dict[str, Reply] = {"auth-status": {"authenticated": False}}
HOSTILE = "a\x1b[2Jb\x9bc\rd\u202ee\x07"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    from kallyai_mcp.settings import SETTINGS

    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", *(setting.variable for setting in SETTINGS)):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.parametrize(
    "argv", [["--sandbox"], ["serve", "--sandbox"], ["--sandbox", "serve", "--transport", "stdio"]]
)
def test_serves_without_a_subcommand_and_with_serve(argv: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram()
    assert run(argv, program) == 0
    assert program.served
    assert program.settings is not None
    assert program.settings.sandbox
    assert capfd.readouterr() == ("", ""), "stdout belongs to the protocol"


@pytest.mark.parametrize(
    ("given", "transport"),
    [("http", ("http",)), ("sse", ("sse",)), ("sse, HTTP", ("http", "sse")), ("stdio", ("stdio",))],
)
def test_the_transport_is_a_setting(given: str, transport: tuple[str, ...]) -> None:
    program = FakeProgram()
    assert run(["serve", "--transport", given], program) == 0
    assert program.settings is not None
    assert program.settings.serving.transport == transport


@pytest.mark.parametrize(
    "flags",
    [
        ("--transport", "carrier-pigeon"),
        ("--transport", "stdio,http"),
        ("--transport", ","),
        ("--port", "65536"),
        ("--port", "-1"),
        ("--host", "a b"),
        ("--allow-hosts", "*"),
        ("--allow-hosts", "127.0.0.1:*"),
        ("--allow-origins", "*"),
        ("--allow-origins", "https://app.example.com/"),
        ("--allow-origins", "null"),
        ("--max-connections", "0"),
    ],
)
def test_what_is_no_way_to_be_reached_is_refused_with_a_sentence(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, str]
) -> None:
    program = FakeProgram()
    assert run(["serve", *flags], program) == 2
    assert not program.served
    assert flags[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["--api-url", "http://127.0.0.1:9", *HISTORY],
        ["run", "--api-url", "http://127.0.0.1:9", "calls", "history"],
        [*HISTORY, "--api-url=http://127.0.0.1:9"],
        ["--api-url", "https://elsewhere.example", *HISTORY, "--api-url", "http://127.0.0.1:9"],
    ],
)
def test_settings_may_stand_before_or_after_the_subcommand(argv: list[str]) -> None:
    program = FakeProgram()
    assert run(argv, program) == 0
    assert program.settings is not None
    assert program.settings.api_url == "http://127.0.0.1:9"


def test_option_of_a_command_wins_over_a_setting_of_its_name() -> None:
    program = FakeProgram()
    assert run(["--language", "es", "run", "calls", "make", "--language", "en"], program) == 0
    assert program.settings is not None
    assert program.settings.language == "es"
    assert program.runs == [("calls make", {"language": "en"})]


def test_wrong_setting_is_status_2_and_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--api-url", "http://far.example", *HISTORY], FakeProgram()) == 2
    assert "--api-url must use https" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError("No.", next_step="Wait."), 1),
        (TransportError("No answer.", next_step="Wait."), 1),
        (TransportError("No answer.", next_step="Look.", details={"outcome": "unknown"}), 4),
        (InvalidArguments("kallyai_calls_history", [Problem("limit", "must be 1 or more.")]), 2),
        (InvalidSettings("Wrong.", next_step="Correct it."), 2),
        (SignInRequired("Not signed in.", next_step="Sign in."), 3),
        (ExceptionGroup("of a task group", [ApiError("No.", next_step="Wait.")]), 1),
        (ValueError("secret"), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 0),
    ],
    ids=lambda value: getattr(type(value), "__name__", "") if isinstance(value, BaseException) else str(value),
)
def test_error_leads_to_its_status_without_a_traceback(
    error: Any, status: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallyai_mcp.cli.main.give_up_stdout", lambda: None)
    assert run(HISTORY, FakeProgram(error)) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert 'File "' not in err
    assert "secret" not in err


def test_every_status_is_documented_in_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"], FakeProgram()) == 0
    assert EXIT_STATUS.strip() in capsys.readouterr().out
    assert [line.split()[0] for line in EXIT_STATUS.splitlines()[1:]] == ["0", "1", "2", "3", "4", "5", "130"]


def test_traceback_of_the_unexpected_comes_with_debug_only_and_masked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--log-level", "debug", *HISTORY], FakeProgram(ValueError("about +14155550117"))) == 1
    err = capsys.readouterr().err
    assert 'File "' in err
    assert "+14155550117" not in err
    assert run(HISTORY, FakeProgram(ValueError("about +14155550117"))) == 1
    assert 'File "' not in capsys.readouterr().err


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "wrapped"])
def test_what_the_system_refuses_is_told_by_name(
    wrapped: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kallyai_mcp.cli.main.give_up_stdout", lambda: None)
    refusal = PermissionError(13, "Permission denied", "/no/such")
    error = ExceptionGroup("of a task group", [refusal]) if wrapped else refusal
    assert run(HISTORY, FakeProgram(error)) == 1
    assert capsys.readouterr().err.startswith("Error: The system refused: Permission denied (/no/such).\n")


def test_interrupted_change_says_that_it_may_have_taken_effect(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "calls", "stop", "c_1"], FakeProgram(KeyboardInterrupt())) == 130
    assert "takes effect all the same" in capsys.readouterr().err
    assert run(HISTORY, FakeProgram(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_wrong_arguments_are_told_by_what_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("phone", "is required.", "+14155550117"), Problem("party_size", "must be 1 or more.")]
    assert run(["run", "calls", "make"], FakeProgram(InvalidArguments("kallyai_calls_make", problems))) == 2
    assert capsys.readouterr().err.splitlines() == [
        "Error: 'calls make' was not run, nothing was sent.",
        "  --phone       is required. For example: +14155550117",
        "  --party-size  must be 1 or more.",
        "'kallyai-mcp run calls make --help' explains the arguments.",
    ]


def test_tools_named_in_an_error_are_told_as_commands(capsys: pytest.CaptureFixture[str]) -> None:
    error = ApiError("No.", next_step="Use kallyai_budget_approve, then kallyai_login; not kallyai_other.")
    assert run(HISTORY, FakeProgram(error)) == 1
    err = capsys.readouterr().err
    assert "Use 'kallyai-mcp run budget approve', then 'kallyai-mcp login'; not kallyai_other." in err


@pytest.mark.parametrize(
    ("next_step", "told"),
    [
        ("Sign in: kallyai_login from here, or kallyai-mcp login in a terminal.", "Sign in: 'kallyai-mcp login'."),
        (
            "Run the tool kallyai_login, or have them run `kallyai-mcp login` in a terminal. Then again.",
            "Run 'kallyai-mcp login'. Then again.",
        ),
    ],
)
def test_of_two_ways_to_sign_in_the_terminals_is_told(
    next_step: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(HISTORY, FakeProgram(SignInRequired("Not signed in.", next_step=next_step))) == 3
    assert capsys.readouterr().err.splitlines() == ["Error: Not signed in.", told]


def test_json_prints_the_answer_as_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"items": [{"name": "Café \U0001f600", "note": HOSTILE}], "total": 1}
    assert run(["run", "credits", "balance", "--json"], FakeProgram(answer)) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == answer
    assert err == ""
    assert "Café" in out
    assert not set(out) & set("\x1b\x9b\r\u202e\x07")


def test_json_tells_errors_as_json_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    error = ApiError("No.", next_step="Wait.", code="quota_exceeded", http_status=402, correlation_id="c-1")
    assert run([*HISTORY, "--json"], FakeProgram(error)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == error.as_dict()
    assert run(["run", "nonsense", "--json"], FakeProgram()) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "invalid_arguments"


def test_after_two_dashes_json_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "ask", "--", "--json"], FakeProgram(KallyError("No.", next_step="Wait."))) == 1
    assert capsys.readouterr().err == "Error: No.\nWait.\n"


def test_calendar_file_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    program = FakeProgram(Result({"uri": "kallyai://x"}, "", File("kallyai://x", "text/calendar", text)))
    assert run(["run", "calls", "calendar", "c_1"], program) == 0
    assert capsys.readouterr().out == text
    assert run(["run", "calls", "calendar", "c_1", "--json"], program) == 0
    assert json.loads(capsys.readouterr().out) == {"uri": "kallyai://x", "text": text}


def test_empty_answer_says_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "calls", "stop", "c_1"], FakeProgram(None)) == 0
    assert capsys.readouterr().out == "Done.\n"


def test_shortened_answer_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(HISTORY, FakeProgram(Result({"items": []}, "", cut=("items is cut.",)))) == 0
    out, err = capsys.readouterr()
    assert out == "Items  none\n"
    assert "items is cut." in err


def test_login_shows_address_and_code_and_waits(capsys: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram(replies=dict(SIGNED_OUT))
    assert run(["login"], program) == 0
    out = capsys.readouterr().out
    assert program.signing_in.finished
    assert "https://kallyai.com/activate" in out
    assert "WDJB-MJHT" in out
    assert out.endswith("Signed in.\n")


@pytest.mark.parametrize("argv", [["login", "--json"], ["run", "login", "--json"]])
def test_login_for_scripts_prints_one_object_a_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv, FakeProgram(replies=dict(SIGNED_OUT))) == 0
    pending, done = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert pending == {
        "status": "pending",
        "verification_uri": "https://kallyai.com/activate",
        "user_code": "WDJB-MJHT",
        "expires_in": 600,
        "message": "Open the page and enter the code.",
    }
    assert done == {"status": "authenticated", "message": "Signed in."}


def test_login_of_somebody_signed_in_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram(replies=dict(SIGNED_IN))
    assert run(["login"], program) == 0
    assert not program.signing_in.finished
    assert "Already signed in." in capsys.readouterr().out


def test_login_starts_anew_where_the_tokens_are_of_no_use() -> None:
    program = FakeProgram(replies={"auth-status": SignInRequired("Over.", next_step="Sign in.")})
    assert run(["login"], program) == 0
    assert program.signing_in.finished


def test_refused_login_is_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    failure = SignInFailed("The sign-in was refused on the page.", next_step="Ask the user.")
    assert run(["login"], FakeProgram(replies=dict(SIGNED_OUT), signing_in=FakeSignIn(failure))) == 3
    assert "refused on the page" in capsys.readouterr().err


def test_logout_says_what_became_of_the_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram({"status": "logged_out", "message": "Gone."})
    assert run(["logout"], program) == 0
    assert capsys.readouterr().out == "Gone.\n"
    assert program.runs == [("logout", {})]


def test_status_tells_whether_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"], FakeProgram(replies=dict(SIGNED_IN))) == 0
    out = capsys.readouterr().out
    assert "Signed in   yes\n" in out
    assert "https://api.kallyai.com" in out
    assert run(["status", "--json"], FakeProgram(replies=dict(SIGNED_OUT))) == 3
    told = json.loads(capsys.readouterr().out)
    assert told.pop("acts").keys() == {"approval", "problem"}
    assert told == {"authenticated": False, "service": "https://api.kallyai.com"}


def test_status_with_check_asks_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    balance: Reply = {"credits_remaining": 12.5, "other": 1}
    program = FakeProgram(replies={**SIGNED_IN, "credits balance": balance})
    assert run(["status", "--check", "--json"], program) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["works"], told["credits_remaining"]) == (True, 12.5)
    program = FakeProgram(replies=SIGNED_IN | {"credits balance": SignInRequired("Over.", next_step="Sign in.")})
    assert run(["status", "--check"], program) == 3
    assert "Over." in capsys.readouterr().err


def test_tools_are_listed_by_domain_as_names_and_as_definitions(capsys: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram()
    names = list(exposed().listed)
    assert run(["tools", "--names"], program) == 0
    assert capsys.readouterr().out.split() == names
    assert run(["tools", "--json"], program) == 0
    told = json.loads(capsys.readouterr().out)
    assert [tool["name"] for tool in told["tools"]] == names
    assert told["tokens"] == sum(tool["tokens"] for tool in told["tools"]) == sum(exposed().tokens.values())
    assert told["commands"] == len(names)
    assert run(["tools"], program) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in names)
    make = next(line for line in out.splitlines() if line.startswith("kallyai_calls_make "))
    assert make.split("  ")[-1].strip() == "changes, contacts people, costs credits"


def test_sandbox_gets_its_options() -> None:
    program = FakeProgram()
    argv = ["sandbox", "--port", "9000", "--data", "w.db", "--seed", "7", "--speed", "inf", "--start", "fixed"]
    assert run(argv, program) == 0
    assert program.options == {"port": 9000, "seed": 7, "speed": float("inf"), "start": "fixed"}
    assert program.settings is not None
    assert program.settings.sandbox_data == Path("w.db")


@pytest.mark.parametrize("argv", [["sandbox", "--port", "x"], ["sandbox", "--speed", "nan"], ["demo", "--pace", "-1"]])
def test_option_that_is_no_number_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    program = FakeProgram()
    assert run(argv, program) == 2
    assert program.options == {}
    assert f"{argv[1]} must be" in capsys.readouterr().err


def test_demo_returns_its_own_status() -> None:
    program = FakeProgram()
    assert run(["demo", "--pace", "0.5"], program) == 7
    assert program.options == {"pace": 0.5}


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_completion_knows_commands_options_and_enumerations(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell], FakeProgram()) == 0
    script = capsys.readouterr().out
    for word in ("reschedule", "party-size", "restaurant", "token-file", "status", "repeat-of", "verify", "revoke"):
        assert word in script


def test_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "cmd"], FakeProgram()) == 2
    assert "bash, zsh, tcsh, fish" in capsys.readouterr().err
