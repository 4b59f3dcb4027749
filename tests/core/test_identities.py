"""The folders of all runs and sweeps of the project's configurations, whose names end in a digest of their settings."""

import hashlib

import pytest

from timellama.core.schema import read_yaml
from timellama.experiments.matrix import make_matrix

# How many folders a configuration has, and the SHA-256 of their sorted names, one a line. A change of code leaves them
# as they are: a finished result in a folder with another name is lost to the plan and trained again. They change only
# on purpose, with the configuration itself, a published setting in config/methods.yaml, a data set's entry or a
# language model's pin. Then copy the number and the digest that the test reports.
PINNED = {
    "config": (111, "30d56b321890edfbf4c8e86f8810d90c756d0049e0efb30af063c8437744b28c"),
    "cpu": (1034, "07fe8a84bd9db01233c3d1b450296644f24cbf72d79460aa18e3295c6eaec9d0"),
    "gpu": (1455, "a390916ec5175b2fc0d5a3a17076cae566a5d4e1010e51cf5d7f38bf2f826fe4"),
    "paper": (1637, "bd7f65ebbe012fdfcf026faa9497e83796edcca6a5f60b6122c3233e1a2d72cb"),
    "smoke": (63, "ccebcf2c04f1c8e0b666dbf3b95fdc45e3a37c69639b3bdf3b38c3e092e238f5"),
}
CATALOGUES = {"backbones", "datasets", "methods"}


@pytest.mark.parametrize("name", PINNED)
def test_a_change_of_code_leaves_every_result_in_its_folder(root, name):
    matrix = make_matrix(read_yaml(root / f"config/{name}.yaml"), root=root)
    planned = [*matrix.every_run().values(), *matrix.sweeps.values()]
    folders = sorted({each.folder for each in planned})
    assert (len(folders), hashlib.sha256("\n".join(folders).encode()).hexdigest()) == PINNED[name]


def test_every_configuration_is_pinned(root):
    assert {path.stem for path in root.glob("config/*.yaml")} - CATALOGUES == set(PINNED)
