"""Packs what the check needs besides the checkout into one file: `python -m benchmarks.gpu.pack --out FOLDER`.

For a machine without network: the prepared data set and language model, compressed. The embedding table keeps only the
rows of the runs' prompts. The others are set to zero, since the check does not read them. `--unpack FILE` extracts the
file with the layout of `results/`.
"""

import argparse
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

from safetensors.torch import load_file, save_file

from benchmarks.gpu.record import MADE_OF, matrix_of
from timellama.backbones.prepared import tokeniser
from timellama.core import provenance

NAME = "results.tar.xz"
DATASET = "ETTh1"
BACKBONE = "SmolLM2-135M/x6-pretrained"


def pack(results: Path, out: Path) -> Path:
    """Write the file from prepared `results` and return its path. Raises OSError if something is not prepared."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copytree(results / "data" / DATASET, folder / "data" / DATASET)
        shutil.copytree(results / "backbones" / BACKBONE, folder / "backbones" / BACKBONE)
        thin(folder / "backbones" / BACKBONE)
        (folder / MADE_OF).write_text(json.dumps(provenance.commit()), encoding="utf-8")
        with tarfile.open(out / NAME, "w:xz", preset=3) as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, arcname=path.name)
    return out / NAME


def thin(folder: Path) -> None:
    """Set to zero the rows of the embedding table that no prompt of the data set's runs uses."""
    tokens = set()
    for run in matrix_of("cpu").every_run().values():
        if run.dataset == DATASET and run.prompt:
            tokens |= set(tokeniser(folder)(run.prompt))
    file = folder / "embeddings.safetensors"
    table = load_file(file)["weight"]
    kept = table[sorted(tokens)].clone()
    table.zero_()
    table[sorted(tokens)] = kept
    save_file({"weight": table}, file)


def main() -> None:
    """Pack, or unpack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--unpack", type=Path)
    given = parser.parse_args()
    if given.unpack:
        with tarfile.open(given.unpack) as archive:
            archive.extractall(given.out, filter="data")
    else:
        print(pack(given.results, given.out))


if __name__ == "__main__":
    main()
