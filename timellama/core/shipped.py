"""The project's own files: those in the working folder, or else those that come with the package.

In a checkout, which `pip install -e` leaves in place, they are beside the package. A wheel contains them
(`timellama/project`, links to them in the checkout), so that a workflow runs in any folder. A file in the working
folder takes precedence over the shipped one: a copy of `config/methods.yaml` there is the one that is read.
"""

from pathlib import Path

from timellama.core.provenance import ROOT

SNAKEFILE, CATALOGUE, BACKBONES, METHODS = (
    "Snakefile",
    "config/datasets.yaml",
    "config/backbones.yaml",
    "config/methods.yaml",
)
LOCAL_CATALOGUE = "config/local/datasets.yaml"  # the user's own, which is never shipped
SHIPPED = ROOT.parent if (ROOT.parent / SNAKEFILE).is_file() else ROOT / "project"


def shipped(name: str, *, folder: Path = Path()) -> Path:
    """The file or folder `name` of the project in `folder`, or else the one that came with the package."""
    own = folder / name
    return own if own.exists() else SHIPPED / name
