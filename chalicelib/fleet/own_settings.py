"""What the fleet's functions are told, apart from what they do with it: endpoints name it, and load the rest later."""

from __future__ import annotations

from chalicelib.core.http_signatures import SignatureSettings
from chalicelib.core.settings import Settings


class EnrolmentSettings(SignatureSettings, frozen=True, kw_only=True):
    """Where handsets find the API; and our application's package name with the SHA-256 (hex, separated by spaces) of
    the certificates that sign it.
    """

    public_url: str
    attestation_package: str
    attestation_signers: str


class RolloutSettings(Settings, frozen=True, kw_only=True):
    """For how many hours each ring tries a version at least."""

    ring_hours: float = 24


class OwnApp(Settings, frozen=True, kw_only=True):
    """Our own application, by its package, as it is attested at enrolment."""

    attestation_package: str


class ViewSettings(Settings, frozen=True, kw_only=True):
    """The oldest version of our app that is up to date."""

    oldest_app: str = "1.0"
