"""Currencies and units of numbers, and what an amount is for each of: "$10 a month", "60 km/h"."""

import re

from actwise.rewards.lexicon import table

CURRENCIES = table("""
    $: $ dollar dollars bucks
    USD: us$ usd
    CAD: ca$ c$ cad
    AUD: au$ a$ aud
    NZD: nz$ nzd
    SGD: sg$ s$ sgd
    HKD: hk$ hkd
    MXN: mx$ mxn
    BRL: r$ brl reais
    EUR: € eur euro euros
    GBP: £ gbp pound pounds
    JPY: ¥ jpy yen
    INR: ₹ inr rs rs. rupees
    CHF: chf francs francos
""")
"""For each sign or word of a currency its code."""
# "5 pounds" may be money or a weight, so a pound is one unit.
_UNITS = table("""
    second: second seconds sec secs sekunde sekunden seconde secondes segundo segundos secondo
    minute: minute minutes min mins minuten minuto minutos minuti minuut
    hour: hour hours hr hrs h stunde stunden heure heures hora horas ora ore uur
    day: day days tag tage tagen jour jours día días dia dias giorno giorni dag dagen
    week: week weeks woche wochen semaine semaines semana semanas settimana settimane weken
    month: month months monat monate monaten mois mes meses mês mese mesi maand maanden
    year: year years jahr jahre jahren année années año años ano anos anno anni jaar
    kg: kg kgs kilo kilos kilogram kilograms
    g: g gram grams
    GBP: lb lbs
    oz: oz ounce ounces
    km: km kilometer kilometers kilometre kilometres
    mile: mile miles
    km/hour: kmh kph
    mile/hour: mph
    meter: meter meters metre metres
    m: m
    cm: cm centimeter centimeters centimetre centimetres
    mm: mm millimeter millimeters millimetre millimetres
    foot: foot feet ft
    inch: inch inches
    litre: l litre litres liter liters
    ml: ml millilitre millilitres milliliter milliliters
    gallon: gallon gallons
    kbit/second: kbps
    mbit/second: mbps
    gbit/second: gbps
    mbit: mbit megabit megabits
    gbit: gbit gigabit gigabits
    kb: kb kilobytes
    mb: mb megabytes
    gb: gb gigabytes
    tb: tb terabytes
    °c: °c celsius
    °f: °f fahrenheit
""")
_RATES = _UNITS | table("""
    second: s
    day: daily
    night: night nacht nuit noche notte nightly
    week: wk weekly
    month: mo monthly
    year: yr annum an yearly annually
    person: person head guest
""")
_MAY_MEAN = {
    "m": ("meter", "minute", "month"),
    "$": ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN"),
}
_ADVERBS = frozenset(("hourly", "daily", "nightly", "weekly", "monthly", "yearly", "annually"))
_RATE = re.compile(
    r"\s{0,2}(?:/\s?|(?<=\s)(?:per|an?|each|every|pro|im|par|al|por)\s)([^\W\d_]{1,12})(?!\w)"
    rf"|\s({'|'.join(sorted(_ADVERBS))})(?!\w)",
    re.I,
)
_UNIT = re.compile(
    r"[\s-]{0,2}(?:(?:business|working|calendar|full|more|degrees)\s)?(°\s?[cf]|[^\W\d_]{1,12})(?!\w)",
    re.I,
)


def unit_after(text: str, end: int) -> str | None:
    """Return the unit in which the number is that ends at a place of a text, if it is told.

    What it is for each of follows a stroke: "km/hour", and "/week" where no unit is told.
    """
    found = _UNIT.match(text, end)
    unit = _UNITS.get(found[1].casefold().replace(" ", "")) if found else None
    return with_rate(unit, text, found.end() if found and unit else end)


def same_unit(one: str, other: str) -> bool:
    """Whether two units may be the same."""
    return one == other or other in _MAY_MEAN.get(one, ()) or one in _MAY_MEAN.get(other, ())


def with_rate(unit: str | None, text: str, end: int) -> str | None:
    """Return a unit with what the amount is for each of, if that follows a place of a text."""
    found = _RATE.match(text, end)
    rate = _RATES.get((found[1] or found[2]).casefold()) if found else None
    return f"{unit or ''}/{rate}" if rate and "/" not in (unit or "") else unit
