"""The check of a machine with one GPU: `python -m benchmarks.gpu --out FOLDER`. No network, no Snakemake, minutes.

Parts run one after another, the most useful first. Each runs in a separate process, so that one that fails or hangs
does not affect the others. Every number is written to `results.jsonl` as soon as it is known. `pages.py` makes the
documentation's page from that file.
"""
