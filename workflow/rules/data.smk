"""Published files -> checked canonical series; published weights -> prepared backbones."""


rule fetch:
    input:
        own_file,
    output:
        "results/raw/{path}",
    log:
        "results/logs/fetch/{path}.log",
    # Measured: 30 MB whatever the file's size. An hour lets the largest file, 136 MB, come at 40 kB/s.
    resources:
        runtime=60,
        mem_mb=megabytes(30),
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
        quirks=report(
            "results/data/{dataset}/quirks.json",
            caption="../report/quirks.rst",
            category="Data",
            labels={"data set": "{dataset}"},
        ),
    log:
        "results/logs/normalise/{dataset}.log",
    # Measured: 14 s and 673 MB for 17544 rows of 862 variates, the largest series; 2 s and 134 MB for ETTm1.
    resources:
        runtime=5,
        mem_mb=megabytes(673),
    params:
        facts=lambda wildcards: PLAN.datasets[wildcards.dataset].read_as,
        code=lambda wildcards: code_of_data(PLAN.datasets[wildcards.dataset]),
    script:
        "../scripts/normalise.py"


rule backbone:
    output:
        expand(f"{BACKBONE_FOLDER}/{{file}}", file=BACKBONE_FILES, allow_missing=True),
    log:
        "results/logs/backbone/{backbone}-x{blocks}-{weights}.log",
    # Measured: 19 s for six blocks of SmolLM2-135M. Four hours let the 13.5 GB of Llama-2 7B come at 1 MB/s.
    resources:
        runtime=240,
        mem_mb=backbone_memory,
    params:
        entry=lambda wildcards: dataclasses.asdict(PLAN.backbones[wildcards.backbone]),
        cache=CACHE,
        code=code_of("timellama.backbones.catalogue"),
    script:
        "../scripts/backbone.py"
