"""What the rules share: the plan of the active configuration, and where each file is. For reports: report_facts.smk."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from timellama.core import layout
from timellama.core.jobs import time_left
from timellama.results.digests import code_of_data, code_of_intervals, code_of_run, code_of_sweep
from timellama.core.errors import InputError, did_you_mean
from timellama.reports.failures import REPORT, SWITCH, Failure, Step, absence, command, options
from timellama.reports.selection import with_intervals
from timellama.experiments.matrix import make_matrix
from timellama.core.code_digest import code_digest
from timellama.training.scores.metric_objects import definitions, find_metrics


def own_metrics():
    """The digests of the configuration's own metrics, by location."""
    try:
        return definitions(find_metrics(config.get("metrics", [])))
    except InputError as error:
        raise WorkflowError(str(error)) from None


def matrix():
    """The plan, with a mistake in the configuration reported in one message."""
    try:
        return make_matrix(config, root=Path.cwd())
    except InputError as error:
        raise WorkflowError(str(error)) from None


# Set for a second pass after jobs failed: reports are made of the existing results.
PARTIAL = os.environ.get(SWITCH, "") not in ("", "0")
MATRIX = matrix()
METRICS = own_metrics()
RUNS = MATRIX.every_run()
CHOICES = {run.choice: run for run in RUNS.values() if run.trials}
SWEEPS = MATRIX.sweeps
PLANNED = [layout.metrics_of(run.folder) for run in RUNS.values()]
PLANNED += [layout.sweep_of(sweep.folder) for sweep in SWEEPS.values()]
ARTIFACTS = {file.path: file for dataset in MATRIX.datasets.values() for file in dataset.files}


wildcard_constraints:
    task="[^/]+",
    dataset="[^/]+",
    variant="[^/]+",
    identity="[^/]+",
    backbone="[^/]+",
    blocks="[0-9]+",
    weights="pretrained|random",
    table="table_[^/]+",
    figure="[^/]+",


def run_of(wildcards):
    """The run that a result folder belongs to; another configuration's folder is not a target of this one."""
    folder = layout.IDENTITY.format(**wildcards)
    if folder not in RUNS:
        raise WorkflowError(
            f"results/{folder} is no run of configuration {config['name']!r}: name its own with --configfile"
        )
    return RUNS[folder]


def own_file(wildcards):
    """The source of a user-supplied file: editing it rebuilds everything that depends on it."""
    artifact = ARTIFACTS.get(wildcards.path)
    return [os.path.expanduser(artifact.source)] if artifact and artifact.is_local else []


def raw_files(wildcards):
    """The published files that a data set is made from."""
    return [layout.RAW.format(path=file.path) for file in MATRIX.datasets[wildcards.dataset].files]


def backbone_files(wildcards):
    """The prepared backbone of a run, if its method has one."""
    return prepared_files(run_of(wildcards).backbone)


def choice_file(wildcards):
    """The file that names the trial of a searched run; nothing for any other run."""
    run = run_of(wildcards)
    return [layout.choice_of(run.choice)] if run.trials else []


def trials_of(wildcards):
    """The trials that a choice is made from."""
    place = layout.IDENTITY.format(**wildcards)
    if place not in CHOICES:
        raise WorkflowError(f"{layout.choice_of(place)} is no choice of configuration {config['name']!r}")
    return [layout.metrics_of(folder) for folder in CHOICES[place].trials]


def prepared_files(backbone):
    """The files of a prepared backbone."""
    if backbone is None:
        return []
    return [f"{layout.backbone_folder(backbone)}/{name}" for name in layout.BACKBONE_FILES]


def on_a_cluster():
    """Whether this Snakemake submits its jobs, or is one that was submitted."""
    return workflow.non_local_exec or workflow.remote_exec


def training_threads(wildcards):
    """Snakemake cores of one training, so that -j8 on two cores does not start eight trainings on them.

    On a cluster the scheduler assigns the cores.
    """
    if on_a_cluster():
        return config["threads"]
    cores = workflow.cores or 1
    # The cores that this process may use: a container or a batch job rarely has the whole machine.
    real = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = max(1, real // config["threads"])
    return max(config["threads"], cores // (at_once + 1) + 1)  # the smallest number of which at most `at_once` fit


def sweep_of(wildcards):
    """The efficiency sweep that a result file belongs to."""
    folder = "efficiency/{variant}/{identity}".format(**wildcards)
    if folder not in SWEEPS:
        raise WorkflowError(
            f"results/{folder}.json is no sweep of configuration {config['name']!r}: name its own with --configfile"
        )
    return SWEEPS[folder]


def all_threads(wildcards):
    """All cores that Snakemake has, so that nothing runs beside a measurement; on a cluster it has its own node."""
    threads = sweep_of(wildcards).threads
    return threads if on_a_cluster() else max(workflow.cores or 1, threads)


def sweep_code(wildcards):
    """The digest of the code that a sweep's numbers depend on."""
    return code_of_sweep(sweep_of(wildcards).run.method)


def code_of(*modules):
    """The digest of the code behind a step, as a param: Snakemake itself does not look into the package.

    A function, which Snakemake calls for the jobs that it plans: each job's process reads all rules but needs only one.
    """
    return lambda wildcards: code_digest(*modules)


def training_code(wildcards):
    """The digest of the code that a run's number depends on."""
    return code_of_run(run_of(wildcards))


def calibration_code(wildcards):
    """The digest of the code that makes a run's intervals from its weights."""
    return code_of_intervals(run_of(wildcards))


def training_metrics(wildcards):
    """The configuration's own metrics, with the digest of each: a run that was not measured by them is repeated."""
    return {} if wildcards.task == "short-term" else METRICS


def steps_before(run):
    """The jobs that a run needs, in order."""
    dataset, backbone = MATRIX.datasets[run.dataset], run.backbone
    for file in dataset.files:
        yield step(f"fetching {file.path}", layout.RAW, layout.FETCH_LOG, path=file.path)
    yield step(f"reading {run.dataset}", layout.SERIES, layout.NORMALISE_LOG, dataset=run.dataset)
    yield from steps_of_backbone(backbone)
    for trial in run.trials:
        fields = dict(zip(("task", "dataset", "variant", "identity"), trial.split("/"), strict=True))
        yield step(f"the trial {trial}", f"{layout.RUN}/{layout.METRICS}", layout.TRAIN_LOG, **fields)


def steps_of_backbone(backbone):
    """The job that prepares a backbone, if a method has one."""
    if backbone is not None:
        file = f"{layout.BACKBONE}/{layout.BACKBONE_FILES[0]}"
        fields = {"backbone": backbone.name, "blocks": backbone.blocks, "weights": backbone.weights}
        yield step(f"preparing {backbone.name}", file, layout.BACKBONE_LOG, **fields)


def step(name, output, log, **fields):
    """A job that others need, with its patterns filled in."""
    return Step(name=name, output=Path(output.format(**fields)), log=Path(log.format(**fields)))


def absent():
    """What has no result of the present code, by file; empty while results are still to be made."""
    if not PARTIAL:
        return {}
    wanted = [(layout.metrics_of(run.folder), code_of_run(run), steps_before(run)) for run in RUNS.values()]
    for sweep in SWEEPS.values():
        code, before = code_of_sweep(sweep.run.method), steps_of_backbone(sweep.run.backbone)
        wanted.append((layout.sweep_of(sweep.folder), code, before))
    for run in with_intervals(MATRIX):
        fields = dict(zip(("task", "dataset", "variant", "identity"), run.folder.split("/"), strict=True))
        before = [step(f"the run {run.folder}", f"{layout.RUN}/{layout.METRICS}", layout.TRAIN_LOG, **fields)]
        wanted.append((layout.intervals_of(run.folder), code_of_intervals(run), before))
    found = {}
    for file, code, before in wanted:
        log, kept = Path(layout.log_of(file)), Path(layout.checkpoints_of(file))
        reason = absence(Path(file), source_digest=code, log=log, before=list(before), checkpoints=kept)
        if reason:
            found[file] = Failure(result=file, reason=reason, command=command(file, **configuration_given()))
    return found


def configuration_given():
    """The configuration files and settings given to Snakemake, as typed on the command line."""
    files, here = workflow.config_settings.configfiles, Path.cwd()
    shown = [str(file.relative_to(here)) if file.is_relative_to(here) else str(file) for file in files]
    return {"configfiles": shown, "settings": [f"{k}={v}" for k, v in workflow.config_settings.config.items()]}


ABSENT = absent()


def every_result():
    """Every result that exists or will be made."""
    return [file for file in PLANNED if file not in ABSENT]


def show_time_left():
    """Shows the remaining time on the bars of the default profile, if that profile is used."""
    time_left.show(workflow.logger_manager.get_log_handlers())


def report_what_is_there():
    """After failed jobs, with --keep-going: makes reports of existing results with a Snakemake that computes nothing.

    Without it, or after Ctrl-C, some jobs could still be run, so no reports are made.
    """
    scheduler, wanted = workflow.scheduler, workflow.dag_settings.targets
    if PARTIAL or not workflow.execution_settings.keep_going or scheduler.running or scheduler.open_jobs:
        return
    targets = [target for target in wanted if target == "all" or target.startswith("reports/")]
    if wanted and not targets:
        return
    words = [sys.executable, "-m", "snakemake", f"-j{workflow.cores}", "--nolock", "--keep-going", "--quiet", "rules"]
    words += ["--snakefile", workflow.main_snakefile, *options(**configuration_given())]
    print(f"making the reports of the existing results; reports/{REPORT}.md will list the failures", file=sys.stderr)
    subprocess.run([*words, "--", *(targets or ["all"]), f"reports/{REPORT}.md"], env=os.environ | {SWITCH: "1"})
