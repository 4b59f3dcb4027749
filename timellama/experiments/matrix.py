"""From a configuration to its runs: which training runs each report needs, and nothing else.

Only the standard library, YAML and pydantic are used, so planning needs neither data, weights nor torch. A setting
is taken, in rising order, from the dataclass defaults (run.py), the method's published values (config/methods.yaml),
its values for a data set, the configuration's `training`, and the configuration's `overrides` for the method.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timellama.backbones.catalogue import BackboneEntry, load_backbones
from timellama.core import layout
from timellama.core.errors import InputError, did_you_mean
from timellama.core.files import sha256_of
from timellama.core.machine.bfloat16 import is_faster
from timellama.core.schema import validate
from timellama.core.shipped import BACKBONES, METHODS, shipped
from timellama.data.catalogue.datasets import Dataset, load_datasets
from timellama.experiments import search
from timellama.experiments.calendar import calendar_of
from timellama.experiments.compiling import compiled
from timellama.experiments.configuration import (
    Configuration,
    DatasetSetting,
    Efficiency,
    Experiment,
    LanguageModel,
    Override,
    Search,
)
from timellama.experiments.floors import with_floors
from timellama.experiments.impossible import few_seasons, many_blocks, no_window, obstacles_of, require_runs
from timellama.experiments.impossible_cells import ImpossibleCell
from timellama.experiments.m4_runs import require_m4_run
from timellama.experiments.methods_file import DatasetSettings, MethodEntry, load_methods
from timellama.experiments.run import Backbone, Run, Training
from timellama.experiments.settings import Layer, layers_of, makes, merged, place_of
from timellama.experiments.sweep import Sweep
from timellama.methods.method import Method
from timellama.methods.obstacles import Obstacle
from timellama.methods.registry import method_of
from timellama.methods.series_method import require_look_back
from timellama.methods.time_llama.prompts import other_dataset, prompt_kind, text_of

EFFICIENCY = "efficiency"  # the one experiment that measures time and memory instead of errors


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """A configuration with the catalogues that it draws on, its runs by experiment, and its efficiency sweeps."""

    config: Mapping  # as written; the keys that a configuration may leave out may be absent
    datasets: Mapping[str, Dataset]
    backbones: Mapping[str, BackboneEntry]
    methods: Mapping[str, MethodEntry]
    experiments: Mapping[str, Experiment]  # what each requests, apart from `efficiency`, with its floors
    runs: Mapping[str, list[Run]]
    sweeps: Mapping[str, Sweep]  # by folder
    impossible: Sequence[ImpossibleCell] = ()  # what was requested and cannot be run, with reasons

    def experiment(self, name: str) -> list[Run]:
        """The runs of an experiment. Raises InputError, naming the configuration, if it has no such experiment."""
        if name not in self.runs:
            raise self._lacks(name)
        return self.runs[name]

    def efficiency(self) -> list[Sweep]:
        """The efficiency sweeps, in the order of `config/methods.yaml`. Raises InputError as `experiment` does."""
        if not self.sweeps:
            raise self._lacks(EFFICIENCY)
        order = list(self.methods)
        return sorted(self.sweeps.values(), key=lambda sweep: order.index(sweep.run.variant))

    def _lacks(self, name: str) -> InputError:
        known = self.config["experiments"]
        return InputError(
            f"configuration {self.config['name']!r} has no experiment {name!r} (it has {', '.join(known)}): "
            "add it under `experiments:`, or choose a configuration that has it with --configfile config/cpu.yaml"
            f"{did_you_mean(name, known)}"
        )

    def cells(self, name: str) -> list[tuple[str, int, int, str]]:
        """(data set, context, horizon, method) of an experiment, including those that are too small or heavy to be run.

        Methods come in the order of `config/methods.yaml`, which is the paper's. One that has no run at all appears
        under its label, since no result names it.
        """
        section = self.experiments[name]
        run, order = {run.variant for run in self.experiment(name)}, list(self.methods)
        planned = section.model_copy(update={"methods": [*section.methods, *section.not_run]})
        found = list(dict.fromkeys(cell for cell, _ in _cells(planned)))
        places = {place: number for number, place in enumerate(dict.fromkeys(cell[:3] for cell in found))}
        found.sort(key=lambda cell: (places[cell[:3]], order.index(cell[3])))
        return [(*cell, method if method in run else self.methods[method].label) for *cell, method in found]

    def not_run(self, name: str) -> list[str]:
        """The labels of the methods that the configuration lists as too heavy for an experiment."""
        heavy = self.experiments[name].not_run
        return [entry.label for method, entry in self.methods.items() if method in heavy]

    def every_run(self) -> dict[str, Run]:
        """All runs by folder; experiments share a run if its settings are the same."""
        return {run.folder: run for runs in self.runs.values() for run in runs}


def make_matrix(config: Mapping, *, root: Path, origin: str | None = None) -> Matrix:
    """Check a configuration and list its runs; `origin` is the file that it was read from, if that is known.

    The catalogues are those of the project in `root`, or those shipped with the package where it has none.

    Raises InputError naming key, value and remedy.
    """
    if origin is None:
        origin = f"the configuration {config.get('name', 'given with --configfile')!r}"
    checked = validate(config, Configuration, origin=origin)
    datasets = load_datasets(root)
    backbones = load_backbones(shipped(BACKBONES, folder=root))
    methods = load_methods(shipped(METHODS, folder=root), added=checked.methods, origin=origin)
    experiments = {key: getattr(checked.experiments, key) for key in config["experiments"]}  # in the file's order
    efficiency = experiments.pop(EFFICIENCY, None)
    _check_overrides(checked.overrides, methods, datasets, f"{origin}, overrides")
    for experiment, section in experiments.items():
        _check_overrides(section.overrides, methods, datasets, f"{origin}, experiments.{experiment}.overrides")
    experiments = {
        name: with_floors(section, methods=methods, datasets=datasets) for name, section in experiments.items()
    }
    catalogues = (checked, datasets, backbones, methods, functools.cache(lambda: _automatic(checked)), origin)
    runs: dict[str, list[Run]] = {}
    impossible: list[ImpossibleCell] = []
    for experiment, section in experiments.items():
        found = list(_runs(experiment, section, impossible, *catalogues))
        if isinstance(section, Search):
            made = {variant: makes("options", entry, methods) for variant, entry in methods.items()}
            found = list(search.expanded(found, search=section, fixed=made))
        runs[experiment] = list({run.folder: run for run in found}.values())
    sweeps = {sweep.folder: sweep for sweep in _sweeps(efficiency, impossible, *catalogues)}
    measured = {EFFICIENCY: [sweep.run for sweep in sweeps.values()]} if efficiency else {}
    require_runs(runs | measured, impossible, origin=origin)
    catalogue = {"datasets": datasets, "backbones": backbones, "methods": methods}
    cells = tuple(dict.fromkeys(impossible))
    return Matrix(config=config, experiments=experiments, runs=runs, sweeps=sweeps, impossible=cells, **catalogue)


def _check_overrides(
    overrides: Mapping[str, Override], methods: Mapping[str, MethodEntry], datasets: Mapping, where: str
) -> None:
    """Refuse an override that no run can have: such a slip would leave a run with settings that were not meant."""
    known = dict.fromkeys([*methods, *(entry.method for entry in methods.values())])
    for method, override in overrides.items():
        _named(known, method, f"{where}: method")
        code = method_of(methods[method].method if method in methods else method)
        if override.backbones and not code.backbone:
            raise InputError(f"{where}.{method}: it uses no language model; remove `backbones`")
        options = DatasetSettings[code.options]
        validate({"options": override.options}, options, origin=f"{where}.{method}")
        for dataset, settings in override.datasets.items():
            of = f"{where}.{method}.datasets"
            _named(datasets, dataset, f"{of}: dataset")
            validate({"options": settings.options}, options, origin=f"{of}.{dataset}")


def _sweeps(section: Efficiency | None, impossible: list[ImpossibleCell], *catalogues) -> Iterator[Sweep]:
    """One sweep per method and backbone: what the long-term experiment would run on `settings_of`, at other sizes.

    Data, seed and training recipe do not change time and memory, so they are left out of the identity.
    """
    if section is None:
        return
    shape = DatasetSetting(context=section.context, horizons=(section.horizon,))
    chosen = {"backbones": section.backbones} if section.backbones else {}
    alike = Experiment(datasets={section.settings_of: shape}, methods=section.methods, seeds=(0,), **chosen)
    shared = {"task": EFFICIENCY, "data_sha256": None, "reading": None, "compiled": "off"}
    for run in _runs(EFFICIENCY, alike, impossible, *catalogues):
        yield Sweep(
            run=dataclasses.replace(run, **shared, training=run.training and Training()),
            variates=section.variates,
            batch_sizes=section.batch_sizes,
            threads=section.threads,
            seconds=section.seconds,
            longest_call=section.longest_call,
            memory_share=section.memory_share,
        )


def _cells(section: Experiment) -> Iterator[tuple[tuple[str, int, int, str], tuple[int, ...] | None]]:
    """Each (data set, context, horizon, method) of an experiment, with its own seeds if it has any."""
    for dataset, setting in section.datasets.items():
        for horizon in setting.horizons:
            for method in section.methods:
                yield (dataset, setting.context, horizon, method), setting.seeds
    for extra in section.also:
        of_dataset = section.datasets.get(extra.dataset)
        for horizon in extra.horizons:
            yield (
                (extra.dataset, extra.context, horizon, extra.method),
                extra.seeds or (of_dataset and of_dataset.seeds),
            )


def _runs(experiment, section, impossible, config, datasets, backbones, methods, automatic, origin) -> Iterator[Run]:
    """The runs of an experiment; the cells that cannot be run are appended to `impossible`."""
    where = f"{origin}, experiments.{experiment}"
    # An experiment's settings override those that the configuration sets for all.
    overrides = {f"{origin}, overrides.": config.overrides, f"{where}.overrides.": section.overrides}
    for heavy in section.not_run:
        _named(methods, heavy, f"{where}: method under not_run")
    for (dataset, context, horizon, method), own_seeds in _cells(section):
        entry = _named(datasets, dataset, f"{where}: dataset")
        spec = _named(methods, method, f"{where}: method")
        sizes = {"context": context, "horizon": horizon}
        code = method_of(spec.method)
        if entry.split.rule != "published":
            require_look_back(code, where=f"{where}: method {method!r} on {dataset}")
        cell = {"experiment": experiment, "dataset": dataset, **sizes, "variant": method, "label": spec.label}

        def left_out(*obstacles: Obstacle, cell: Mapping[str, Any] = cell, **more: Any) -> bool:
            impossible.extend(ImpossibleCell(**cell, **more, **dataclasses.asdict(each)) for each in obstacles)
            return bool(obstacles)

        if without := no_window(entry, **sizes, percent=section.train_percent):
            left_out(without, of_data=True)
            continue
        if short := few_seasons(entry, code, context=context):
            left_out(short)
            continue
        of_dataset = section.datasets.get(dataset)
        layers = functools.partial(
            layers_of,
            method=method,
            dataset=dataset,
            methods=methods,
            entry=f"{origin}, methods.{method}." if method in config.methods else f"{METHODS}, {method}.",
            of_all={f"{origin}, ": config, f"{where}.datasets.{dataset}.": of_dataset},
            overrides=overrides,
        )
        chosen = _chosen(method, spec, section, config) if code.backbone else [None]
        precision = _override("precision", method, spec, section, config) or config.precision
        if precision == "auto":
            precision = automatic()
        if not chosen:
            raise InputError(
                f"{where}: method {method!r} runs on a language model, but `backbones` names none; add for example "
                "`backbones: [{name: SmolLM2-135M, blocks: 6, rank: 8}]` to the configuration, or remove the method"
            )
        for backbone in chosen:
            of = backbone and _named(backbones, backbone.name, f"{where}: backbone")
            name = f"{backbone.name} x{backbone.blocks}" if backbone else ""
            if of and (deep := many_blocks(of, backbone)):
                left_out(deep, backbone=name)
                continue
            options = _options(spec, backbone, merged(layers("options")))
            run = Run(
                task="short-term" if entry.split.rule == "published" else experiment_task(section.train_percent),
                dataset=dataset,
                data_sha256=entry.sha256 or _digest_of_own(entry),
                reading=entry.reading_text,
                calendar=calendar_of(entry, of_dataset, method=code, where=where),
                split=entry.split,
                season=entry.season,
                variates=entry.variates,
                **sizes,
                train_percent=section.train_percent,
                variant=method,
                method=spec.method,
                options=options,
                training=_training(spec, layers("training"), options),
                backbone=_backbone(backbone, spec, of),
                prompt=_prompt(entry, datasets, spec.method, options, **sizes),
                seed=0,
                precision=precision,
                device=config.device,
            )
            wanted = _override("compile", method, spec, section, config) or config.compile
            sizes_of_data = {"rows": entry.rows, "frequency": entry.frequency}
            run = dataclasses.replace(run, compiled=compiled(wanted, run, **sizes_of_data))
            if entry.split.rule == "published":
                require_m4_run(run)
            # A sweep sets its own numbers of variates.
            sized = dataclasses.replace(run, variates=1) if experiment == EFFICIENCY else run
            if left_out(*obstacles_of(sized, entry, of), backbone=name):
                continue
            # A method that trains nothing has no randomness: one seed is enough.
            for seed in (own_seeds or section.seeds or config.seeds) if code.trains else (0,):
                yield dataclasses.replace(run, seed=seed)


def experiment_task(percent: int) -> str:
    """The folder that a run lives under: experiments with the same task share their runs."""
    return "long-term" if percent == 100 else f"few-shot-{percent}pct"


def _named(catalogue: Mapping, name: str, where: str):
    if name not in catalogue:
        hint = did_you_mean(name, catalogue)
        # The suggestion comes first, because the list is long.
        raise InputError(f"{where} {name!r} is not in the catalogue{hint}; it has {', '.join(catalogue)}")
    return catalogue[name]


def _digest_of_own(entry: Dataset) -> str | None:
    """The SHA-256 of a user-supplied file that the catalogue does not pin, so that an edit makes another run."""
    files = [Path(file.source).expanduser() for file in entry.files]
    return "+".join(sha256_of(file) for file in files) if all(file.is_file() for file in files) else None


def _options(spec: MethodEntry, backbone: LanguageModel | None, settings: Mapping):
    method = method_of(spec.method)
    if backbone and "rank" in {field.name for field in dataclasses.fields(method.options)}:
        settings = {"rank": backbone.rank} | settings
    return method.options_from(settings)


def _training(spec: MethodEntry, layers: Sequence[Layer], options) -> Training | None:
    method = method_of(spec.method)
    if not method.trains:
        return None
    training = Training(**merged(layers))
    if training.sampling == "variates" and not method.forecasts_alone(options):
        said = f"{place_of('sampling', layers)}: sampling is 'variates'"
        if method.network == method.name:  # a network's class, which has no record that could say so
            raise InputError(
                f"{said}, and nothing says that {spec.method!r} forecasts each variate alone; set it to 'windows', or "
                f"name a record ({Method.__module__}.{Method.__name__}) with alone=True"
            )
        raise InputError(
            f"{said} for method {spec.method!r}, which does not forecast each variate alone; set it to 'windows'"
        )
    return training


def _chosen(method: str, spec: MethodEntry, section: Experiment, config: Configuration) -> Sequence[LanguageModel]:
    """The language models of a method: those that the experiment sets for it or for all, else the configuration's.

    If requested, its authors' own replace those that the configuration sets for all.
    """
    named = ("backbones", method, spec)
    if found := _override(*named, section) or section.backbones or _override(*named, config):
        return found
    own = spec.backbone
    if not (config.authors_backbones and own and own.name):
        return config.backbones
    rank = config.backbones[0].rank if config.backbones else 1  # not an option of methods without LoRA
    return [LanguageModel(name=own.name, blocks=own.blocks, rank=rank)]


def _automatic(config: Configuration) -> str:
    """What `auto` is here: determined once, and part of the runs' identity."""
    return "bfloat16" if is_faster(config.device, cache=Path(layout.BFLOAT16)) else "float32"


def _override(kind: str, method: str, spec: MethodEntry, *sources: Experiment | Configuration) -> Any:
    """What the first source that sets it has for a method, or for the method that it is a variant of; else None."""
    found = (getattr(source.overrides.get(name), kind, None) for source in sources for name in (method, spec.method))
    return next((value for value in found if value), None)


def _backbone(chosen: LanguageModel | None, spec: MethodEntry, entry: BackboneEntry | None) -> Backbone | None:
    if chosen is None or entry is None:
        return None
    # A control with random weights says so itself, whatever the configuration's backbone is.
    weights = (spec.backbone and spec.backbone.weights) or chosen.weights
    return Backbone(name=entry.name, blocks=chosen.blocks, pin=entry.pin, weights=weights)


def _prompt(
    entry: Dataset, datasets: Mapping[str, Dataset], method: str, options, *, context: int, horizon: int
) -> str | None:
    """The prompt's text; None for a run that reads none, so that its number does not depend on the wording."""
    if (name := method_of(method).prompt_kind(options)) is None:
        return None
    try:
        kind = prompt_kind(name)
    except InputError as error:
        raise InputError(f"method {method!r}: in its record, {error}") from error

    def filled(of: Dataset) -> str:
        return re.sub(r"\s+", " ", of.prompt.format(context=context, horizon=horizon)).strip()

    if kind.of_another:
        # Not a user-supplied one, or adding data would change other runs.
        domains = {name: of.domain for name, of in datasets.items() if not of.local or of is entry}
        entry = datasets[other_dataset(entry.name, domains=domains)]
    return text_of(name, filled(entry))
