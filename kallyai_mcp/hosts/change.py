"""A change of a host's configuration: worked out first, shown, then made.

Nothing is remembered elsewhere. Before the first change the file is copied beside itself; when an entry is taken out
and the copy, with the entry put in, is exactly the file, the copy is put back byte for byte. In any other case the
entry alone is cut out.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from kallyai_mcp.errors import InvalidSettings
from kallyai_mcp.hosts import documents, files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kallyai_mcp.hosts.host import Host


@dataclass(frozen=True, slots=True)
class Change:
    """What is to happen to one file.

    Attributes:
        path: The file.
        before: What it holds; None where there is none.
        after: What it is to hold; None where it is to go.
        backup: What is to be kept beside it; None where nothing is to be kept anew.
        drop_backup: Whether the copy beside it has served its purpose.
    """

    path: Path
    before: bytes | None
    after: bytes | None
    backup: bytes | None = None
    drop_backup: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether anything is to change."""
        return self.before != self.after

    def diff(self) -> str:
        """Return the change as a unified diff."""
        old, new = ((text or b"").decode().splitlines() for text in (self.before, self.after))
        names = [str(self.path) if text is not None else "/dev/null" for text in (self.before, self.after)]
        return "\n".join(difflib.unified_diff(old, new, *names, n=2, lineterm=""))

    def make(self) -> None:
        """Make the change; the copy is there before the file is touched.

        Raises:
            InvalidSettings: The file is no longer what it was, or the system refuses; the file is as it was.
        """
        if not self.is_needed:
            return
        copy = files.backup_of(self.path)
        if self.backup is not None:
            files.replace(copy, files.load(copy), self.backup)
        if self.after is None:
            assert self.before is not None  # noqa: S101 - what is not there is not removed
            files.remove(self.path, self.before)
        else:
            files.replace(self.path, self.before, self.after)
        if self.drop_backup and (content := files.load(copy)) is not None:
            files.remove(copy, content)


def plan_install(host: Host, path: Path, entry: Mapping[str, Any], name: str) -> Change:
    """Work out how the entry gets into the file.

    Raises:
        InvalidSettings: The file is malformed, or is not to be touched.
    """
    before = files.load(path)
    text = "" if before is None else files.text_of(path, before)
    existing = documents.found(_read(host, path, text), [*host.key, name])
    if existing == entry:
        return Change(path, before, before)
    after = _put(host, path, text, name, dict(entry)).encode()
    keep = before
    if (
        existing is not None
        and before is not None
        and (_origin(host, path, before, name, existing) is not None or _copy_has(host, path, name))
    ):
        keep = None  # the copy shows the file before this program came, or holds what the user had here: it stays
    return Change(path, before, after, backup=keep)


def plan_uninstall(host: Host, path: Path, name: str) -> Change:
    """Work out how the entry gets out of the file; the change is none where there is no entry.

    Raises:
        InvalidSettings: The file is malformed, or is not to be touched.
    """
    before = files.load(path)
    if before is None:
        return Change(path, None, None)
    text = files.text_of(path, before)
    existing = documents.found(_read(host, path, text), [*host.key, name])
    if existing is None:
        return Change(path, before, before)
    origin = _origin(host, path, before, name, existing)
    if origin is not None:
        return Change(path, before, origin, drop_backup=True)
    if _put(host, path, "", name, existing).encode() == before:
        return Change(path, before, None)  # the whole file was made for the entry
    return Change(path, before, _without(host, path, text, name).encode())


def entry_in(host: Host, path: Path, name: str) -> Any:
    """Return the entry that stands in a file; None where there is none.

    Raises:
        InvalidSettings: The file is malformed, or cannot be read.
    """
    content = files.load(path)
    return (
        None if content is None else documents.found(_read(host, path, files.text_of(path, content)), [*host.key, name])
    )


def _origin(host: Host, path: Path, before: bytes, name: str, entry: Any) -> bytes | None:
    """Return the copy, where the file is that with the entry put in and nothing else."""
    try:
        copy = files.load(files.backup_of(path))
        if copy is None or documents.found(documents.editor(host.format).read(copy.decode()), [*host.key, name]):
            return None
        return copy if _put(host, path, copy.decode(), name, entry).encode() == before else None
    except (InvalidSettings, ValueError):
        return None


def _copy_has(host: Host, path: Path, name: str) -> bool:
    try:
        return entry_in(host, files.backup_of(path), name) is not None
    except InvalidSettings:
        return True  # it cannot be read, and may be all that is left of something


def _without(host: Host, path: Path, text: str, name: str) -> str:
    try:
        after = documents.drop(host.format, text, [*host.key, name])
        for depth in range(len(host.key), 0, -1):
            if _made_here(host, path, after, depth):
                after = documents.drop(host.format, after, host.key[:depth])
    except ValueError as error:
        raise _malformed(host, path, error) from None
    return after


def _made_here(host: Host, path: Path, text: str, depth: int) -> bool:
    """Whether the place of the entries is empty, and was not there before."""
    copy = files.load(files.backup_of(path))
    edit = documents.editor(host.format)
    if copy is None or documents.found(edit.read(text), host.key[:depth]) != {}:
        return False
    try:
        return documents.found(edit.read(copy.decode()), host.key[:depth]) is None
    except ValueError:
        return False


def _read(host: Host, path: Path, text: str) -> Any:
    try:
        data = documents.editor(host.format).read(text)
    except ValueError as error:
        raise _malformed(host, path, error) from None
    if data is None or isinstance(data, dict):
        return cast("Any", data)
    raise _malformed(host, path, ValueError("it holds no named settings"))


def _put(host: Host, path: Path, text: str, name: str, entry: Any) -> str:
    try:
        return documents.put(host.format, text, [*host.key, name], entry)
    except ValueError as error:
        raise _malformed(host, path, error) from None


def _malformed(host: Host, path: Path, error: ValueError) -> InvalidSettings:
    return files.refused(
        path,
        f"cannot be used as {host.format.value}: {str(error)[:200]}",
        f"Nothing was changed. Correct the file; {host.title} does not read it as it is, either.",
    )
