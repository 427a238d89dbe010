"""Working days in France: Monday to Friday without the public holidays of the whole country."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, NamedTuple

from dateutil.easter import easter  # type: ignore[import-untyped]

_SATURDAY = 5
_DAY = timedelta(days=1)


class Holiday(NamedTuple):
    """A public holiday (article L3133-1 of the Code du travail): a day of the year, or days after Easter Sunday."""

    name: str
    month: int = 0
    day: int = 0
    after_easter: int = 0


HOLIDAYS: Final = (
    Holiday("jour de l'an", 1, 1),
    Holiday("lundi de Pâques", after_easter=1),
    Holiday("fête du Travail", 5, 1),
    Holiday("victoire de 1945", 5, 8),
    Holiday("Ascension", after_easter=39),
    Holiday("lundi de Pentecôte", after_easter=50),
    Holiday("fête nationale", 7, 14),
    Holiday("Assomption", 8, 15),
    Holiday("Toussaint", 11, 1),
    Holiday("armistice de 1918", 11, 11),
    Holiday("Noël", 12, 25),
)
"""Those of the whole country. Saturday and Sunday are no working days either."""


def is_working_day(day: date) -> bool:
    """Whether the day is one of Monday to Friday and no public holiday."""
    return day.weekday() < _SATURDAY and day not in _holidays(day.year)


def after(day: date, count: int) -> date:
    """The day that lies so many working days after a day, which itself does not count."""
    while count:
        day += _DAY
        count -= is_working_day(day)
    return day


def _holidays(year: int) -> set[date]:
    sunday: date = easter(year)
    return {date(year, row.month, row.day) if row.month else sunday + row.after_easter * _DAY for row in HOLIDAYS}
