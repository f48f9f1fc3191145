"""Whether an answer says, instead of answering, that it does not know.

Knows English sentences alone; knows neither questions nor passages.

Decisions: docs/decisions/measuring.md, docs/decisions/reader-and-citations.md.
"""

import re

_STRAIGHT = str.maketrans("’‘“”", "''\"\"")
# What may stand before the claim itself.
_PASSAGES = (
    r"(?:(?:the|these|this|those|any|any of the|either of the|your)\s)?(?:given\s|provided\s|above\s)?"
    r"(?:passages?|texts?|context|documents?|information|sources?|articles?|excerpts?)"
    r"(?:\s(?:provided|given|above))?"
)
_LEAD = (
    rf"(?:(?:answer:|unfortunately|(?:i am\s|i'm\s)?(?:sorry|afraid)|but|that"
    rf"|(?:based on|according to|from|in)\s{_PASSAGES})[\s,]+)*"
)
_NOT = r"(?:\snot|n't)"
_LEFT_OUT = r"(?:stated|mentioned|given|provided|specified|said|answered|described|named|found|included)"
_SAYS = r"(?:say|state|mention|specify|give|provide|tell|contain|include|answer|name|describe|indicate)"
# Behind "I do not know". A title such as "I Don't Know How to Love Him" goes on otherwise.
_OF_WHAT = (
    r"(?:the|this|that|it|any|anything|of|what|which|who|whom|whose|when|where|why|whether|if|about|based|from"
    r"|because|as|since|for|but|enough|how\s(?:many|much|long|old|far|often|to\sanswer))\b"
)
_CLAIMS = (
    # I do not know.
    rf"(?:(?:i|we|you)\s)?(?:\w+ly\s)?(?:do{_NOT}|dont)\s(?:\w+ly\s)?know(?=$|[^\w\s']|\s{_OF_WHAT})",
    # I am not sure. I cannot answer this.
    r"(?:i am|i'm)\s(?:not\ssure|unsure|(?:unable|not\sable)\sto\s(?:answer|find|determine|say|tell))\b",
    r"(?:i|we)\s(?:cannot|can't|can\snot|could\snot|couldn't)\s(?:answer|find|determine|say|tell)\b",
    # Not stated. It is not mentioned in the passages. The year of the siege is not given in the passages.
    rf"(?:(?:it|this|that|the\s(?:answer|information))\s(?:is\s|was\s))?not\s(?:\w+ly\s)?{_LEFT_OUT}(?=$|[.!])",
    rf"[^.,;:!?]{{0,100}}?\bnot\s(?:\w+ly\s)?{_LEFT_OUT}\s(?:in|by)\s{_PASSAGES}(?=$|[^\w\s]|\s(?:and|so|that)\b)",
    # The passages do not say it. None of the passages mentions it. There is no information on it.
    rf"{_PASSAGES}\s(?:do|does|did){_NOT}\s(?:\w+ly\s)?{_SAYS}\b",
    rf"they\s(?:do|did){_NOT}\s(?:\w+ly\s)?{_SAYS}\s(?:it|this|that|so|the\sanswer)\b",
    rf"(?:none|neither)\sof\s{_PASSAGES}\s(?:\w+ly\s)?{_SAYS}s?\b",
    r"(?:there\s(?:is|was)\s)?no\s(?:information|mention|answer)\b",
)
_ABSTAINS = re.compile(rf"\W*{_LEAD}(?:{'|'.join(_CLAIMS)})")


def abstains(answer: str) -> bool:
    """Whether an answer begins by saying that it does not know, or that the passages do not tell.

    Only the beginning counts: "Paris. I do not know more." is an answer, "I do not know, perhaps Paris." is
    none. That nobody knows ("The cause is not known.") is an answer, too.
    """
    words = " ".join(answer.lower().translate(_STRAIGHT).split())
    return _ABSTAINS.match(words) is not None
