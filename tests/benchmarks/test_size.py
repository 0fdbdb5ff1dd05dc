"""Sizes: each file counts once, and a dependency's own dependencies count with it."""

from io import BytesIO
from zipfile import ZipFile

from benchmarks.size import Dependency, Size, sizes, table


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


def test_a_modules_bytecode_counts_with_it() -> None:
    written = BytesIO()
    with ZipFile(written, "w") as package:
        package.writestr("six.py", b"123")
        package.writestr("__pycache__/six.cpython-313.pyc", b"45")
        package.writestr("core/__pycache__/model.cpython-313.pyc", b"6789")
        package.writestr("core/data.json", b"0")

    found = {name: size.unpacked for name, size in sizes(written.getvalue()).items()}

    assert found == {"six.py": 5, "core/model.py": 4, "core/data.json": 1}
