"""The code of docs/adding.md, as the page prints it."""

import re
import tomllib
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs/adding.md"


def text() -> str:
    """The whole page."""
    return PAGE.read_text(encoding="utf-8")


def block(language: str, holding: str) -> str:
    """The only fenced block of that language that holds the given words."""
    [found] = [body for body in blocks(language) if holding in body]
    return found


def blocks(language: str) -> list[str]:
    """Every fenced block of that language."""
    return re.findall(rf"```{language}\n(.*?)```", text(), flags=re.DOTALL)


def install(folder: Path, *, group: str) -> None:
    """Writes what pip would write into `folder` for a package with the page's entry points of a group."""
    project = tomllib.loads(block("toml", f'"{group}"'))["project"]
    about = folder / "visitor-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: visitor\nVersion: 1.0\n", encoding="utf-8")
    points = [f"{name} = {place}\n" for name, place in project["entry-points"][group].items()]
    (about / "entry_points.txt").write_text("".join([f"[{group}]\n", *points]), encoding="utf-8")
