"""Import of the MCP SDK where only stdio is served: what a host waits for, and nothing besides.

Most of a start is the SDK's. Its packages import every client, the high-level server and what serves HTTP, and build
some hundreds of models of which a session uses a dozen. So the packages are run when somebody asks for a name of
theirs, what is for HTTP is imported when it is called, and each model is built with its first use, as pydantic offers
it (`defer_build`). Whatever is used works as ever, only later.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

PACKAGES = ("mcp", "mcp.server")
"""Packages whose own code no module needs of which the stdio server is made."""

HTTP_ONLY = (
    "mcp.server.auth.middleware.auth_context",
    "mcp.server.auth.middleware.bearer_auth",
    "mcp.server.auth.routes",
    "mcp.server.streamable_http",
    "mcp.server.streamable_http_manager",
    "mcp.server.transport_security",
    "starlette.applications",
    "starlette.middleware",
    "starlette.middleware.authentication",
    "starlette.routing",
)
"""Modules that the server object uses in `streamable_http_app` only, which is not for such a process; the first also to
tell who has signed in over HTTP, where nobody else tells whose a sealed state is."""

SERVES = ("mcp.server.lowlevel.server", "mcp.server.request_state")
"""What the server is made of."""


class Deferred(ModuleType):
    """A package whose modules can be imported without it, and that is run once a name of its own is asked for."""

    def __getattr__(self, name: str) -> Any:
        """Run the package, and return what it has by this name."""
        if name.startswith("__"):  # the import system asks for these, whether they exist or not
            raise AttributeError(name)
        self.__class__ = ModuleType  # pyright: ignore[reportAttributeAccessIssue]  # modules may (Python data model)
        assert self.__spec__ is not None  # noqa: S101 - it was found by it
        assert self.__spec__.loader is not None  # noqa: S101 - it is a package with code
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


class Later:
    """A class or function of a module that is imported when it is used."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it."""
        return self._real()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of it."""
        return getattr(self._real(), name)

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[Any]:
        """Return it as the base of a class."""
        return (self._real(),)

    def _real(self) -> Any:
        if isinstance(sys.modules.get(self._module), _Names):
            _forget(HTTP_ONLY)
        return getattr(importlib.import_module(self._module), self._name)


class _Names(ModuleType):
    """Stands for a module while another one takes names from it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(self.__name__, name)


def import_for_stdio() -> None:
    """Import what the stdio server is made of; nothing, if the SDK is imported already.

    A release of the SDK that does more with these names while it is imported is imported as ever.
    """
    if "mcp" in sys.modules:
        return
    try:
        for name in PACKAGES:
            _defer(name)
        with _http_imported_when_called(), _models_built_when_used():
            for name in SERVES:
                importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever it is, the SDK as a whole may do without
        for name in [name for name in sys.modules if name.partition(".")[0] in {"mcp", "mcp_types"}]:
            del sys.modules[name]
        logging.getLogger(__name__).info("The MCP SDK is imported as a whole, which takes longer: %r", error)


def _defer(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    package = importlib.util.module_from_spec(spec)
    package.__class__ = Deferred
    sys.modules[name] = package
    above, _, own = name.rpartition(".")
    if above:
        setattr(sys.modules[above], own, package)


@contextmanager
def _http_imported_when_called() -> Generator[None]:
    sys.modules.update({name: _Names(name) for name in HTTP_ONLY if name not in sys.modules})
    try:
        yield
    finally:
        _forget(HTTP_ONLY)


def _forget(names: tuple[str, ...]) -> None:
    for name in names:
        if isinstance(sys.modules.get(name), _Names):
            del sys.modules[name]


@contextmanager
def _models_built_when_used() -> Generator[None]:
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]
