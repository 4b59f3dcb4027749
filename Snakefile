"""Reproduces Time-LlaMA: data -> trainings -> tables and figures. Start: `snakemake -j8 reports/table_long_term.tex`.

Another configuration: `snakemake -j8 <target> --configfile config/cpu.yaml`.
"""

from snakemake.utils import min_version

from timellama.core.shipped import shipped

min_version("9.0")


# A second configfile would be merged into the first key by key, and a run with both is a run of neither.
if not workflow.config_settings.configfiles:

    configfile: shipped("config/config.yaml")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/report_facts.smk"


# The pass that makes reports of the existing results computes no result, even if some are out of date.
if not PARTIAL:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/train.smk"
    include: "workflow/rules/intervals.smk"
    include: "workflow/rules/efficiency.smk"


include: "workflow/rules/report.smk"
include: "workflow/rules/provenance.smk"


rule all:
    default_target: True
    input:
        every_report(),
        "reports/provenance.json",


onstart:
    show_time_left()


onerror:
    report_what_is_there()
