"""An alert as one SMS, out and in."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.alerts import aml
from chalicelib.alerts.aml import AMLText
from chalicelib.alerts.schemas import Fix, Method
from chalicelib.core import ids

MONDAY = datetime(2026, 11, 23, 7, 30, 15, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ALERT = "019aaf3c-4c58-7abc-8def-0123456789ab"
GSM = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡") | {
    *"ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
}
"""The basic alphabet of 3GPP TS 23.038: any character beyond it costs two, or makes the SMS one of 70."""

moments = st.integers(0, 8_000 * 365 * 86_400).map(lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + seconds * SECOND)
alerts = st.builds(ids.derived, moments, st.text())
fixes = st.builds(
    Fix,
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    fixed_at=moments,
    radius=st.none() | st.floats(0, 1_000_000),
    confidence=st.integers(0, 100),
    method=st.sampled_from(Method),
)


def a_fix(latitude: float = 48.856614, longitude: float = -2.3522219, radius: float | None = 12.2) -> Fix:
    return Fix(latitude=latitude, longitude=longitude, fixed_at=MONDAY, radius=radius, method=Method.GNSS)


def test_it_is_written_as_the_standard_says() -> None:
    body = "lt=+48.85661;lg=-002.35222;top=20261123073015;rd=13;lc=68;pm=G"
    assert aml.text_of(ALERT, a_fix()) == f'A"ML=1;{body};fu=AZqvPExYeryN7wEjRWeJqw;ml=102'


def test_without_a_position_it_tells_the_null_position_and_when_the_alert_was_raised() -> None:
    at = f"{ids.moment(ALERT):%Y%m%d%H%M%S}"
    text = aml.text_of(ALERT, None)
    assert text.startswith(f'A"ML=1;lt=+00.00000;lg=+000.00000;top={at};rd=N;lc=0;pm=N;fu=')
    assert aml.read(text) == AMLText(alert=ALERT)


@given(alerts, st.none() | fixes)
def test_it_fits_into_one_sms_and_counts_itself(alert: str, fix: Fix | None) -> None:
    text = aml.text_of(alert, fix)
    assert len(text) <= 160
    assert set(text) <= GSM
    assert text.endswith(f";ml={len(text)}")
    assert "si=" not in text
    assert "ei=" not in text


@given(alerts, st.none() | fixes)
def test_what_was_written_is_read(alert: str, fix: Fix | None) -> None:
    read = aml.read(aml.text_of(alert, fix))
    assert (read.alert, read.incomplete) == (alert, False)
    if fix is None:
        assert read.fix is None
        return
    assert read.fix is not None
    assert (read.fix.fixed_at, read.fix.method) == (fix.fixed_at, fix.method)
    assert abs(read.fix.latitude - fix.latitude) <= 0.000_006
    assert abs(read.fix.longitude - fix.longitude) <= 0.000_006
    if fix.radius is None:
        assert (read.fix.radius, read.fix.confidence) == (None, 0)
        return
    assert (read.fix.radius, read.fix.confidence) == (math.ceil(fix.radius), fix.confidence)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_any_time_that_a_clock_may_show_can_be_written(at: str) -> None:
    fix = Fix(latitude=1, longitude=2, fixed_at=datetime.fromisoformat(at))
    assert len(aml.text_of(ALERT, fix)) <= 160
    assert aml.read(aml.text_of(ALERT, fix)).fix is not None


@pytest.mark.parametrize(
    ("text", "latitude", "longitude", "radius", "method"),
    [
        (
            'A"ML=1;lt=+48.902963;lg=+2.516582;rd=1964;top=20220210134654;lc=95;pm=G;si=234302543446355;'
            "ei=357365093474415;mcc=208;mnc=01;ml=131",
            48.902963,
            2.516582,
            1964,
            Method.GNSS,
        ),
        (
            'A"ML=1;lt=48.82639;lg=-2.36619;rd=52;top=20191112112928;lc=68;pm=W;si=208201771948415;'
            "ei=353472104343540;mcc=208;mnc=20;ml=126",
            48.82639,
            -2.36619,
            52,
            Method.WIFI,
        ),
    ],
)
def test_texts_that_others_wrote_are_read(
    text: str, latitude: float, longitude: float, radius: float, method: Method
) -> None:
    read = aml.read(text)
    assert (read.alert, read.incomplete) == (None, False)
    assert read.fix is not None
    assert (read.fix.latitude, read.fix.longitude) == (latitude, longitude)
    assert (read.fix.radius, read.fix.method) == (radius, method)


@pytest.mark.parametrize(
    ("was", "becomes", "changes"),
    [
        ("lt=+48.85661", "lt=+98.85661", {"fix": None}),
        ("lg=-002.35222", "lg=?", {"fix": None}),
        ("lg=-002.35222;", "", {"fix": None}),
        ("lc=68", "lc=many", {"confidence": 0}),
        ("lc=68;", "", {"confidence": 0}),
        ("rd=13", "rd=-13", {"radius": None, "confidence": 0}),
        ("rd=13", "rd=99999999", {"radius": None, "confidence": 0}),
        ("pm=G", "pm=?", {"method": Method.UNKNOWN}),
        ("pm=G", "pm=N", {"method": Method.UNKNOWN}),
        ("top=20261123073015", "top=20261323073015", {"fixed_at": ids.moment(ALERT)}),
        ("top=20261123073015;", "", {"fixed_at": ids.moment(ALERT)}),
        ("fu=AZqvPExYeryN7wEjRWeJqw", "fu=AZqvPExYer", {"alert": None}),
        ("fu=AZqvPExYeryN7wEjRWeJqw", "fu=AAAAAAAAAAAAAAAAAAAAAA", {"alert": None}),
    ],
)
def test_what_cannot_be_read_is_left_out_and_the_rest_is_kept(
    was: str, becomes: str, changes: dict[str, object]
) -> None:
    text = _recounted(aml.text_of(ALERT, a_fix()).replace(was, becomes))
    told = {
        "alert": ALERT,
        "latitude": 48.85661,
        "longitude": -2.35222,
        "fixed_at": MONDAY,
        "radius": 13.0,
        "confidence": 68,
        "method": Method.GNSS,
    }
    expected = told | changes
    read = aml.read(text)
    assert read.incomplete
    assert read.alert == expected.pop("alert")
    if "fix" in expected:
        assert read.fix is None
    else:
        assert read.fix is not None
        assert {name: getattr(read.fix, name) for name in expected} == expected


def test_a_wrong_length_is_only_noted() -> None:
    text = aml.text_of(ALERT, a_fix())
    whole = aml.read(text)
    assert not whole.incomplete
    assert aml.read(text.replace("ml=102", "ml=103")) == AMLText(alert=ALERT, fix=whole.fix, incomplete=True)
    assert aml.read(text.removesuffix(";ml=102")) == AMLText(alert=ALERT, fix=whole.fix, incomplete=True)


@given(st.integers(0, 160))
def test_a_text_that_was_cut_is_still_an_alert(length: int) -> None:
    text = aml.text_of(ALERT, a_fix())
    cut = text[:length]
    if length < len('A"ML=1'):
        with pytest.raises(ValueError, match="An AML text begins"):
            aml.read(cut)
    else:
        assert aml.read(cut).incomplete is (length < len(text))


def test_what_gateways_do_to_a_text_does_not_matter() -> None:
    text = aml.text_of(ALERT, a_fix())
    expected = aml.read(text)
    assert aml.read(f"  {text}\r\n") == expected
    assert aml.read(text.replace('"', "”")) == expected
    assert aml.read(text.replace("lt=", " LT= ")).fix == expected.fix
    assert aml.read(_recounted(text.replace('"', ""))) == expected


def test_a_position_without_any_time_is_given_that_of_reception() -> None:
    text = 'A"ML=1;lt=+48.85661;lg=+2.35222;rd=5;lc=90;pm=G;ml=53'
    read = aml.read(text, received_at=MONDAY)
    assert read.fix is not None
    assert (read.fix.fixed_at, read.incomplete) == (MONDAY, True)
    assert aml.read(text) == AMLText(incomplete=True)


def test_another_version_tells_its_alert_only() -> None:
    """In version 2 `lt` is a time and `lg` a language."""
    text = aml.text_of(ALERT, a_fix()).replace("ML=1", "ML=2")
    assert aml.read(text) == AMLText(alert=ALERT, incomplete=True)


@given(st.text() | st.text('A"ML=1;ltgopdcmfu+-.0123456789N', max_size=200).map('A"ML=1'.__add__))
def test_anything_is_read_or_is_no_aml_text(text: str) -> None:
    try:
        read = aml.read(text)
    except ValueError:
        assert not text.startswith('A"ML=1')
        return
    assert read.alert is None or ids.is_uuid7(read.alert)


def _recounted(text: str) -> str:
    """The text with the right length, so that nothing but the change itself can be what is noted."""
    body, _, length = text.rpartition("=")
    rest = f"{body}="
    return f"{rest}{len(rest) + len(length)}" if len(rest) + 3 >= 100 and len(length) == 3 else f"{rest}{len(rest) + 2}"
