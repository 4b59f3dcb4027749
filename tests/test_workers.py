"""Several workers of the test run share the cores of the machine."""

import os

import torch


def test_workers_have_no_more_threads_than_there_are_cores():
    workers, cores = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), len(os.sched_getaffinity(0))
    assert torch.get_num_threads() * workers <= max(cores, workers)
