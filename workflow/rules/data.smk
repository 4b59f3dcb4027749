"""Published files -> checked canonical series; published weights -> prepared backbones."""


rule fetch:
    input:
        own_file,
    output:
        "results/raw/{path}",
    log:
        "results/logs/fetch/{path}.log",
    resources:
        runtime=60,
        mem_mb=500,
    params:
        artifact=lambda wildcards: dataclasses.asdict(ARTIFACTS[wildcards.path]),
        cache=CACHE,
    script:
        "../scripts/fetch.py"


rule normalise:
    input:
        raw_files,
    output:
        series="results/data/{dataset}/series.npz",
        quirks=report("results/data/{dataset}/quirks.json", category="Data"),
    log:
        "results/logs/normalise/{dataset}.log",
    resources:
        runtime=10,
        mem_mb=2000,
    params:
        facts=lambda wildcards: PLAN.datasets[wildcards.dataset].read_as,
        code=code_of("timellama.data.normalise"),
    script:
        "../scripts/normalise.py"


rule backbone:
    output:
        expand(f"{BACKBONE_FOLDER}/{{file}}", file=BACKBONE_FILES, allow_missing=True),
    log:
        "results/logs/backbone/{backbone}-x{blocks}-{weights}.log",
    resources:
        runtime=240,
        mem_mb=4000,
    params:
        entry=lambda wildcards: dataclasses.asdict(PLAN.backbones[wildcards.backbone]),
        cache=CACHE,
        code=code_of("timellama.data.backbones"),
    script:
        "../scripts/backbone.py"
