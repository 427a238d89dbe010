"""By which right the post enters a building, and where that is written.

Other rights of entry, as those of bailiffs (CCH L126-14), of who reads meters (CCH L126-15) and of police and fire
brigades (CSI L271-1), are not the post's: no pass is issued for them, and they have no code.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class LegalBasis(enum.StrEnum):
    """By which right the post enters.

    `postal-operator` and `press` hold for bringing mail and press. For whatever else a building admits, and for help
    (service 3), no law is known that would oblige its manager: they consent, by stating its hours.
    """

    POSTAL_OPERATOR = "postal-operator"
    PRESS = "press"
    CONSENT = "consent"


LEGAL_SOURCES: Final[Mapping[LegalBasis, str]] = {
    LegalBasis.POSTAL_OPERATOR: "Code de la construction et de l'habitation, article L126-12",
    LegalBasis.PRESS: "Code de la construction et de l'habitation, article L126-13",
    LegalBasis.CONSENT: "Consent of the building's manager",
}
"""Where each is written. Consent is in no law: it may be withdrawn."""
