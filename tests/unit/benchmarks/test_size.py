"""Sizes: each file counts once, and a dependency's own dependencies count with it."""

from benchmarks.size import Dependency, Size, table


def test_what_is_of_no_dependency_is_the_packages_own() -> None:
    dependencies = {
        "boto": Dependency("boto", Size(100, 10), frozenset({"core", "six"})),
        "core": Dependency("core", Size(1000, 50), frozenset({"six", "not-installed"})),
        "six": Dependency("six", Size(7, 3), frozenset()),
    }

    rows = {row[0]: row for row in table(Size(2000, 100), dependencies).rows}

    assert rows["The package itself"][1:3] == ("893", "37")
    assert list(rows)[2:] == ["core", "boto", "six"]
    assert [rows[name][4] for name in ("boto", "core", "six")] == ["1,107", "1,007", "7"]


def test_a_circle_of_dependencies_ends() -> None:
    dependencies = {
        "a": Dependency("a", Size(1, 1), frozenset({"b"})),
        "b": Dependency("b", Size(2, 2), frozenset({"a"})),
    }

    rows = {row[0]: row for row in table(Size(3, 3), dependencies).rows}

    assert (rows["a"][4], rows["b"][4]) == ("3", "3")
