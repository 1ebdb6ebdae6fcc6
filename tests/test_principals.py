"""Every storage function takes the account that it is for, or belongs to an object that is bound to one.

What there is, is found by inspection: a new function that reaches rows without an account turns this red. An exemption
needs a reason, and one that is no longer needed turns it red, too.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from typing import TYPE_CHECKING, Any

import pytest

import kallyai_mcp.journal
import kallyai_mcp.shared
from kallyai_mcp.journal import schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PACKAGES = (kallyai_mcp.journal, kallyai_mcp.shared)
ACCOUNT = "account"

GROUND = "hands out transactions, in which statements name the account"
CONNECTIONS = "is about connections, and reaches no table of anybody's rows"
PROCESSES = "tells which processes live; its rows are theirs and nobody's"
OPERATOR = "is the operator's, in a terminal, for all accounts together"
TIDY = "removes what is over, whosever it is, and tells nothing of it"
LOG = "the log is one chain of all accounts' lines, and its head is nobody's"
NO_ROWS = "reaches no rows"

EXEMPT = {
    "journal.acts.forget": TIDY,
    "journal.approvals.forget": TIDY,
    "journal.approvals.pending": OPERATOR,
    "journal.beginning._stands": "judges a row that was found for the account",
    "journal.database.Database": GROUND,
    "journal.database._Lane": CONNECTIONS,
    "journal.database.Transaction": GROUND,
    "journal.journal.Journal.pending": OPERATOR,
    "journal.journal.Journal.verify": OPERATOR,
    "journal.keeping.Keeping.aclose": NO_ROWS,
    "journal.keeping.Keeping.forget": TIDY,
    "journal.lives.Lives": PROCESSES,
    "journal.postgresql.PostgreSQL": GROUND,
    "journal.postgresql._Held": GROUND,
    "journal.postgresql_patience.PatientConnection": CONNECTIONS,
    "journal.postgresql_patience.Pulse": CONNECTIONS,
    "journal.postgresql_pool.Pool": CONNECTIONS,
    "journal.postgresql_transaction.PostgreSQLTransaction": GROUND,
    "journal.postgresql_transaction.TransactionLives": PROCESSES,
    "journal.postgresql_trouble.Place": NO_ROWS,
    "journal.presence.Presence": PROCESSES,
    "journal.verification.verify": OPERATOR,
    "shared.changes.Changes.aclose": NO_ROWS,
    "shared.changes.Changes.heard": "is the server's, which tells each client only what concerns its account",
    "shared.changes.NotifiedChanges.heard": "as that of Changes",
    "shared.keys.KeyRing.read": NO_ROWS,
    "shared.operating._pending_after": OPERATOR,
    "shared.operating._token_after": OPERATOR,
    "shared.shared.Shared.aclose": NO_ROWS,
    "shared.shared.Shared.open": NO_ROWS,
    "shared.shared.Shared.problems": "looks whether the database answers, at a row that is nobody's",
    "shared.shared.Shared.rotate": OPERATOR,
    "shared.sweeping.Sweeper": TIDY,
}
"""Functions, methods, or whole classes, each with the reason why no account is given."""

FOUND = "changes the row that was found for the account before, in the same transaction"

EXEMPT_STATEMENTS = {
    "journal.acts._FORGET": TIDY,
    "journal.approvals._ASK_ANEW": FOUND,
    "journal.approvals._DECIDE": FOUND,
    "journal.approvals._FORGET": TIDY,
    "journal.approvals._PENDING": OPERATOR,
    "journal.approvals._USE": FOUND,
    "journal.postgresql_transaction._SWEEP": PROCESSES,
    "journal.receipts.ALL": LOG,
    "journal.receipts._AFTER": OPERATOR,
    "journal.receipts._LAST": LOG,
    "shared.operating._OLD": OPERATOR,
    "shared.operating._OLD_PENDING": OPERATOR,
    "shared.sweeping.SWEEPS": TIDY,
}
"""Constants that hold such a statement, each with the reason."""


def modules() -> list[ModuleType]:
    """All modules of the packages."""
    return [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for package in PACKAGES
        for found in pkgutil.iter_modules(package.__path__)
    ]


def short(module: ModuleType) -> str:
    """The name of a module without that of the program."""
    return module.__name__.removeprefix("kallyai_mcp.")


def takes_account(function: Any) -> bool:
    """Whether a function is told whose rows it is to reach."""
    return ACCOUNT in inspect.signature(function).parameters


def reaches_rows(function: Any) -> bool:
    """Whether a function runs statements."""
    annotations = (str(each.annotation) for each in inspect.signature(function).parameters.values())
    return any("Transaction" in annotation for annotation in annotations)


def is_plain(kind: type) -> bool:
    """Whether a class is an error, or a record of facts, or only says what others must be able to do."""
    facts = vars(kind)
    if "__dataclass_fields__" in facts or facts.get("_is_protocol"):
        return True
    return issubclass(kind, BaseException | tuple)


def public(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods that a class itself defines; properties tell facts of the object."""
    for name, found in vars(kind).items():
        function: Any = getattr(found, "__func__", found)  # of a class method
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def without_account() -> list[str]:
    """All that reaches, or might reach, rows without being told whose; a class counts once it is all like that."""
    found: list[str] = []
    for module in modules():
        for name, each in vars(module).items():
            if getattr(each, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(each) and reaches_rows(each) and not takes_account(each):
                found.append(f"{short(module)}.{name}")
            if inspect.isclass(each) and not is_plain(each) and not takes_account(each.__init__):
                found += [f"{short(module)}.{name}.{own}" for own, method in public(each) if not takes_account(method)]
    return found


def exemption_of(name: str) -> str:
    """The exemption that holds for a name: its own, or its class's."""
    return name if name in EXEMPT else name.rpartition(".")[0]


def test_every_storage_function_is_told_whose_rows_it_reaches() -> None:
    found = without_account()
    assert [name for name in found if exemption_of(name) not in EXEMPT] == []
    assert set(EXEMPT) - {exemption_of(name) for name in found} == set(), "exempt and gone, or told by now"


def tables_of_people() -> set[str]:
    """Every table with an account in its rows, and what is made of them."""
    own: set[str] = set()
    for statement in (statement for step in schema.STEPS for statement in step):
        if (made := re.match(r"\s*CREATE (TABLE|VIEW) (\w+)", statement)) is None:
            continue
        of_people = "account TEXT" if made[1] == "TABLE" else rf"FROM ({'|'.join(own)})\b"
        if re.search(rf"\b{of_people}", statement):
            own.add(made[2])
    return own


def statements() -> Iterator[tuple[str, str]]:
    """Every constant that is a statement about such a table, by the name of what it stands in."""
    about = re.compile(rf"\b(?:FROM|INTO|UPDATE|JOIN)\s+({'|'.join(sorted(tables_of_people()))})\b")
    for module in modules():
        if short(module) in {"journal.schema", "journal.postgresql_schema"}:
            continue
        for top in ast.parse(inspect.getsource(module)).body:
            name = ast.unparse(top.targets[0]) if isinstance(top, ast.Assign) else getattr(top, "name", "")
            for node in ast.walk(top):
                text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
                if re.match(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", text) and about.search(text):
                    yield f"{short(module)}.{name}", text


def test_every_statement_about_peoples_rows_names_the_account() -> None:
    assert tables_of_people() > {"act", "approval", "token", "pending", "outstanding", "rate", "receipt", "stop"}
    without = {name for name, statement in statements() if ":account" not in statement}
    assert without - set(EXEMPT_STATEMENTS) == set()
    assert set(EXEMPT_STATEMENTS) - without == set()


@pytest.mark.parametrize("name", ["journal.journal.Journal.pending", "shared.sweeping.Sweeper"])
def test_without_its_exemption_a_function_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(EXEMPT, name)
    with pytest.raises(AssertionError):
        test_every_storage_function_is_told_whose_rows_it_reaches()
