"""A folder of the package can be taken in at a glance, and so can a file."""

MODULES, LINES = 15, 400  # our choice: about what a person sees of a folder at a glance, and reads of a file in one go


def test_no_folder_has_too_many_modules_and_no_file_too_many_lines(root):
    modules: dict[str, list[str]] = {}
    lines = {}
    for path in (root / "timellama").rglob("*.py"):
        if path.name != "__init__.py" and "project" not in path.parts:
            modules.setdefault(str(path.parent.relative_to(root)), []).append(path.name)
        lines[str(path.relative_to(root))] = len(path.read_text(encoding="utf-8").splitlines())
    assert len(modules) > 30 and len(lines) > 250
    assert {folder: names for folder, names in modules.items() if len(names) > MODULES} == {}
    assert {path: count for path, count in lines.items() if count > LINES} == {}
