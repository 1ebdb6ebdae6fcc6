"""Names of countries, from the table that comes with the time zones (iso3166.tab of the tz database)."""

from __future__ import annotations

from functools import cache


@cache
def _names() -> dict[str, str]:
    from importlib.resources import files

    table = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    rows = (line.partition("\t") for line in table.splitlines() if not line.startswith("#"))
    return {code: name for code, _, name in rows}


def name_of(country: str) -> str:
    """Return the English name of a country given by two letters, or the letters where the table has none."""
    return _names().get(country, country)
