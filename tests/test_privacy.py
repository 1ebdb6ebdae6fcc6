"""Nothing secret or personal reaches a log."""

import io
import logging
from base64 import b64encode

import pytest
from canaries import forms

from kallyai_mcp.logs import MaskingFormatter
from kallyai_mcp.privacy import MOST, hide, mask, without_secrets


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer [secret]"),
        ("got eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1NzcifQ.sig", "got [secret]"),
        ("kallyai_sandbox_rt_zq8w3", "[secret]"),
        ('{"access_token": "opaque", "expires_in": 3600}', '{"access_token": "[secret]", "expires_in": 3600}'),
        (r'said "{\"access_token\": \"opaque\"}"', r'said "{\"access_token\": \"[secret]\"}"'),
        ("/v1/channels/email/verify?token=opaque&x=1", "/v1/channels/email/verify?token=[secret]&x=1"),
        ("dialled +12025550143 and (202) 555-0143", "dialled [number] and [number]"),
        ("wrote to front.desk@hotel.example", "wrote to [address]"),
        ("took 12.5 s on 2026-03-02", "took 12.5 s on 2026-03-02"),
    ],
)
def test_secrets_and_persons_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_traceback_is_masked_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(MaskingFormatter("%(message)s"))
    logger = logging.Logger("masking")
    logger.addHandler(handler)
    try:
        int("Bearer s3cret for +12025550143")
    except ValueError:
        logger.exception("run of %s failed", "+447700900123")
    assert "s3cret" not in stream.getvalue()
    assert "2025550143" not in stream.getvalue()
    assert "7700900123" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize("secret", ["opaque-token-1", "a/b+c=d~e'f\"g%h", "at\\Canary&4vU?d2"])
def test_a_secret_that_is_in_use_is_masked_in_every_encoding(secret: str) -> None:
    hide(secret)
    for form in forms(secret) - {secret}:
        assert form not in mask(f"<{form}>"), form
    for before in range(3):
        packed = b64encode(b"x" * before + secret.encode() + b"tail").decode()
        assert mask(packed) != packed
    assert mask(f"no {secret}, sorry") == "no [secret], sorry"


def test_what_is_too_short_for_a_secret_is_left_and_old_tokens_are_forgotten_before_lasting_ones() -> None:
    hide("short")
    hide("lasting-one", lasting=True)
    for number in range(2 * MOST):
        hide(f"passing-{number}-token")
    assert mask("short lasting-one") == "short [secret]"
    assert mask(f"passing-0-token passing-{2 * MOST - 1}-token") == "passing-0-token [secret]"


def test_what_is_kept_holds_no_secret_and_is_the_same_otherwise() -> None:
    hide("opaque-token-2")
    kept = without_secrets(
        {"to": "+12025550143", "opaque-token-2": ["Bearer opaque-token-2", {"n": 1.5, "x": None}], "ok": True}
    )
    assert kept == {"to": "+12025550143", "[secret]": ["Bearer [secret]", {"n": 1.5, "x": None}], "ok": True}
