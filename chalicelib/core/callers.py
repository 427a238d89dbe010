"""Who calls, as services see them: apart from `access`, so that workers do not load what only requests need."""

from __future__ import annotations

import msgspec

EVERYWHERE = "*"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever calls. `actor` is how the journal names them."""

    actor: str

    def answer_headers(self) -> dict[str, str]:
        """Headers that every answer to this caller carries."""
        return {}


class StaffMember(Principal, frozen=True, kw_only=True):
    """A member of staff: their roles, and whom they work for (`depot/…`, `zone/…`, `building/…` or `*`)."""

    roles: frozenset[str]
    scopes: frozenset[str]

    def reaches(self, depot: str, zone: str = "") -> bool:
        """Whether this depot, or the zone it lies in, is theirs."""
        named = [f"{kind}/{name}" for kind, name in (("depot", depot), ("zone", zone)) if name]
        return bool(self.scopes & {EVERYWHERE, *named})

    def manages(self, building: str) -> bool:
        """Whether this building is theirs."""
        return bool(self.scopes & {EVERYWHERE, f"building/{building}"})

    @property
    def buildings(self) -> list[str]:
        """The buildings that their scope names one by one."""
        return sorted(scope.removeprefix("building/") for scope in self.scopes if scope.startswith("building/"))

    @property
    def works_everywhere(self) -> bool:
        """Whether everything is theirs."""
        return EVERYWHERE in self.scopes

    @property
    def works_for_zones(self) -> bool:
        """Whether a depot's zone matters for what they reach."""
        return any(scope.startswith("zone/") for scope in self.scopes)


class ClientSystem(Principal, frozen=True, kw_only=True):
    """Another system with client credentials, and the scopes that it was given."""

    scopes: frozenset[str]
