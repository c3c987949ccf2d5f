# SPDX-License-Identifier: GPL-3.0-or-later
"""Things by name, some of them from outside the package: installed packages, or modules of a user.

An installed package offers them as entry points; `GR_TSDDAE_PLUGINS` names modules to import, which
register what they hold.
"""

import os
from collections.abc import Mapping
from functools import cache
from importlib import import_module, metadata
from typing import Generic, TypeVar

VARIABLE = "GR_TSDDAE_PLUGINS"  # names of modules, with commas between them

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """Names, and where the thing of each name is. A thing is imported when it is asked for.

    Args:
        what: the things are, e.g. "network"; for messages.
        group: of entry points, e.g. "gr_tsddae.networks".
        places: name -> "module:attribute" of the things that come with the package.
    """

    def __init__(self, what: str, group: str, places: Mapping[str, str]):
        self.what, self.group = what, group
        self._places: dict[str, str | Thing] = dict(places)

    def register(self, name: str, thing: Thing | str) -> None:
        """Give a thing a name, until the process ends.

        Args:
            name: on command lines and in model cards.
            thing: the thing, or "module:attribute" where it is imported from when it is asked for.

        Raises:
            ValueError: another thing has that name.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(f"the name of a {self.what} is {name!r}; give some text")
        if self._places.setdefault(name, thing) != thing:
            raise ValueError(f"there is a {self.what} {name!r} already; choose another name")

    def names(self) -> list[str]:
        """All names: those of the package, then others."""
        _import_modules()
        return list(dict.fromkeys([*self._places, *(each.name for each in _offered(self.group))]))

    def load(self, name: str) -> Thing:
        """Import the thing of one of `names()`.

        Raises:
            ValueError: it cannot be imported, or two things have that name.
        """
        _import_modules()
        offered = [each for each in _offered(self.group) if each.name == name]
        found = {f"{each.value} of the package {each.dist.name}": each for each in offered}
        if name in self._places:
            place = self._places[name]
            own = isinstance(place, str) and metadata.EntryPoint(name, place, self.group)
            found |= {str(place): own or place}
        things = [self._imported(name, where, each) for where, each in found.items()]
        if any(thing is not things[0] for thing in things):
            raise ValueError(
                f"the {self.what} {name!r} is {' and '.join(found)}; uninstall the packages that "
                "you do not need, or give their things other names"
            )
        return things[0]

    def _imported(self, name: str, where: str, thing: metadata.EntryPoint | Thing) -> Thing:
        try:
            return thing.load() if isinstance(thing, metadata.EntryPoint) else thing
        except ValueError:  # says itself what is missing
            raise
        except Exception as error:  # of a module that may not be ours
            raise ValueError(
                f"the {self.what} {name!r} is {where}, which cannot be imported "
                f"({_reason(error)}); mend it, or install what it needs"
            ) from error


@cache
def _import_modules() -> None:
    for name in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        try:
            import_module(name)
        except Exception as error:  # of a module that is not ours
            raise ValueError(
                f"{VARIABLE} names the module {name!r}, which cannot be imported "
                f"({_reason(error)}); put its folder into PYTHONPATH, mend it, or leave it out"
            ) from error


@cache
def _offered(group: str) -> tuple[metadata.EntryPoint, ...]:
    return tuple(metadata.entry_points(group=group))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
