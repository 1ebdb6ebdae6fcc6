"""Questions to a person, and what they decided: one row each, used up once.

An identifier approves nothing: it names a question that only a person can answer.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from kallyai_mcp.errors import ActRefused
from kallyai_mcp.journal import receipts
from kallyai_mcp.journal.trouble import understood
from kallyai_mcp.model.acts import Consent
from kallyai_mcp.model.records import Approval, Note, Question

if TYPE_CHECKING:
    from pathlib import Path

    from kallyai_mcp.journal.storage import Row, Transaction

LIFETIME = 900.0
"""Seconds after which a question, and the consent to it, end by themselves."""

DECLINED_FOR = 600.0
"""Seconds for which a person who has declined an act is not asked again about the same."""

BY_A_PERSON = frozenset({Consent.ELICITATION, Consent.PAGE, Consent.TERMINAL})

_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Those of Crockford's base 32: none is taken for another, and none begins an option of a command line."""

_LENGTH = 32

_INSERT = """
INSERT INTO approval (id, account, tool, digest, question, created, expires, consent)
VALUES (:id, :account, :tool, :digest, :question, :created, :expires, :consent)
"""
_FIND = "SELECT * FROM approval WHERE account = :account AND id = :id"
_BEGINNING = "SELECT * FROM approval WHERE account = :account AND substr(id, 1, :length) = :prefix"
_OPEN = """
SELECT * FROM approval
WHERE account = :account AND decision IS NULL AND expires > :now
ORDER BY created, id
"""
_PENDING = "SELECT * FROM approval WHERE decision IS NULL AND expires > :now ORDER BY created, id"
_OF_ACT = """
SELECT * FROM approval
WHERE account = :account AND tool = :tool AND digest = :digest AND used IS NULL
  AND (expires > :now OR decided > :declined_since)
ORDER BY created DESC, id
"""
_ASK_ANEW = "UPDATE approval SET question = :question WHERE id = :id"
_DECIDE = "UPDATE approval SET decision = :decision, decided = :now, consent = :consent WHERE id = :id"
_USE = "UPDATE approval SET used = :now WHERE id = :id AND used IS NULL"
_FORGET = "DELETE FROM approval WHERE expires <= :before"


def ask(tx: Transaction, account: str, tool: str, digest: str, question: Question, lifetime: float) -> Approval:
    """Put a question to a person, or return the one about the same act that is open or agreed to.

    Raises:
        ActRefused: A person has declined the act just before ("approval_declined").
    """
    text = json.dumps(question.as_dict())
    for row in _of_act(tx, account, tool, digest):
        if row["decision"] == 0 and row["decided"] > tx.now - DECLINED_FOR:
            raise _declined(row["id"])
    for row in _of_act(tx, account, tool, digest):
        if row["expires"] > tx.now and row["decision"] != 0:
            if row["decision"] is None:
                tx.run(_ASK_ANEW, id=row["id"], question=text)
            return _require(tx, account, row["id"])
    identifier = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    tx.run(
        _INSERT,
        id=identifier,
        account=account,
        tool=tool,
        digest=digest,
        question=text,
        created=tx.now,
        expires=tx.now + lifetime,
        consent=str(Consent.NONE),
    )
    return _require(tx, account, identifier)


def decide(tx: Transaction, account: str, identifier: str, *, agreed: bool, how: Consent, shown: str) -> Approval:
    """Note what a person has decided; the first decision counts, and the same once more changes nothing.

    A yes is one to the text that was shown: it does not count where that has changed since. A no is one to the act.

    Raises:
        ActRefused: There is no such question, it is not open any more, or it is another one by now ("approval_used").
        ValueError: `how` is no way of a person.
    """
    if how not in BY_A_PERSON:
        raise ValueError(f"{how} is no decision of a person")
    approval = _require(tx, account, identifier)
    if approval.used is not None:
        raise _spent("It was used for its act already.")
    if approval.decision is not None and approval.decision is not agreed:
        raise _spent(f"It was {'agreed to' if approval.decision else 'declined'} before, which holds.")
    if tx.now >= approval.expires:
        raise _spent("It has ended, for nobody decided or ran the act in time.")
    if approval.decision is agreed:
        return approval
    if agreed and approval.question.text() != shown:
        raise _spent("The question has changed since it was shown.")
    tx.run(_DECIDE, id=identifier, decision=int(agreed), now=tx.now, consent=str(how))
    if not agreed:
        note = Note(tool=approval.tool, digest=approval.digest, outcome="declined", details={"declined_by": str(how)})
        receipts.append(tx, account, note)
    return _require(tx, account, identifier)


def find(tx: Transaction, account: str, identifier: str) -> Approval | None:
    """Return a question in whatever state; None where the account has none of this identifier."""
    row = tx.one(_FIND, account=account, id=identifier)
    return None if row is None else _approval_of(row, tx.path)


def find_by_prefix(tx: Transaction, account: str, prefix: str) -> Approval | None:
    """Return the one question whose identifier begins so; of several, the one that is open; else None."""
    if not prefix:
        return None
    rows = list(tx.each(_BEGINNING, account=account, prefix=prefix.lower(), length=len(prefix)))
    if len(rows) > 1:
        rows = [row for row in rows if row["decision"] is None and row["expires"] > tx.now]
    return _approval_of(rows[0], tx.path) if len(rows) == 1 else None


def open_ones(tx: Transaction, account: str) -> list[Approval]:
    """Return the questions that wait for a decision, the oldest first."""
    return [_approval_of(row, tx.path) for row in tx.each(_OPEN, account=account, now=tx.now)]


def pending(tx: Transaction) -> list[tuple[str, Approval]]:
    """Return the questions of all accounts that wait for a decision, each with its account, the oldest first."""
    return [(row["account"], _approval_of(row, tx.path)) for row in tx.each(_PENDING, now=tx.now)]


def agreed(tx: Transaction, account: str, tool: str, digest: str) -> Approval | None:
    """Return the consent to an act that is still good for it."""
    for row in _of_act(tx, account, tool, digest):
        if row["decision"] == 1 and row["expires"] > tx.now:
            return _approval_of(row, tx.path)
    return None


def use(tx: Transaction, account: str, identifier: str, tool: str, digest: str) -> Approval:
    """Use a consent up for the one act that it belongs to.

    Raises:
        ActRefused: It belongs to another act, is not given, was used, or has ended ("approval_used").
    """
    approval = _require(tx, account, identifier)
    if (approval.tool, approval.digest) != (tool, digest):
        raise _spent("It belongs to another act.")
    if approval.decision is not True:
        raise _spent("It was declined." if approval.decision is False else "Nobody has agreed to it yet.")
    if approval.used is not None:
        raise _spent("It was used for its act already.")
    if tx.now >= approval.expires:
        raise _spent("It has ended, for the act was not run in time.")
    tx.run(_USE, id=identifier, now=tx.now)
    return _require(tx, account, identifier)


def forget(tx: Transaction, before: float) -> None:
    """Remove the questions that had ended by then."""
    tx.run(_FORGET, before=before)


def _of_act(tx: Transaction, account: str, tool: str, digest: str) -> list[Row]:
    since = tx.now - DECLINED_FOR
    return list(tx.each(_OF_ACT, account=account, tool=tool, digest=digest, now=tx.now, declined_since=since))


def _require(tx: Transaction, account: str, identifier: str) -> Approval:
    approval = find(tx, account, identifier)
    if approval is None:
        raise _spent("There is none of this identifier.")
    return approval


def _spent(why: str) -> ActRefused:
    return ActRefused(
        f"The approval cannot be used. {why} Nothing was sent.",
        code="approval_used",
        next_step="Run the tool again with the same arguments; a person is then asked anew.",
        details={"outcome": "not_sent"},
    )


def _declined(identifier: str) -> ActRefused:
    return ActRefused(
        "A person has declined this act. Nothing was sent.",
        code="approval_declined",
        next_step="Do not try it again, nor the same by other means. Ask the user what they want instead.",
        details={"approval": identifier, "outcome": "not_sent"},
    )


def _approval_of(row: Row, path: Path | str) -> Approval:
    with understood(path):
        return Approval(
            id=row["id"],
            tool=row["tool"],
            digest=row["digest"],
            question=Question.of(json.loads(row["question"])),
            created=row["created"],
            expires=row["expires"],
            decision=None if row["decision"] is None else bool(row["decision"]),
            consent=Consent(row["consent"]),
            used=row["used"],
        )
