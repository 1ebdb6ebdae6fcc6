"""Searches that are run on their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox.area import Area
from kallyai_mcp.sandbox.areas import findings
from kallyai_mcp.sandbox.areas.paging import without

if TYPE_CHECKING:
    from kallyai_mcp.commands.search import (
        ListSearches,
        ListSearchSources,
        RunQuickSearch,
        RunSearch,
    )
    from kallyai_mcp.sandbox.world import World

area = Area()


@area.answers("search run")
def run(world: World, args: RunSearch) -> dict[str, Any]:
    done = findings.run(world, args.query, depth="full", location=args.location)
    return {"results": done["results"], "credits_used": done["credits_used"], "search_id": done["id"]}


@area.answers("search quick")
def quick(world: World, args: RunQuickSearch) -> dict[str, Any]:
    done = findings.run(world, args.query, depth="quick")
    return {"results": done["results"], "credits_used": done["credits_used"], "search_id": done["id"]}


@area.answers("search history")
def history(world: World, args: ListSearches) -> dict[str, Any]:
    searches = [without(search, "results") for search in reversed(world.all("search"))]
    return {"searches": searches, "total": len(searches)}


@area.answers("search sources")
def sources(world: World, args: ListSearchSources) -> dict[str, Any]:
    return {"sources": [dict(source) for source in findings.SOURCES]}


@area.seeds
def seed(world: World) -> None:
    with world.clock.showing(world.clock.now() - timedelta(days=2, hours=3)):
        findings.run(world, "Locksmith open at night", depth="full", location="Springfield")
