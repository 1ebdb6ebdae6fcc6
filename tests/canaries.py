"""Made-up secrets and personal texts, each unlike anything else, and where they are looked for."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ACCESS = "at/Canary+7qZ=x9"
REFRESH = "rt~Canary'8wY%e3"
NEW_ACCESS = "at/Second+5kJ=m1"
NEW_REFRESH = "rt~Second'2hN%b6"
DEVICE = "dc!Canary&4vU?d2"
SECRETS = (ACCESS, REFRESH, NEW_ACCESS, NEW_REFRESH, DEVICE)

PHONE = "+12025550187"
MAIL = "canary.person@bistro.example"
WORDS = "Sag Jürgen, „der Kanarienvogel“ singt heute"
PERSONAL = (PHONE, PHONE[1:], MAIL, WORDS)


def forms(text: str) -> set[str]:
    """Return a text as it may be written: plain, JSON, Python, percent-encoded, hexadecimal and in base64."""
    content = text.encode()
    found = written_forms(text) | {content.hex(), content.hex().upper()}
    for before in range(3):
        # Only what does not depend on the neighbours, for each way in which three bytes may meet it.
        first, end = -(-8 * before // 6), 8 * (before + len(content)) // 6
        for encode in (b64encode, urlsafe_b64encode):
            found.add(encode(b"\0" * before + content).decode()[first:end])
    return found


def written_forms(text: str) -> set[str]:
    """Return a text as it may be written where it can still be told from others without knowing it."""
    found = {text, json.dumps(text)[1:-1], repr(text)[1:-1], quote(text, safe=""), quote(text), quote_plus(text)}
    return found | {"".join(f"%{byte:02x}" for byte in text.encode())}


def spilled(said: str, canaries: Iterable[str], spelled: Callable[[str], set[str]] = forms) -> set[str]:
    """Return what occurs in a text in any of its forms."""
    return {canary for canary in canaries if any(form in said for form in spelled(canary))}


def echo(canaries: Iterable[str]) -> str:
    """Return a text that quotes each of them plainly and in every encoding."""
    return " | ".join(form for canary in canaries for form in sorted(forms(canary)))


def header_safe(text: str) -> str:
    """Return a text as it may stand in a header."""
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable())


def files_under(folder: Path, spare: Iterable[Path] = ()) -> dict[str, str]:
    """Return what is in every file, but those which are to be spared."""
    left_out = set(spare)
    return {
        str(path): path.read_bytes().decode("utf-8", "replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path not in left_out
    }


def command_lines(process: int) -> list[str]:
    """Return the command lines of a process and of its children, where the system shows them."""
    folder = Path("/proc")
    found = [str(process)]
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            except (OSError, IndexError):
                continue
            if parent == str(process):
                found.append(entry.name)
    lines: list[str] = []
    for name in found:
        try:
            lines.append((folder / name / "cmdline").read_bytes().decode("utf-8", "replace"))
        except OSError:
            continue
    return lines


def told(result: Mapping[str, Any]) -> str:
    """Return an error's whole frame as it went over the wire, and its texts as they are read."""
    texts = [part.get("text", "") for part in result.get("content", [])]
    return "\n".join([json.dumps(result), json.dumps(result, ensure_ascii=False), *texts])


def browser(folder: Path) -> Path:
    """Make a program that stands for a browser and writes down its arguments and its environment."""
    program = folder / "browser"
    program.write_text(
        f'#!/bin/sh\n{{ printf "%s\\n" "$@"; env; tr "\\0" "\\n" < /proc/$PPID/environ; }} '
        f"> {folder}/browser.part 2>&1\n"
        f"mv {folder}/browser.part {folder}/browser.told\n"
    )
    program.chmod(0o700)
    return program
