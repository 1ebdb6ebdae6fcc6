"""The exporter: what it writes, what it notices, what it leaves alone."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kallyai_mcp import catalog
from kallyai_mcp.errors import OWN_CODES, KallyError
from kallyai_mcp.export import MissingMarker
from kallyai_mcp.export.__main__ import main, sandbox_facts
from kallyai_mcp.export.documents import fill
from kallyai_mcp.export.registry import links
from kallyai_mcp.export.sandbox_tables import SUBJECTS, controls, faults, numbers_and_phrases, triggers
from kallyai_mcp.export.sign_in_tables import REMEDIES, SETTINGS_SHOWN, signing_in_sections
from kallyai_mcp.export.tables import errors, marks, settings, tools
from kallyai_mcp.hosts import find_host, variables_for
from kallyai_mcp.model import tool_definition
from kallyai_mcp.model.codes import CODES, STATUS_FALLBACKS
from kallyai_mcp.settings import CREDENTIAL_VARIABLES, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

ABOUT_SIGNING_IN = ("sign_in_", "token_", "keyring_", "refresh_", "port_")
SECTIONS = {
    "README.md": ("toolsets", "tools", "settings", "errors", "sandbox numbers", "hosts", "one-click links"),
    "docs/sandbox.md": ("sandbox triggers", "sandbox faults", "sandbox controls"),
    "docs/signing-in.md": ("sign-in settings", "sign-in errors"),
}
PLACES = [(document, name) for document, names in SECTIONS.items() for name in names]


def before(document: str) -> str:
    """Return a document whose generated parts have not been written yet."""
    return "# A title\n\nBy hand.\n\n" + "\n".join(
        f"## {name}\n\n<!-- generated: {name} -->\n<!-- end -->\n" for name in SECTIONS[document]
    )


@dataclass(frozen=True)
class Number:
    number: str
    outcome: str
    meaning: str


@dataclass(frozen=True)
class Phrase:
    phrase: str
    code: str
    meaning: str


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package's folder in a checkout whose generated files have not been written yet."""
    (tmp_path / "pyproject.toml").touch()
    for document in SECTIONS:
        (tmp_path / document).parent.mkdir(exist_ok=True)
        (tmp_path / document).write_text(before(document), encoding="utf-8")
    return tmp_path / "kallyai_mcp"


@pytest.fixture
def root(package: Path) -> Path:
    """A checkout whose generated files are as they should be."""
    assert main([], package) == 0
    return package.parent


def test_one_schema_file_is_written_per_tool(root: Path) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in (root / "tool_schemas").iterdir()}

    assert written.keys() == {f"{command.tool}.json" for command in catalog.all_commands()}
    for command in catalog.all_commands():
        expected = json.dumps(tool_definition(command), indent=2, ensure_ascii=False) + "\n"
        assert written[f"{command.tool}.json"] == expected


def test_check_passes_after_writing(package: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()

    assert main(["--check"], package) == 0
    assert capsys.readouterr() == ("", "")


def test_a_second_run_writes_nothing(package: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()

    assert main([], package) == 0
    assert capsys.readouterr().out == ""


def test_check_shows_a_changed_schema_and_leaves_it(
    package: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = root / "tool_schemas" / "kallyai_ask.json"
    changed = schema.read_text(encoding="utf-8").replace('"Ask assistant"', '"Something else"')
    schema.write_text(changed, encoding="utf-8")
    capsys.readouterr()

    assert main(["--check"], package) == 1
    shown = capsys.readouterr().out
    assert '-  "title": "Something else",' in shown
    assert '+  "title": "Ask assistant",' in shown
    assert schema.read_text(encoding="utf-8") == changed


def test_check_notices_a_missing_schema(package: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "tool_schemas" / "kallyai_ask.json").unlink()

    assert main(["--check"], package) == 1
    assert "+++ tool_schemas/kallyai_ask.json" in capsys.readouterr().out


def test_a_stale_schema_is_noticed_and_then_removed(
    package: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = root / "tool_schemas" / "kallyai_gone.json"
    stale.write_text("{}\n", encoding="utf-8")

    assert main(["--check"], package) == 1
    assert "--- tool_schemas/kallyai_gone.json" in capsys.readouterr().out
    assert stale.exists()

    assert main([], package) == 0
    assert not stale.exists()


def test_check_notices_a_changed_part_of_the_readme(
    package: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = root / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("| `kallyai_ask` |", "| `kallyai_say` |"), "utf-8")

    assert main(["--check"], package) == 1
    assert "-| `kallyai_say` |" in capsys.readouterr().out


def test_a_long_difference_is_cut_short(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], package) == 1
    shown = capsys.readouterr().out
    assert "lines more" in shown
    assert not (package.parent / "tool_schemas").exists()


@pytest.mark.parametrize("document", SECTIONS)
def test_what_stands_outside_the_markers_is_left_alone(root: Path, document: str) -> None:
    text = (root / document).read_text(encoding="utf-8")

    first = SECTIONS[document][0]
    assert text.startswith(f"# A title\n\nBy hand.\n\n## {first}\n\n<!-- generated: {first} -->\n")
    for name in SECTIONS[document]:
        assert f"## {name}\n\n<!-- generated: {name} -->\n" in text


@pytest.mark.parametrize(("document", "name"), PLACES)
def test_a_missing_marker_is_named_and_nothing_is_written(
    package: Path, document: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = before(document).replace(f"<!-- generated: {name} -->\n", "")
    (package.parent / document).write_text(text, encoding="utf-8")

    assert main([], package) == 2
    assert f"{document} has no line <!-- generated: {name} -->" in capsys.readouterr().err
    assert not (package.parent / "tool_schemas").exists()


@pytest.mark.parametrize(
    "text",
    ["<!-- generated: a -->\n", "<!-- generated: a -->\n<!-- generated: b -->\n<!-- end -->\n"],
)
def test_a_missing_end_marker_is_named(text: str) -> None:
    with pytest.raises(MissingMarker, match="<!-- end -->"):
        fill("README.md", text, {"a": "x"})


def test_check_notices_a_changed_part_of_the_guide(
    package: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guide = root / "docs" / "sandbox.md"
    guide.write_text(guide.read_text(encoding="utf-8").replace("| `drop` |", "| `fall` |"), "utf-8")

    assert main(["--check"], package) == 1
    assert "-| `fall` |" in capsys.readouterr().out


def test_without_a_checkout_it_says_that_it_needs_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], tmp_path / "site-packages" / "kallyai_mcp") == 2
    assert "needs a source checkout" in capsys.readouterr().err


def test_every_tool_has_a_row_that_says_what_it_does() -> None:
    rows = [line for line in tools().splitlines() if line.startswith("| `")]

    assert [row.split("`")[1] for row in rows] == [command.tool for command in catalog.all_commands()]
    for row in rows:
        _, what, effect = (cell.strip() for cell in row.strip("| ").split(" | "))
        assert what.endswith((".", "!", "?"))
        assert effect.split(", ")[0] in {"reads", "changes", "destroys"}


def test_marks_name_what_a_run_costs_and_whom_it_reaches() -> None:
    by_tool = catalog.by_tool()

    assert marks(by_tool["kallyai_calls_make"]) == ["changes", "spends credits", "contacts people"]
    assert marks(by_tool["kallyai_phone_forwarding"]) == ["changes", "diverts"]
    assert marks(by_tool["kallyai_subscription_change_plan"]) == ["changes", "costs money"]
    assert marks(by_tool["kallyai_credits_costs"]) == ["reads", "needs no sign-in"]


def test_every_setting_has_a_row_with_flag_and_default() -> None:
    table = settings()

    assert "| `--sandbox` | `KALLYAI_SANDBOX` | `off` | Work with a KallyAI embedded" in table
    for variable in (*(setting.variable for setting in SETTINGS), *CREDENTIAL_VARIABLES):
        assert f"| `{variable}` |" in table


def test_every_code_has_a_row() -> None:
    table = errors()

    own = {kind.code for kind in (KallyError, *KallyError.__subclasses__()) if kind.__module__ == KallyError.__module__}
    for code in (*CODES, *own):
        assert f"\n| `{code}` |" in table


def test_sandbox_numbers_are_shown_with_their_outcome() -> None:
    table = numbers_and_phrases(
        [Number("+12025550101", "busy", "Is engaged | rings off.")], [Phrase("threaten", "x", "y")]
    )

    assert "| `+12025550101` | `busy` | Is engaged \\| rings off. |" in table
    assert "| threaten | `x` | y |" in table


def test_every_trigger_fault_and_control_of_the_sandbox_has_a_row() -> None:
    facts = sandbox_facts()
    triggered, failing, controlled = (
        triggers(facts.triggers),
        faults(facts.faults, facts.fault_settings),
        controls(facts.controls),
    )

    for trigger in facts.triggers:
        assert f"| {SUBJECTS[trigger.subject]} | {trigger.value} | {trigger.meaning} |" in triggered
    assert "| `drop` | Close the connection before anything is done. |" in failing
    assert "| `latency=` | Wait so many seconds first. |" in failing
    assert "| `POST /sandbox/reset` | Begin a new world: " in controlled
    assert "| `DELETE /sandbox/faults` | Disarm all faults and errors. |" in controlled


def test_every_error_around_signing_in_has_a_row_with_a_remedy() -> None:
    assert {code for code in OWN_CODES if code.startswith(ABOUT_SIGNING_IN)} <= REMEDIES.keys() <= OWN_CODES.keys()
    page = signing_in_sections()["sign-in errors"]
    refusals = [code for code in (*CODES.values(), *STATUS_FALLBACKS.values()) if code.http_status in {401, 403}]
    assert {code.http_status for code in refusals} == {401, 403}
    for code in (*REMEDIES, *(refusal.code for refusal in refusals)):
        assert f"| `{code}` |" in page
    assert all(cell.strip() for line in page.splitlines() for cell in line.strip("|").split(" | "))


def test_the_settings_of_the_page_about_signing_in_are_shown_as_in_the_readme() -> None:
    rows = signing_in_sections()["sign-in settings"].splitlines()[2:]
    assert len(rows) == len(SETTINGS_SHOWN)
    assert set(rows) <= set(settings().splitlines())


def test_one_click_connects_a_host_as_its_command_does() -> None:
    found = re.findall(r"\((https://\S+)\)", links())
    for number, link in enumerate(found):
        name, entry = ("cursor", "vscode")[number // 2], _entry(link)
        suited = variables_for(find_host(name), {})
        assert (entry["command"], entry["args"]) == ("uvx", ["kallyai-mcp"])
        assert suited["KALLYAI_SURFACE"] == "search"
        assert suited.items() <= entry["env"].items()
        assert ("KALLYAI_SANDBOX" in entry["env"]) is bool(number % 2)


def _entry(link: str) -> dict[str, Any]:
    (config,) = parse_qs(urlsplit(link).query)["config"]
    return json.loads(config if config.startswith("{") else base64.b64decode(config))
