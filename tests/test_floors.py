"""The shape of the house: imports point down the floors, files stay short, importing does nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "kallyai_mcp"
FLOORS = (
    {"errors", "settings", "setting", "safety", "tool_settings", "serving", "organisation", "privacy"}
    | {"logs", "looks", "markup", "pipes", "readers", "sdk", "visible"},
    {"model"},
    {"commands", "examples"},
    {"catalog", "policy", "api", "auth", "journal", "finder", "exposure", "hosts"},
    {"shared"},
    {"engine"},
    {"server", "sandbox", "export", "cli"},
    {"app", "household", "__main__"},
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
MAY_SPEAK_HTTP = {"api", "auth"}
LONGEST = 400

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = sorted(path for folder in ("kallyai_mcp", "tests", "bench") for path in (ROOT / folder).rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_and_never_sideways(path: Path) -> None:
    own = "__main__" if path.name == "__main__.py" else part_of(path)
    if own == "__init__":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "kallyai_mcp" or len(parts) == 1 or parts[1] in {own, "__version__"}:
            continue
        assert parts[1] in LEVEL, f"{name}: which floor is it on?"
        if LEVEL[own] == 0:
            assert LEVEL[parts[1]] == 0, f"{path.name} imports {name}"
        elif LEVEL[own] < len(FLOORS) - 1:
            assert LEVEL[parts[1]] < LEVEL[own], f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_api_and_auth_speak_http(path: Path) -> None:
    if part_of(path) not in MAY_SPEAK_HTTP:
        assert not [name for name in imported(path) if name.split(".")[0] in {"httpx", "httpx2", "authlib"}]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_every_part_of_the_package_has_its_floor() -> None:
    assert {part_of(path) for path in MODULES} - {"__init__"} <= set(LEVEL)


def test_importing_every_module_prints_nothing_and_reads_no_environment(tmp_path: Path) -> None:
    names = [
        ".".join(("kallyai_mcp", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in MODULES
        if path.name != "__main__.py"
    ]
    script = (
        "import importlib, logging, os, sys\n"
        f"names = {names!r}\n"
        "before = set(os.listdir('.'))\n"
        "for name in names: importlib.import_module(name)\n"
        "assert set(os.listdir('.')) == before\n"
        "assert not logging.getLogger().handlers\n"
    )
    environment = {"KALLYAI_API_URL": "nonsense", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own script
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
