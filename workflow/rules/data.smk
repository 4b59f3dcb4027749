"""Published files -> checked canonical series; published weights -> prepared backbones."""


rule fetch:
    input:
        own_file,
    output:
        layout.RAW,
    log:
        layout.FETCH_LOG,
    # Measured: 30 MB whatever the file's size. In an hour the largest file, 136 MB, arrives even at 40 kB/s.
    resources:
        runtime=60,
        mem_mb=megabytes(30),
    params:
        artifact=lambda wildcards: dataclasses.asdict(ARTIFACTS[wildcards.path]),
        cache=layout.CACHE,
    script:
        "../scripts/fetch.py"


rule normalise:
    input:
        raw_files,
    output:
        series=layout.SERIES,
        quirks=report(
            layout.QUIRKS,
            caption="../report/quirks.rst",
            category="Data",
            labels={"data set": "{dataset}"},
        ),
    log:
        layout.NORMALISE_LOG,
    # Measured: 14 s and 673 MB for 17544 rows of 862 variates, the largest series; 2 s and 134 MB for ETTm1.
    resources:
        runtime=5,
        mem_mb=megabytes(673),
    params:
        facts=lambda wildcards: MATRIX.datasets[wildcards.dataset].read_as,
        code=lambda wildcards: code_of_data(MATRIX.datasets[wildcards.dataset]),
    script:
        "../scripts/normalise.py"


rule backbone:
    output:
        expand(f"{layout.BACKBONE}/{{file}}", file=layout.BACKBONE_FILES, allow_missing=True),
    log:
        layout.BACKBONE_LOG,
    # Measured: 19 s for six blocks of SmolLM2-135M. In four hours the 13.5 GB of Llama-2 7B arrive even at 1 MB/s.
    resources:
        runtime=240,
        mem_mb=backbone_memory,
    params:
        entry=lambda wildcards: dataclasses.asdict(MATRIX.backbones[wildcards.backbone]),
        cache=layout.CACHE,
        code=code_of("timellama.backbones.catalogue"),
    script:
        "../scripts/backbone.py"
