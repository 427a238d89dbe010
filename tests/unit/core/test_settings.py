"""Settings: typed, from the environment, refused at start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.core import settings
from chalicelib.core.settings import Settings, SettingsInvalid


class Mill(Settings, frozen=True, kw_only=True):
    mill_queue: str
    mill_size: int = 10


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FACTEO_MILL_QUEUE", "https://queue")
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


def test_each_field_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTEO_MILL_SIZE", "25")

    assert settings.load(Mill) == Mill(stage="test", mill_queue="https://queue", mill_size=25)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_default_stands_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch, nothing: str | None) -> None:
    if nothing is not None:
        monkeypatch.setenv("FACTEO_MILL_SIZE", nothing)

    assert settings.load(Mill).mill_size == 10


@pytest.mark.parametrize(
    ("variable", "value"), [("MILL_QUEUE", None), ("MILL_QUEUE", ""), ("STAGE", None), ("MILL_SIZE", "many")]
)
def test_a_missing_or_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv(f"FACTEO_{variable}")
    else:
        monkeypatch.setenv(f"FACTEO_{variable}", value)

    with pytest.raises(SettingsInvalid, match=variable if not value else "mill_size"):
        settings.load(Mill)


def test_a_name_carries_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTEO_STAGE", "acceptance")

    assert settings.physical_name("journal") == "facteo-acceptance-journal"


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings.load(Mill)
    monkeypatch.setenv("FACTEO_MILL_SIZE", "99")

    assert settings.load(Mill) is first
