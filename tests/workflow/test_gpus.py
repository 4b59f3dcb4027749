"""The profile for several GPUs: as many trainings at once as GPUs, each on its own. The devices are only names."""

from itertools import pairwise

from timellama.core.schema import read_yaml
from timellama.experiments.matrix import make_matrix

# Replaces the adapter of a training: it records what it sees.
TRAIN = """
import os, time
begin = time.time()
time.sleep(1)
with open("seen", "a") as seen:
    seen.write(f"{os.environ['CUDA_VISIBLE_DEVICES']} {begin} {time.time()}\\n")
for path in snakemake.output:
    open(path, "w").close()
"""
SMOKE = ("--configfile", "config/smoke.yaml")


def test_the_profile_gives_every_training_its_own_gpu(make_project, root, tmp_path):
    project = make_project()
    (project.folder / "workflow/scripts/train.py").write_text(TRAIN, encoding="utf-8")
    runs = make_matrix(read_yaml(root / "config/smoke.yaml"), root=root).experiment("long_term")
    targets = [f"results/{run.folder}/metrics.json" for run in runs if run.backbone is None][:5]
    profile = ("--profile", "workflow/profiles/gpu", "--cores", "8", "--resources", "local_gpu=2")
    given = {"CUDA_VISIBLE_DEVICES": "fake0,fake1", "TMPDIR": str(tmp_path)}
    done = project.snakemake(*profile, *SMOKE, "--", *targets, environment=given)
    assert done.returncode == 0, done.stdout
    seen = [line.split() for line in (project.folder / "seen").read_text(encoding="utf-8").splitlines()]
    assert len(seen) == len(targets) == 5 and {gpu for gpu, _, _ in seen} == {"fake0", "fake1"}
    for gpu in ("fake0", "fake1"):
        spans = sorted((float(begin), float(end)) for name, begin, end in seen if name == gpu)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    again = project.snakemake("-n", *SMOKE, "--", *targets)
    assert "Nothing to be done" in again.stdout, "results do not depend on the profile"
