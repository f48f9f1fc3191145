"""A small corpus of the tests' own, with facts that questions can be asked about."""

import json
from pathlib import Path

CITIES = [
    ("Arvenholm", "Tessaly", "the river Mirn", "copper bells", 1412),
    ("Bralgate", "Osmund", "the Grey Hills", "woven sailcloth", 1533),
    ("Corrowick", "Tessaly", "Lake Ansel", "smoked trout", 1288),
    ("Dunmarrow", "Halvern", "the salt flats", "blue glass", 1601),
    ("Elsterby", "Osmund", "the northern forest", "pine resin", 1347),
    ("Farringdale", "Halvern", "the canal of Quist", "clockwork toys", 1719),
    ("Gossamere", "Tessaly", "the chalk cliffs", "paper lanterns", 1466),
    ("Hollinport", "Osmund", "the southern bay", "amber jewellery", 1250),
]
ASPECTS = [
    "The town of {city} lies in the province of {province}, beside {place}. It was founded in {year}.",
    "People in {city} have long been known for their {craft}. Travellers from all of {province} buy them at "
    "the autumn market, which has been held since {year}.",
    "The old library of {city} keeps {n} manuscripts about {place}. Its first keeper wrote a history of the "
    "{craft} that scholars of {province} still read.",
    "In winter the road from {city} to {place} is closed. Letters then reach the capital of {province} by "
    "sledge, and the makers of {craft} rest.",
    "The mayor of {city} is chosen every {n} years by lot. The custom began in {year}, when no two families "
    "of {province} could agree.",
]


def documents() -> list[dict]:
    """Forty short documents in two domains, each with an id of its own."""
    found = []
    for c, (city, province, place, craft, year) in enumerate(CITIES):
        for a, aspect in enumerate(ASPECTS):
            text = aspect.format(
                city=city, province=province, place=place, craft=craft, year=year, n=3 + c + a
            )
            domain = "travel" if a % 2 else "history"
            record = {"id": f"{city}-{a}", "title": city, "text": text, "domain": domain, "year": year}
            found.append(record)
    return found


def questions() -> list[dict]:
    """A question with answer and gold document about each town."""
    return [
        {
            "id": f"q{c}",
            "question": f"In which province does {city} lie, and what is it beside?",
            "answers": [province],
            "gold_docs": [f"{city}-0"],
        }
        for c, (city, province, *_) in enumerate(CITIES)
    ]


def write_lines(path: Path, records: list) -> Path:
    """Write records as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def long_documents() -> list[dict]:
    """A chapter about each of three towns, of several chunks; each sentence says on which page it stands."""
    found = []
    for city, province, place, craft, year in CITIES[:3]:
        paragraphs = [
            aspect.format(city=city, province=province, place=place, craft=craft, year=year, n=n)
            for n in range(3)
            for aspect in ASPECTS
        ]
        text = " ".join(one.replace(".", f" ({city}, page {page}).") for page, one in enumerate(paragraphs))
        found.append({"id": f"book-{city}", "title": city, "domain": "book", "text": text})
    return found
