"""`make bench`: prints every figure beside its floor and the ratio that must be reached; exits 1 if one is not."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from bench.host import ROOT, Host, Subject
from bench.tokens import BUDGET, tokens_per_tool
from bench.web import WebHost, WebSubject
from kallyai_mcp import catalog
from kallyai_mcp.server import load_tools

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHON = sys.executable
UNATTENDED = {
    "KALLYAI_APPROVAL": "off",
    "KALLYAI_CONTACT_HOURS": "off",
    "KALLYAI_MAX_CREDITS_PER_HOUR": "1000000",
    "KALLYAI_MAX_CREDITS_PER_DAY": "1000000",
    "KALLYAI_MAX_NEW_RECIPIENTS_PER_DAY": "1000000",
}
"""Settings under which acts run one after another, as many as there are."""


class Report:
    """The figures of one run."""

    def __init__(self) -> None:
        self.table = Table("figure", "ours", "floor", "ratio", "must reach", "", title="kallyai-mcp beside the floor")
        self.missed = False

    def add(self, figure: str, ours: str, floor: str, value: float, bound: float, *, at_least: bool = False) -> None:
        good = value >= bound if at_least else value <= bound
        self.missed |= not good
        sign = "≥" if at_least else "≤"
        shown = f"{value:,.0f}" if bound >= 100 else f"{value:.2f}"
        self.table.add_row(figure, ours, floor, shown, f"{sign} {bound:,g}", "yes" if good else "[red]no[/]")

    def show(self, figure: str, ours: str, floor: str, value: float) -> None:
        """Show a figure without a bound."""
        self.table.add_row(figure, ours, floor, f"{value:.2f}", "", "")


def cold_start(report: Report, ours: Subject, floor: Subject, rounds: int) -> None:
    """Spawn to complete `tools/list`."""
    seconds: dict[str, list[float]] = {ours.name: [], floor.name: []}
    for number in range(2 * rounds):
        subject = (ours, floor)[number % 2]
        with Host(subject) as host:
            host.list_tools()
            seconds[subject.name].append(time.perf_counter() - host.started)
    mine, theirs = median(seconds[ours.name]), median(seconds[floor.name])
    report.add("cold start to tools/list", f"{mine * 1000:.0f} ms", f"{theirs * 1000:.0f} ms", mine / theirs, 0.8)


def one_after_another(report: Report, ours: Subject, floors: Sequence[tuple[Subject, float]], rounds: int) -> None:
    """The median run, one at a time."""
    subjects = (ours, *(floor for floor, _ in floors))
    seconds: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    with ExitStack() as stack:
        hosts = [(subject, stack.enter_context(Host(subject))) for subject in subjects]
        for _, host in hosts:
            for _ in range(100):
                host.call()
        for _ in range(rounds):
            for subject, host in hosts:
                seconds[subject.name] += [host.call() for _ in range(100)]
    mine = median(seconds[ours.name])
    for floor, bound in floors:
        theirs = median(seconds[floor.name])
        figure = f"one run after another, p50, floor with {floor.name}"
        report.add(figure, f"{mine * 1000:.2f} ms", f"{theirs * 1000:.2f} ms", mine / theirs, bound)


def many_at_once(report: Report, ours: Subject, floor: Subject, rounds: int) -> None:
    """Runs per second, 64 in flight."""
    rates: dict[str, list[float]] = {ours.name: [], floor.name: []}
    with Host(ours) as first, Host(floor) as second:
        for subject, host in ((ours, first), (floor, second)):
            rates[subject.name] = []
            host.call()
            host.calls_in_flight(200, 64)
        for _ in range(rounds):
            for subject, host in ((ours, first), (floor, second)):
                rates[subject.name].append(host.calls_in_flight(1_000, 64))
    mine, theirs = median(rates[ours.name]), median(rates[floor.name])
    figure = f"runs per second, 64 in flight, floor with {floor.name}"
    report.add(figure, f"{mine:.0f}", f"{theirs:.0f}", mine / theirs, 1.4, at_least=True)


def memory(report: Report, ours: Subject, floor: Subject) -> None:
    """Memory after 10,000 runs, and what they added."""
    resident: dict[str, float] = {}
    growth = 0.0
    for subject in (ours, floor):
        with Host(subject) as host:
            host.list_tools()
            host.calls_in_flight(1_000, 16)
            before = host.resident()
            host.calls_in_flight(9_000, 16)
            resident[subject.name] = host.resident()
            if subject is ours:
                growth = resident[ours.name] - before
    mine, theirs = resident[ours.name], resident[floor.name]
    report.add("memory after 10,000 runs", f"{mine:.0f} MiB", f"{theirs:.0f} MiB", mine / theirs, 1.15)
    report.add("memory growth, MiB", f"{growth:.1f}", "", growth, 10)


def acts(report: Report, ours: Subject, noted: Subject, bare: Subject, rounds: int) -> None:
    """The median act: on the disk before it is sent, and again when it is over; beside the least that does so."""
    subjects = (ours, noted, bare)
    seconds: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    with ExitStack() as stack:
        hosts = {subject.name: stack.enter_context(Host(subject)) for subject in subjects}
        for host in hosts.values():
            for _ in range(20):
                host.call()
        for _ in range(rounds):
            for name, host in hosts.items():
                seconds[name] += [host.call() for _ in range(20)]
    mine, least, none = (median(seconds[subject.name]) for subject in subjects)
    report.show("one act after another, p50", f"{mine * 1000:.2f} ms", f"{least * 1000:.2f} ms", mine / least)
    report.show("the same, floor without a journal", f"{mine * 1000:.2f} ms", f"{none * 1000:.2f} ms", mine / none)


def over_http(report: Report, ours: WebSubject, floor: WebSubject, rounds: int) -> None:
    """Runs over HTTP, each a request of 2026-07-28: the median, runs per second, CPU of the server."""
    seconds: dict[str, list[float]] = {ours.name: [], floor.name: []}
    rates: dict[str, list[float]] = {ours.name: [], floor.name: []}
    used: dict[str, list[float]] = {ours.name: [], floor.name: []}
    with WebHost(ours) as first, WebHost(floor) as second:
        hosts = ((ours.name, first), (floor.name, second))
        for _, host in hosts:
            for _ in range(100):
                host.call()
            host.calls_in_flight(200, 64)
        for _ in range(rounds):
            for name, host in hosts:
                seconds[name] += [host.call() for _ in range(100)]
        for _ in range(rounds):
            for name, host in hosts:
                before = host.cpu()
                rates[name].append(host.calls_in_flight(1_000, 64))
                used[name].append((host.cpu() - before) / 1_000)
    figures = (
        ("HTTP, one run after another, p50", seconds, 1000, " ms", 0.6, False),
        ("HTTP, runs per second, 64 in flight", rates, 1, "", 3.0, True),
        ("HTTP, CPU per run, 64 in flight", used, 1000, " ms", 0.4, False),
    )
    for figure, values, scale, unit, bound, at_least in figures:
        mine, theirs = median(values[ours.name]), median(values[floor.name])
        shown = [f"{value * scale:.{2 if unit else 0}f}{unit}" for value in (mine, theirs)]
        report.add(figure, shown[0], shown[1], mine / theirs, bound, at_least=at_least)


def tokens(report: Report, console: Console) -> None:
    """What a model reads of the list."""
    counts = tokens_per_tool(load_tools())
    per_domain: Counter[str] = Counter()
    by_tool = catalog.by_tool()
    for tool, count in counts.items():
        per_domain[by_tool[tool].domain] += count
    for title, rows in (("tokens per tool", counts), ("tokens per domain", per_domain)):
        table = Table("name", "o200k tokens", title=title)
        for name, count in rows.items():
            table.add_row(name, str(count))
        console.print(table)
    total = sum(counts.values())
    report.add("tokens of the list", f"{total:,}", "", total, BUDGET)


def main() -> int:
    """Run every measurement."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="alternated rounds of each measurement")
    rounds: int = parser.parse_args().rounds
    console = Console()
    report = Report()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [PYTHON, "-m", "bench.api"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as api,
    ):
        assert api.stdout is not None
        origin = f"http://127.0.0.1:{api.stdout.readline().strip()}"
        environment = {"KALLYAI_API_URL": origin, "KALLYAI_ACCESS_TOKEN": "bench", "KALLYAI_STATE_DIR": folder}
        ours = Subject("ours", (PYTHON, "-m", "kallyai_mcp"), environment, "kallyai_credits_balance")
        bare = Subject("bare", (PYTHON, "-m", "bench.floor"), {})
        old = Subject("httpx", (PYTHON, "-m", "bench.floor", "httpx", origin), {})
        new = Subject("httpx2", (PYTHON, "-m", "bench.floor", "httpx2", origin), {})
        cold_start(report, ours, bare, rounds)
        one_after_another(report, ours, ((old, 0.75), (new, 1.15)), rounds)
        many_at_once(report, ours, old, rounds)
        memory(report, ours, new)
        alone = environment | UNATTENDED | {"KALLYAI_STATE_DIR": f"{folder}/acts"}
        acting = Subject("acting", ours.command, alone, "kallyai_actions_errand", "description")
        bare_act = Subject("bare act", new.command, {}, "errand", "description")
        noted = Subject("noted act", (*new.command, f"{folder}/floor.db"), {}, "errand", "description")
        acts(report, acting, noted, bare_act, rounds)
        web = (PYTHON, "-m", "kallyai_mcp", "serve", "--transport", "http", "--port", "{port}")
        served = WebSubject("ours", web, environment, "kallyai_credits_balance", Path(folder) / "http-token")
        over_http(report, served, WebSubject("floor", (PYTHON, "-m", "bench.floor_http", "{port}", origin), {}), rounds)
        api.communicate("")
    tokens(report, console)
    console.print(report.table)
    return 1 if report.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
