"""The digest of the present code that a number depends on: what the workflow requests and what `metrics.json` keeps.

A run or sweep whose digest differs from that of its result is run again.
"""

import dataclasses
import hashlib
import json
from types import SimpleNamespace

from timellama.core import provenance
from timellama.core.code_digest import code_digest
from timellama.data.catalogue.datasets import Dataset
from timellama.data.reader import READERS, reader_of
from timellama.experiments.run import Run
from timellama.methods.method import LibraryMethod
from timellama.methods.registry import method_of
from timellama.training.build import entries_of
from timellama.training.step_of import step_of

# These record what a step did, keep two steps apart, stop one or refuse it; none of them changes a number.
CHANGES_NO_NUMBER = (
    "timellama.core.code_digest",
    "timellama.core.provenance",
    "timellama.core.jobs.lock",
    "timellama.core.jobs.interruption",
    "timellama.core.machine.allocator",
    "timellama.core.jobs.job_state",
    "timellama.training.trial",
)


def code_of_run(run: Run) -> str:
    """The digest of a training and its test."""
    # The data reader is not part of a training, but another reader would give another result.
    series = run.task == "short-term"
    readers = [reader.read for reader in READERS.values() if reader.separate == series]
    own = entries_of(run.method, prompt=run.prompt_kind)
    return _with_libraries(_code(step_of(run), "timellama.data.canonicalise:normalise", *readers, *own), run.method)


def code_of_intervals(run: Run) -> str:
    """The digest of the intervals around a run's forecasts. The weights, an input, have the digest of the training."""
    own = entries_of(run.method, prompt=run.prompt_kind)
    return _code("timellama.results.forecasts.calibration:calibrate", *own)


def code_of_data(dataset: Dataset) -> str:
    """The digest of a data set's canonical file, including the code of a reader from outside the package."""
    return code_digest("timellama.data.canonicalise", reader_of(dataset.reader).read)


def code_of_sweep(method: str) -> str:
    """The digest of a measurement of time and memory."""
    of = method_of(method)
    # A method of another library may have options without a default.
    defaults = SimpleNamespace(**{field.name: field.default for field in dataclasses.fields(of.options)})
    code = _code(
        "timellama.cost.efficiency:measure",
        "timellama.cost.efficiency_sweep:measure_sweep",
        *entries_of(method, prompt=of.prompt_kind(defaults)),
    )
    return _with_libraries(code, method)


def _with_libraries(code: str, name: str) -> str:
    """The digest `code`, combined with the library's version for a method that runs another library's code."""
    method = method_of(name)
    if not isinstance(method, LibraryMethod):
        return code
    versions = provenance.installed(method.libraries)
    return hashlib.sha256(json.dumps([code, versions], sort_keys=True).encode()).hexdigest()


def _code(*entries: str) -> str:
    return code_digest(*entries, without=CHANGES_NO_NUMBER)
