"""The documents for users: what they link to, print, name and show exists and works."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from kallyai_mcp import catalog
from kallyai_mcp.cli.parser import build_parser
from kallyai_mcp.cli.text import PROGRAM
from kallyai_mcp.sandbox.app import create_app
from kallyai_mcp.sandbox.world import World
from kallyai_mcp.settings import CREDENTIAL_VARIABLES, SETTINGS

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KNOWN_VARIABLES = {*(setting.variable for setting in SETTINGS), *CREDENTIAL_VARIABLES}


@dataclass(frozen=True)
class Block:
    """A fenced block: its document, language, and text."""

    document: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}: {self.text.strip().splitlines()[0][:40]}"


def blocks(*languages: str) -> list[Block]:
    found = [
        Block(str(path.relative_to(ROOT)), language, text)
        for path in DOCUMENTS
        for language, text in re.findall(
            r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
    ]
    return [block for block in found if block.language in languages]


def prose(path: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links() -> list[tuple[Path, str]]:
    return [(path, target) for path in DOCUMENTS for target in re.findall(r"\]\(([^)\s]+)\)", prose(path))]


def command_lines() -> list[tuple[str, list[str]]]:
    """Return what `sh` blocks and inline code type: the document, and the words of one command."""
    lines = [
        (block.document, line)
        for block in blocks("sh")
        for line in block.text.replace("\\\n", " ").split("\n")
        if line.startswith((PROGRAM, "make", "claude", "docker"))
    ]
    for path in DOCUMENTS:
        name = str(path.relative_to(ROOT))
        typed = re.findall(r"`((?:kallyai-mcp|make|claude mcp add) [^`]+)`", prose(path))
        lines += [(name, line) for line in typed if not line.endswith("…")]
    return [(document, shlex.split(line, comments=True)) for document, line in lines]


def test_there_are_documents_to_check() -> None:
    assert [path.name for path in DOCUMENTS][:1] == ["README.md"]
    assert ROOT / "docs" / "sandbox.md" in DOCUMENTS
    assert command_lines()


@pytest.mark.parametrize(("path", "target"), links(), ids=lambda value: getattr(value, "name", value))
def test_every_link_within_the_repository_leads_somewhere(path: Path, target: str) -> None:
    if re.match(r"[a-z]+:", target):
        assert target.startswith("https://")
        return
    file, _, anchor = target.partition("#")
    aim = (path.parent / file).resolve() if file else path
    assert aim.is_relative_to(ROOT)
    assert aim.exists()
    if anchor:
        assert anchor in anchors(aim)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_every_json_block_parses(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_every_toml_block_parses(block: Block) -> None:
    assert tomllib.loads(block.text)


def test_every_language_of_a_block_is_one_that_is_checked() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    opened = re.findall(r"^```(\w*)$", text, re.MULTILINE)[::2]

    assert set(opened) <= {"sh", "json", "toml", "python", "text"}


@pytest.mark.parametrize("block", blocks("text"), ids=str)
def test_every_diagram_fits_a_page(block: Block) -> None:
    assert max(map(len, block.text.splitlines())) <= 100


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = {words[1] for _, words in command_lines() if words[0] == "make"}

    assert named
    assert named <= targets


def own_command_lines() -> list[tuple[str, list[str]]]:
    """Return the command lines of this program, also those after a host's own words (`claude mcp add … -- …`)."""
    found: list[tuple[str, list[str]]] = []
    for document, words in command_lines():
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if PROGRAM in words and words[0] in (PROGRAM, "claude"):
            at = len(words) - words[::-1].index(PROGRAM) if words[0] == "claude" else 1
            found.append((document, words[at:]))
    return found


@pytest.mark.parametrize(("document", "words"), own_command_lines(), ids=str)
def test_every_command_line_is_one_that_the_program_takes(
    document: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        build_parser().parse_args(words)
    except SystemExit as end:  # --help and --version print and leave
        assert end.code in (0, None), capsys.readouterr().err  # noqa: PT017 - parsing may also succeed


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_tool_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bkallyai_(?!mcp\b|sandbox_|token\b)[a-z0-9_]*[a-z0-9]\b", path.read_text("utf-8")))

    assert named <= set(catalog.by_tool())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_variable_named_exists(path: Path) -> None:
    named = set(re.findall(r"\bKALLYAI_[A-Z_]*[A-Z]\b", path.read_text("utf-8")))

    assert named <= KNOWN_VARIABLES


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_part_of_the_package_named_exists(path: Path) -> None:
    text = re.sub(r"https://[^)\s]+", "", path.read_text("utf-8"))
    for named in re.findall(r"\b(?:kallyai_mcp|tests|bench|docs|tool_schemas)/[\w/.<>-]*", text):
        pattern = re.sub(r"<\w+>", "*", named.rstrip("."))
        assert list(ROOT.glob(pattern)), named
    for named in re.findall(r"`(kallyai_mcp(?:\.\w+)+)`", text):
        module, _, name = named.rpartition(".")
        assert hasattr(importlib.import_module(module), name) or importlib.import_module(named)


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_every_python_snippet_compiles_and_its_imports_resolve(block: Block) -> None:
    tree = ast.parse(block.text)
    compile(tree, block.document, "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def requests_shown() -> list[tuple[str, str, str | None]]:
    """Return what the `curl` lines of the documents send: method, path, body."""
    found: list[tuple[str, str, str | None]] = []
    for block in blocks("sh"):
        for line in re.split(r"\n(?=\w)", block.text.replace("\\\n", " ")):
            words = shlex.split(line, comments=True)
            if words[:1] != ["curl"]:
                continue
            body = words[words.index("-d") + 1] if "-d" in words else None
            method = words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
            address = next(word for word in words if word.startswith("http"))
            found.append((method, re.sub(r"^http://127\.0\.0\.1:8770", "", address), body))
    return found


def test_every_request_shown_has_a_place_in_the_sandbox() -> None:
    world = World(areas=())
    controls = {
        (method, path)
        for route in create_app(world).routes
        for path in [getattr(route, "path", "")]
        for method in getattr(route, "methods", None) or ()
    }
    world.close()
    commands = {(command.method, f"/{command.path.lstrip('/')}") for command in catalog.all_commands() if command.path}

    assert requests_shown()
    for method, path, body in requests_shown():
        assert (method, path) in (controls if path.startswith("/sandbox") else commands)
        assert body is None or json.loads(body)
