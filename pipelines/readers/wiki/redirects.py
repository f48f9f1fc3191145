"""Pages of a wiki that only name another page.

A dump of Wikipedia marks them with a tag of their own; older ones, and those of other tools, have the
wikitext alone: the wiki's word for a redirect and a link.
"""

import re
from unicodedata import normalize

# Every wiki knows `redirect` beside the words of its own language (MediaWiki's `languages/messages`).
_WORDS = """
redirect weiterleitung redirection redirección redireccion redirecció redirecionamento redireccionamento
rinvia rinvio doorverwijzing przekieruj patrz tam omdirigering omdiriger ohjaus uudelleenohjaus přesměruj
presmeruj átirányítás redirecteaza redirecționare preusmeri preusmjeri preusmeritev yönlendirme yönlendir
yönləndirmə istiqamətləndirmə istiqamətləndir yonaltirish yünältü đổi doi alih lencong aanstuur adkas
alidirektu athsheoladh ail-cyfeirio ailgyfeirio birzuzendu bideratu suuna tilvísun tilvisun peradresavimas
pāradresācija ridrejto wiederleiden viruleedung ömleidung rindirizza elekeza pusapuy
перенаправление перенапр перенаправлення перенапрямування перанакіраванне перанакіраваньне пренасочване виж
пренасочување види преусмери преусмјери айдау күчерү йүнәлтеү ανακατευθυνση ανακατεύθυνση վերահղում
გადამისამართება הפניה ווייטערפירן تحويل تغییرمسیر تغییر_مسیر رجوع_مکرر
पुनर्प्रेषित अनुप्रेषित पुनर्निर्देशन पुनर्निर्देशित পুনর্নির্দেশ পুনঃনির্দেশ வழிமாற்று దారిమార్పు
തിരിച്ചുവിടുക തിരിച്ചുവിടൽ เปลี่ยนทาง បញ្ជូនបន្ត 転送 リダイレクト 넘겨주기 重定向 重新導向 重新导向
"""
_ANY_WORD = "|".join(normalize("NFC", word).replace("_", "[ _]") for word in _WORDS.split())
# Editors leave comments and marks of direction in front, and nothing else is on such a page.
# No possessive group within another: Python 3.11.2's `re` loses its place in them.
_BEFORE = r"(?:[\s:\u200e\u200f\ufeff]|<!--(?:[^-]|-(?!->))*-->)*"
_REDIRECT = re.compile(rf"{_BEFORE}[#＃]\s?(?:{_ANY_WORD})\s*:?\s*\[\[", re.IGNORECASE | re.DOTALL)
# More white space than this stands in front of none.
_LOOKED_AT = 1000


def is_redirect(wikitext: str) -> bool:
    """Whether the wikitext of a page makes it a redirect."""
    return _REDIRECT.match(normalize("NFC", wikitext[:_LOOKED_AT])) is not None
