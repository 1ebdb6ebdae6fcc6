"""The pages of the apps as resources: one document each, which loads nothing and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_types import ReadResourceResult, Resource, TextResourceContents

from kallyai_mcp.server.apps import APPS, MIME_TYPE
from kallyai_mcp.server.resources.reading import STATIC_LIFETIME_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from kallyai_mcp.server.apps import App

FOLDER = Path(__file__).parent / "pages"

UI: dict[str, Any] = {
    "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
    "prefersBorder": True,
}
"""What a page asks the host for: no other origin, no permission of the browser."""

_DOCUMENT = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'sha256-{script_hash}'; \
style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'">
<title>{title} · KallyAI</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>{style}</style>
</head>
<body>
<main id="app" aria-live="polite"><p class="soft">Loading…</p></main>
<script>{script}</script>
</body>
</html>
"""


def pages(is_exposed: Callable[[str], bool]) -> list[Resource]:
    """Return the pages of which at least one tool may be run, for a list."""
    return [
        Resource(
            uri=app.uri,
            name=app.name,
            title=app.title,
            description=app.description,
            mime_type=MIME_TYPE,
            _meta={"ui": UI},
        )
        for app in APPS
        if any(map(is_exposed, app.tools))
    ]


def page(uri: str, is_exposed: Callable[[str], bool]) -> ReadResourceResult | None:
    """Return the page with this address; None where there is none."""
    app = next((app for app in APPS if app.uri == uri and any(map(is_exposed, app.tools))), None)
    if app is None:
        return None
    content = TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=document(app), _meta={"ui": UI})
    return ReadResourceResult(contents=[content], ttl_ms=STATIC_LIFETIME_MS, cache_scope="public")


@cache
def document(app: App) -> str:
    """Return the document of an app."""
    style = _read("style.css")
    facts = f"const APP = {json.dumps({'name': app.name, 'title': app.title, 'reads': app.reads})};\n"
    script = '"use strict";\n' + facts + _read("host.js") + _read("show.js") + _read(f"{app.name}.js")
    return _DOCUMENT.format(
        title=app.title, style=style, script=script, style_hash=_hash(style), script_hash=_hash(script)
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
