"""The countries this KallyAI knows, and the made-up numbers it hands out there.

Numbers come from ranges that the countries' regulators keep free for fiction, or from series that are not assigned.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Country:
    """A country in which numbers can be called.

    Attributes:
        code: ISO 3166-1 alpha-2.
        name: English name.
        calling_code: ITU-T E.164 country code, without the plus sign.
        callable: False where calls from the account's region are restricted.
        number_format: Made-up number to rent; `{area}` is the area code, `{n}` a running number. Empty where none is
            offered.
        areas: Area codes to choose from; the first is the default.
        monthly_price: Price of one number for a month, in US dollars.
    """

    code: str
    name: str
    calling_code: int
    callable: bool = True
    number_format: str = ""
    areas: tuple[str, ...] = ("",)
    monthly_price: float = 0.0


_NANP = "+1{area}55501{n:02d}"
_NANP_AREAS_US = ("202", "212", "305", "415", "512", "617")

COUNTRIES: tuple[Country, ...] = (
    Country("US", "United States", 1, True, _NANP, _NANP_AREAS_US, 2.0),
    Country("CA", "Canada", 1, True, _NANP, ("416", "514", "604"), 2.0),
    Country("GB", "United Kingdom", 44, True, "+44{area}900{n:03d}", ("7700",), 3.0),
    Country("ES", "Spain", 34, True, "+34{area}0100{n:02d}", ("555",), 3.0),
    Country("AU", "Australia", 61, True, "+61{area}555001{n:02d}", ("2", "3"), 4.0),
    Country("DE", "Germany", 49, True, "+49{area}23125{n:03d}", ("30",), 4.0),
    Country("FR", "France", 33, True, "+33{area}9900{n:04d}", ("1",), 4.0),
    Country("AR", "Argentina", 54),
    Country("AT", "Austria", 43),
    Country("BE", "Belgium", 32),
    Country("BR", "Brazil", 55),
    Country("CH", "Switzerland", 41),
    Country("CL", "Chile", 56),
    Country("CO", "Colombia", 57),
    Country("DK", "Denmark", 45),
    Country("FI", "Finland", 358),
    Country("GR", "Greece", 30),
    Country("IE", "Ireland", 353),
    Country("IT", "Italy", 39),
    Country("JP", "Japan", 81),
    Country("MX", "Mexico", 52),
    Country("NL", "Netherlands", 31),
    Country("NO", "Norway", 47),
    Country("NZ", "New Zealand", 64),
    Country("PE", "Peru", 51),
    Country("PL", "Poland", 48),
    Country("PT", "Portugal", 351),
    Country("SE", "Sweden", 46),
    Country("SG", "Singapore", 65),
    Country("AE", "United Arab Emirates", 971, callable=False),
    Country("IN", "India", 91, callable=False),
)

_BY_CODE = {country.code: country for country in COUNTRIES}


def find_country(code: str) -> Country | None:
    """Return the country of an ISO 3166-1 alpha-2 code, if KallyAI serves it."""
    return _BY_CODE.get(code)


def invent_numbers(country: Country, area_code: str | None, taken: set[str], count: int = 5) -> list[str]:
    """Return made-up numbers that are free; none where the country or the area has no numbers to rent."""
    area = area_code if area_code is not None else country.areas[0]
    if not country.number_format or area not in country.areas:
        return []
    # Numbers below 50 are those with fixed outcomes (see numbers.py) and callers of the seed.
    candidates = (country.number_format.format(area=area, n=n) for n in range(50, 100))
    return [number for number in candidates if number not in taken][:count]
