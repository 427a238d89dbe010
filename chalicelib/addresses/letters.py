"""Letters as labels and sorting machines have them: capitals without accents."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNDIVIDED: Final = str.maketrans({"Œ": "OE", "Æ": "AE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH"})
"""Letters that Unicode does not take apart into a letter and an accent."""


def bare(text: str) -> str:
    """Capitals without accents and ligatures; everything else stays."""
    letters = unicodedata.normalize("NFKD", text.upper().translate(_UNDIVIDED)).upper()
    return "".join(one for one in letters if not unicodedata.combining(one))


def plain(text: str) -> str:
    """Capitals without accents and digits; whatever else there is becomes one space."""
    return re.sub(r"[^A-Z0-9]+", " ", bare(text)).strip()
