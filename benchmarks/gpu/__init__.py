"""The check of a machine with one GPU: `python -m benchmarks.gpu --out FOLDER`. No network, no Snakemake, minutes.

Parts run one after another, ordered by worth, each in a process of its own, so that one that fails or hangs takes no
other with it. Every number is written to `results.jsonl` as soon as it is known. `pages.py` makes the documentation's
page from that file.
"""
