"""Masking of personal data: e-mail addresses, phone numbers and IP addresses, by Dolma's patterns and masks
(Soldaini et al. 2024, "Dolma", 5.3)."""

import re
from typing import ClassVar, Literal

from pipelines.filters.rule import Rejected, Rule, Verdict
from pipelines.filters.text import Text

_PATTERNS = {
    "email": (
        "@",
        re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
        "|||EMAIL_ADDRESS|||",
    ),
    # Before phone numbers, which an address could be taken for.
    "ip": (
        ".",
        re.compile(
            r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d]|\.\d)"
        ),
        "|||IP_ADDRESS|||",
    ),
    # North American numbers, with or without the country's code.
    "phone": (
        "",
        re.compile(r"(?<![\w.-])(?:\+?1[ .-]?)?(?:\(\d{3}\)[ ]?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"),
        "|||PHONE_NUMBER|||",
    ),
}


class PersonalData(Rule):
    """Masks what identifies a person; removes documents that hold more of it than `max_found`."""

    name: Literal["personal_data"] = "personal_data"
    source: ClassVar[str] = "Soldaini et al. 2024, 5.3"
    kinds: tuple[Literal["email", "ip", "phone"], ...] = ("email", "ip", "phone")
    max_found: int | None = None

    def judge(self, text: Text) -> Verdict:
        body, found = text.body, 0
        for kind in self.kinds:
            sign, pattern, mask = _PATTERNS[kind]
            if sign in body:
                body, count = pattern.subn(mask, body)
                found += count
        if self.max_found is not None and found > self.max_found:
            return Rejected("too_much", f"{found} pieces of personal data, at most {self.max_found}")
        return text.with_body(body)
