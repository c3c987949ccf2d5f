# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors for others: entry points, and modules that a variable names."""

import pytest

from gr_tsddae import plugins
from gr_tsddae.plugins import VARIABLE, Registry

GROUP = "gr_tsddae.toys"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where modules and packages of others lie; nothing is remembered from other tests."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    for remembered in (plugins._import_modules, plugins._offered):
        remembered.cache_clear()
    yield tmp_path
    for remembered in (plugins._import_modules, plugins._offered):
        remembered.cache_clear()


def package(folder, name, entries, group=GROUP):
    """What pip leaves of an installed package."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entries}\n")


def toys(**places):
    return Registry("toy", GROUP, {"top": "math:pi", **places})


def test_what_comes_with_the_package_and_what_is_registered(folder):
    registry = toys()
    registry.register("ball", "math:tau")
    registry.register("kite", kite := object())
    assert registry.names() == ["top", "ball", "kite"]
    assert registry.load("top") < registry.load("ball") and registry.load("kite") is kite
    registry.register("kite", kite)  # by a module that is imported twice
    with pytest.raises(ValueError, match="there is a toy 'top' already; choose another name"):
        registry.register("top", object())
    with pytest.raises(ValueError, match="the name of a toy is ''; give some text"):
        registry.register("", object())


def test_an_installed_package_offers_some(folder):
    package(folder, "theirs", "drum = drums:Drum\nbroken = drums:Nothing\nabsent = nowhere:Drum")
    (folder / "drums.py").write_text("class Drum: ...")
    registry = toys()
    assert registry.names() == ["top", "drum", "broken", "absent"]
    assert registry.load("drum").__name__ == "Drum"
    for name, reason in (("broken", "AttributeError: "), ("absent", "ModuleNotFoundError: No mod")):
        with pytest.raises(
            ValueError, match=rf"toy '{name}' is .* of the package theirs.*{reason}"
        ):
            registry.load(name)


def test_two_things_of_one_name_are_refused_when_asked_for(folder):
    package(folder, "theirs", "top = bells:Bell\ndrum = bells:Bell")
    package(folder, "others", "drum = bells:Other")
    (folder / "bells.py").write_text("class Bell: ...\nclass Other: ...")
    registry = toys()
    assert registry.names() == ["top", "drum"]
    with pytest.raises(ValueError, match="bells:Bell of the package theirs and math:pi; uninst"):
        registry.load("top")
    with pytest.raises(ValueError, match=r"the toy 'drum' is bells:.* and bells:"):
        registry.load("drum")


def test_one_thing_may_be_offered_and_registered(folder):
    package(folder, "theirs", "drum = oneself:Drum")
    (folder / "oneself.py").write_text("class Drum: ...")
    registry = toys()
    registry.register("drum", registry.load("drum"))
    assert registry.load("drum").__name__ == "Drum" and registry.names() == ["top", "drum"]


def test_the_variable_names_modules(folder, monkeypatch):
    (folder / "first_plugin.py").write_text("import builtins; builtins.first_plugin_ran = True")
    (folder / "second_plugin.py").write_text("import first_plugin")
    monkeypatch.setenv(VARIABLE, "second_plugin, first_plugin,")
    assert toys().names() == ["top"]
    import builtins

    assert builtins.__dict__.pop("first_plugin_ran")


@pytest.mark.parametrize("text", [None, "import nowhere_at_all", "1 +"])
def test_a_module_that_cannot_be_imported_is_named(folder, monkeypatch, text):
    if text is not None:
        (folder / "bad_plugin.py").write_text(text)
    monkeypatch.setenv(VARIABLE, "bad_plugin")
    for _ in range(2):  # it is not forgotten
        with pytest.raises(
            ValueError, match=rf"{VARIABLE} names the module 'bad_plugin', which can"
        ):
            toys().names()
