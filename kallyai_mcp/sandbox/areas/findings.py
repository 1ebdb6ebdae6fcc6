"""Searches: what they find, which is the same for the same words and place, and the record kept of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kallyai_mcp.sandbox import triggers
from kallyai_mcp.sandbox.areas.bookings import chance
from kallyai_mcp.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from kallyai_mcp.sandbox.world import World

PRICE = 0.5
SOURCES: tuple[dict[str, str], ...] = (
    {
        "id": "sbx_source_directory",
        "name": "Business directory",
        "description": "Names, numbers and addresses of businesses.",
    },
    {"id": "sbx_source_reviews", "name": "Reviews", "description": "Ratings and price ranges."},
    {"id": "sbx_source_web", "name": "Web", "description": "Pages of businesses and institutions."},
)

_NAMES = ("Bright", "Northside", "Harbour", "Maple", "Union", "Silver", "Corner", "Riverside", "Old Town", "Beacon")
_NOTES = (
    "Open until late, answers the phone",
    "Family business, fixed prices",
    "Booked out for this week, new customers next week",
    "Insured, gives written estimates",
    "Small, well reviewed, cash or card",
)
_STREETS = ("Pine St", "King St", "Station Rd", "Market Sq", "Hill Ave", "Bridge St")
_FILLING = re.compile(
    r"(?:an?|the|my|me|our|for|in|near|find|search|look|up|of|with|and|good|best|cheap|which|where|is|are|some|any"
    r"|busca|buscar|encuentra|una?|el|las?|los|en|de|por|para|cerca|mi)",
    re.IGNORECASE,
)


def run(
    world: World, query: str, *, depth: str, location: str | None = None, goal_id: str | None = None
) -> dict[str, Any]:
    """Search, and keep a record. Charged.

    Args:
        world: Where it is charged and recorded.
        query: What to find out.
        depth: `full` or `quick`; a quick one finds less and says less of it.
        location: Place to search around.
        goal_id: Goal it is done for.

    Raises:
        Refusal: `search_failed`, free; `quota_exceeded`.
    """
    fixed = triggers.outcome("search", query)
    if fixed == "fails":
        raise Refusal("search_failed")
    world.charge(PRICE, type="search", description=f"Search: {query}", goal_id=goal_id)
    what, place = _split(query) if location is None else (query, location)
    results = [] if fixed == "empty" else _results(what, place, depth)
    return world.add(
        "search",
        {
            "query": query,
            "location": location,
            "depth": depth,
            "results": results,
            "result_count": len(results),
            "credits_used": PRICE,
            "created_at": world.now(),
        },
    )


def _results(query: str, location: str | None, depth: str) -> list[dict[str, Any]]:
    random_ = chance("search", query, location)
    trade = _trade(query)
    found: list[dict[str, Any]] = []
    for rank, name in enumerate(random_.sample(_NAMES, random_.randint(4, 6))):
        street = f"{random_.randint(1, 190)} {random_.choice(_STREETS)}"
        slug = re.sub(r"[^a-z0-9]+", "-", f"{name} {trade}".casefold()).strip("-")
        found.append(
            {
                "title": f"{name} {trade}",
                "description": random_.choice(_NOTES),
                "phone": f"+121255501{random_.randint(20, 99)}",
                "address": f"{street}, {location}" if location else street,
                "rating": round(4.9 - rank * 0.2 - random_.random() * 0.2, 1),
                "price_range": "$" * random_.randint(1, 3),
                "url": f"https://{slug}.example",
            }
        )
    if depth == "quick":
        return [{name: one[name] for name in ("title", "phone", "url")} for one in found[:3]]
    return found


def _split(query: str) -> tuple[str, str | None]:
    """Take a place that a query names at its end, as in "plumber near Springfield", from the query."""
    found = re.fullmatch(r"(.+?)\s+(?:near|in|around|en|cerca de)\s+([A-ZÁÉÍÓÚÑ][\w' -]*)[.?!]*", query.strip())
    return (found[1], found[2]) if found else (query, None)


def _trade(query: str) -> str:
    words = [word for word in re.findall(r"[^\W\d_]+", query) if not _FILLING.fullmatch(word)]
    return " ".join(words[:2]).title() or "Services"
