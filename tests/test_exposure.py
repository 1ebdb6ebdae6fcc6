"""Which tools there are: what settings make of the catalog, what texts say of it, and what lists may cost."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest

from kallyai_mcp.catalog import DOMAINS, all_commands, by_tool
from kallyai_mcp.errors import InvalidSettings, UnknownCommand
from kallyai_mcp.export.tables import toolsets as readme_toolsets
from kallyai_mcp.export.tokens import tokens_of
from kallyai_mcp.exposure import (
    ALL,
    BRAKES,
    BUDGETS,
    CORE,
    CORE_NAME,
    FOLLOWERS,
    Exposure,
    exposed,
    index,
    surface,
    toolsets,
    wording,
)
from kallyai_mcp.model.codes import CODES, STATUS_FALLBACKS
from kallyai_mcp.server.identity import instructions
from kallyai_mcp.server.listing import load_tools
from kallyai_mcp.settings import Settings
from kallyai_mcp.tool_settings import SURFACES, ToolSettings

CHOICES = (
    ToolSettings(),
    ToolSettings(toolsets=("core",)),
    ToolSettings(toolsets=("calls", "credits")),
    ToolSettings(toolsets=("email",), exclude_tools=("email_respond",)),
    ToolSettings(read_only=True),
    ToolSettings(toolsets=("actions",), read_only=True),
    ToolSettings(exclude_tools=("stop", "acts", "login", "ask")),
)
EVERY_CHOICE = [
    ToolSettings(toolsets=one.toolsets, exclude_tools=one.exclude_tools, read_only=one.read_only, surface=kind)
    for one, kind in product(CHOICES, SURFACES)
]
NAME = re.compile(r"kallyai_[a-z_]*[a-z]")


def chosen(**values: Any) -> Exposure:
    return exposed(ToolSettings(**values))


# Settings


def test_without_settings_everything_is_listed_and_can_be_run() -> None:
    everything = exposed()
    assert everything.listed == everything.runnable == tuple(tool["name"] for tool in load_tools())
    assert set(everything.runnable) == by_tool().keys()
    assert everything.is_whole


def test_a_toolset_is_a_domain_and_toolsets_add_up() -> None:
    of = {name: {one.tool for one in all_commands() if one.domain == name} for name in ("credits", "messages")}
    assert set(chosen(toolsets=("credits",)).listed) == of["credits"] | set(FOLLOWERS)
    assert set(chosen(toolsets=("credits", "messages")).listed) == of["credits"] | of["messages"] | set(FOLLOWERS)
    assert set(toolsets()) == {ALL, CORE_NAME, *(domain.name for domain in DOMAINS)}
    assert chosen(toolsets=("credits", "all")).is_whole


def test_exclusion_beats_inclusion_and_read_only_beats_both() -> None:
    assert "kallyai_credits_costs" not in chosen(toolsets=("credits",), exclude_tools=("kallyai_credits_costs",)).listed
    reading = chosen(read_only=True, toolsets=("calls", "core"))
    assert all(by_tool()[name].annotations["readOnlyHint"] for name in reading.runnable)
    assert not any(by_tool()[name].is_recorded for name in reading.runnable)
    assert "kallyai_calls_history" in reading.runnable


@pytest.mark.parametrize("kind", SURFACES)
def test_each_further_setting_only_takes_away(kind: str) -> None:
    whole = set(chosen(surface=kind).runnable)
    for read_only, toolset, excluded in product((False, True), ("calls", "core", "email"), ((), ("calls_make",))):
        some = chosen(surface=kind, toolsets=(toolset,), exclude_tools=excluded, read_only=read_only)
        assert set(some.runnable) < whole
        assert set(chosen(surface=kind, toolsets=(toolset,), read_only=True).runnable) <= whole
        assert not {"kallyai_calls_make"} & set(some.runnable) or (not excluded and not read_only)


@pytest.mark.parametrize("toolset", ["calls", "core", "email", "search", "inbound"])
def test_whoever_can_begin_something_can_see_and_end_it(toolset: str) -> None:
    assert set(BRAKES) <= set(chosen(toolsets=(toolset,)).listed)
    assert set(BRAKES) <= set(chosen(toolsets=(toolset,), surface="search").listed)


def test_brakes_are_left_out_by_name_only_and_where_nothing_acts() -> None:
    assert "kallyai_stop" not in chosen(toolsets=("calls",), exclude_tools=("stop",)).runnable
    assert not set(BRAKES) & set(chosen(toolsets=("credits",)).runnable)


@pytest.mark.parametrize("spelling", ["kallyai_calls_make", "calls_make", "calls make", "Calls-Make", " calls make"])
def test_a_tool_is_left_out_by_any_spelling_of_its_name(spelling: str) -> None:
    assert chosen(exclude_tools=(spelling,)).is_hidden("kallyai_calls_make")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"toolsets": ("cals",)}, ["--toolsets", "'cals'", "Did you mean calls?", "core", "subscription"]),
        ({"toolsets": ("zzz",)}, ["'zzz'", "core"]),
        ({"exclude_tools": ("call_make",)}, ["--exclude-tools", "'call_make'", "calls_make"]),
        ({"toolsets": ("subscription",), "exclude_tools": ("subscription_status",), "read_only": True}, ["no tool"]),
    ],
)
def test_settings_that_cannot_be_kept_say_what_there_is(values: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(InvalidSettings) as caught:
        chosen(**values)
    said = f"{caught.value.message} {caught.value.next_step}"
    assert all(part in said for part in told), said


def test_settings_are_read_from_variables_and_flags() -> None:
    variables = {"KALLYAI_TOOLSETS": "calls, Credits", "KALLYAI_EXCLUDE_TOOLS": "calls_make", "KALLYAI_READ_ONLY": "1"}
    read = Settings.read(variables, {"surface": "search"}).tools
    assert read == ToolSettings(
        toolsets=("calls", "credits"), exclude_tools=("calls_make",), read_only=True, surface="search"
    )
    assert Settings.read({}).tools == ToolSettings()
    for variable, value in (("KALLYAI_TOOLSETS", ","), ("KALLYAI_TOOLSETS", "a;b"), ("KALLYAI_SURFACE", "tiny")):
        with pytest.raises(InvalidSettings, match=variable):
            Settings.read({variable: value})


# The index and what lists cost


def test_the_index_tells_of_every_tool_what_its_declaration_does() -> None:
    for name, command in by_tool().items():
        entry = index()[name]
        assert entry.domain == command.domain
        assert entry.reads is command.annotations["readOnlyHint"]
        assert entry.recorded is command.is_recorded
    assert set(index()) == by_tool().keys() | surface.TOOLS.keys()


@pytest.mark.parametrize("tools", EVERY_CHOICE, ids=str)
def test_the_tokens_that_are_told_are_those_of_the_list_or_more(tools: ToolSettings) -> None:
    exposure = exposed(tools)
    counted = {tool["name"]: tokens_of(tool) for tool in load_tools(exposure)}
    assert counted.keys() == exposure.tokens.keys()
    assert all(tokens <= exposure.tokens[name] for name, tokens in counted.items())
    if exposure.is_whole:
        assert counted == exposure.tokens


@pytest.mark.parametrize(
    ("budget", "tools"),
    [
        (ALL, ToolSettings()),
        (CORE_NAME, ToolSettings(toolsets=("core",))),
        ("search", ToolSettings(surface="search")),
    ],
)
def test_lists_keep_their_budget(budget: str, tools: ToolSettings) -> None:
    assert sum(exposed(tools).tokens.values()) <= BUDGETS[budget]


def test_core_is_small_and_all_of_it_exists() -> None:
    core = chosen(toolsets=("core",))
    assert len(core.listed) <= 30
    assert set(core.listed) == {f"kallyai_{name}" for name in CORE} | set(FOLLOWERS)


@pytest.mark.parametrize(
    ("room", "tools"),
    [
        # VS Code refuses more than 128 tools in all, its own included; Windsurf and Antigravity show 100 of all
        # servers; Cursor warns at 80. Half of each is left to others.
        (64, ToolSettings(toolsets=("core",))),
        (50, ToolSettings(toolsets=("core",))),
        (40, ToolSettings(toolsets=("core",))),
        (40, ToolSettings(surface="search")),
    ],
)
def test_a_host_with_a_low_limit_has_room_for_other_servers(room: int, tools: ToolSettings) -> None:
    assert len(exposed(tools).listed) <= room


# The search surface


def test_the_search_surface_lists_few_tools_and_runs_all() -> None:
    search = chosen(surface="search")
    assert search.listed == (*surface.TOOLS, *surface.DAILY)
    assert search.is_whole
    assert all(tool["annotations"].keys() == by_tool()["kallyai_ask"].annotations.keys() for tool in load_tools(search))


def test_what_runs_others_can_be_left_out_and_then_they_cannot_be_run() -> None:
    reading = chosen(surface="search", exclude_tools=(surface.RUN,))
    assert {name for name in reading.runnable if not index()[name].reads} <= set(surface.DAILY)
    assert "kallyai_calls_history" in reading.runnable
    neither = chosen(surface="search", exclude_tools=(surface.RUN, surface.READ))
    assert set(neither.runnable) == set(surface.DAILY)
    assert surface.RUN not in chosen(surface="search", toolsets=("credits",)).listed
    only_reading = chosen(surface="search", read_only=True)
    assert surface.RUN not in only_reading.listed
    assert all(index()[name].reads for name in (*only_reading.listed, *only_reading.runnable))


def test_no_command_takes_an_argument_that_the_running_tools_take_themselves() -> None:
    own = set(surface.TOOLS[surface.RUN]["inputSchema"]["properties"])
    assert not [one.tool for one in all_commands() if own & one.args.model_fields.keys()]


def test_a_tool_is_meant_by_any_spelling_and_the_nearest_are_named() -> None:
    search = chosen(surface="search", exclude_tools=("calls_make",))
    assert search.named("credits balance") == "kallyai_credits_balance"
    with pytest.raises(UnknownCommand) as caught:
        search.named("kallyai_credits_balence")
    assert "kallyai_credits_balance" in caught.value.next_step
    with pytest.raises(UnknownCommand) as hidden:
        search.named("kallyai_calls_make")
    assert hidden.value.message == "Unknown tool: kallyai_calls_make"
    assert "kallyai_calls_make" not in hidden.value.next_step
    with pytest.raises(UnknownCommand, match="Unknown tool"):
        search.require("kallyai_calls_make")
    search.require("kallyai_credits_balance")


# Texts


@pytest.mark.parametrize("tools", EVERY_CHOICE, ids=str)
def test_no_text_names_a_hidden_tool(tools: ToolSettings) -> None:
    exposure = exposed(tools)
    texts = [json.dumps(load_tools(exposure)), instructions(exposure)]
    codes = (*CODES.values(), *STATUS_FALLBACKS.values())
    texts += [exposure.advice(code.next_step) for code in codes]
    named = {name for text in texts for name in NAME.findall(text)}
    assert not {name for name in named if exposure.is_hidden(name)}
    assert all(tool["description"].endswith((".", "!", "?")) for tool in load_tools(exposure))


def test_the_instructions_of_everything_name_the_ways_in() -> None:
    said = instructions(exposed())
    for name in ("kallyai_ask", "kallyai_calls_make", "kallyai_acts", "kallyai_stop", "kallyai_mandate"):
        assert name in said
    assert "actions (calendar" in said
    assert surface.FIND not in said
    assert surface.FIND in instructions(chosen(surface="search"))
    calm = instructions(chosen(toolsets=("credits",)))
    assert "contacts people" not in calm
    assert "be sure the user wants" in instructions(chosen(toolsets=("calls",), exclude_tools=("stop", "acts")))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Take the id from kallyai_h.", wording.INSTEAD),
        ("Ask the user; kallyai_h lets it go on.", "Ask the user."),
        ("Sign in with kallyai_h, or with `kallyai-mcp login` there.", "Sign in with `kallyai-mcp login` there."),
        ("Use kallyai_s or kallyai_h.", "Use kallyai_s."),
        ("Use kallyai_h or kallyai_s.", "Use kallyai_s."),
        ("Use one of kallyai_h, or tell the user.", "Tell the user."),
        ("Look at kallyai_s first. Then kallyai_h.", "Look at kallyai_s first."),
        ("Correct the arguments.", "Correct the arguments."),
    ],
)  # fmt: skip
def test_advice_leaves_out_the_ways_that_are_hidden(text: str, left: str) -> None:
    assert wording.advice(text, "kallyai_h".__eq__) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Write a mail; nothing leaves until kallyai_h_h. Spends credits.", "Write a mail. Spends credits."),
        ("Goal id from kallyai_h_h.", "Goal id from h h."),
        ("For kallyai_h_h and kallyai_s.", "For kallyai_s."),
    ],
)
def test_a_description_keeps_what_it_says_first(text: str, left: str) -> None:
    assert wording.description(text, "kallyai_h_h".__eq__) == left


def test_the_readme_tells_of_each_toolset_what_a_host_gets() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in readme_toolsets().splitlines()[2:]]
    told = {name.strip("`"): (tools, tokens) for name, _, tools, tokens in rows}
    for name in toolsets():
        exposure = chosen(toolsets=(name,))
        assert told.pop(name) == (str(len(exposure.listed)), f"{sum(exposure.tokens.values()):,}")
    assert told.keys() == {"--surface search"}
