"""What the report of failures says: the reason from the error file, whether a result counts, and a working command."""

import json
import logging
import shlex
from pathlib import Path

import pytest

from timellama.core.jobs.job_log import job_log
from timellama.core.jobs.job_state import ProgressWriter, error_file
from timellama.reports import failures
from timellama.reports.failures import Failure, Step, absence, command, reason_of, to_markdown, to_table
from timellama.reports.render import files
from timellama.reports.render.markup import to_latex


def logged(path: Path, work) -> Path:
    """The log of a job that does `work`, made by the jobs' own logging."""
    with pytest.raises(SystemExit), job_log(str(path)):
        logging.getLogger("timellama").info("begins")
        work()
    return path


def raising(error, cause=None):
    def work():
        raise error from cause

    return work


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (raising(MemoryError("no room")), "MemoryError: no room"),
        (raising(OSError(28, "No space left on device")), "OSError: [Errno 28] No space left on device"),
        (raising(ValueError("two\n  - lines\nof it")), "ValueError: two - lines of it"),
        (raising(ValueError("outer"), cause=KeyError("inner")), "ValueError: outer"),
        (raising(MemoryError()), "MemoryError"),
    ],
)
def test_the_error_is_that_of_the_job(tmp_path, work, expected):
    assert reason_of(logged(tmp_path / "log", work)) == expected


def test_the_text_of_a_log_is_not_taken_for_an_error(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        "2026-01-01 00:00:00,000 ERROR the job failed\nTraceback (most recent call last):\nValueError: bad\n"
    )
    assert reason_of(log) is None


def test_a_successful_attempt_deletes_the_error_of_the_previous_one(tmp_path):
    log = logged(tmp_path / "fetch.csv.log", raising(ValueError("bad")))
    assert reason_of(log) == "ValueError: bad" and (tmp_path / "fetch.csv.error.json").is_file()
    with job_log(str(log)):
        pass
    assert reason_of(log) is None


def test_a_damaged_error_file_gives_no_reason(tmp_path):
    for damaged in ("", "[]", "{}", '{"type": 3}', '{"other": 1}'):
        (tmp_path / "a.error.json").write_text(damaged, encoding="utf-8")
        assert reason_of(tmp_path / "a.log") is None


def test_a_long_reason_is_truncated(tmp_path):
    found = reason_of(logged(tmp_path / "log", raising(ValueError("word " * 500))))
    assert len(found) <= failures.LONGEST and found.endswith(" ...")


@pytest.fixture
def place(tmp_path):
    """Where a run's files would be; `state` says why its result is absent."""
    step = Step(name="reading X", output=tmp_path / "series.npz", log=tmp_path / "normalise.log")
    result, log = tmp_path / "metrics.json", tmp_path / "train.log"

    class Place:
        def state(self):
            return absence(result, source_digest="new", log=log, before=[step], checkpoints=tmp_path / "kept")

        def write(self, content):
            result.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")

    found = Place()
    found.step, found.log, found.checkpoints = step, log, tmp_path / "kept"
    return found


def test_only_a_result_of_the_current_code_counts(place):
    place.write({"provenance": {"source_digest": "new"}})
    assert place.state() is None
    place.write({"provenance": {"source_digest": "old"}})
    assert place.state() == failures.OTHER_CODE
    for damaged in ("{", "[]", "{}", '{"provenance": 3}'):
        place.write(damaged)
        assert place.state().startswith("metrics.json is damaged")


def test_the_reason_is_that_of_the_first_job_that_failed(place):
    assert place.state() == failures.NOT_STARTED
    logged(place.log, raising(ValueError("its own")))
    assert place.state() == "ValueError: its own"
    logged(place.step.log, raising(ValueError("of the data")))
    assert place.state() == "not started, since reading X failed: ValueError: of the data"
    place.step.output.touch()
    assert place.state() == "ValueError: its own", "the data exist now, so their log no longer counts"
    error_file(place.log).unlink()
    assert place.state() == failures.KILLED
    writer = ProgressWriter(place.checkpoints)
    writer.write("running", step=3, total=9, seconds=1.0, resumed_at=[])
    assert place.state().startswith("killed after step 3 of 9: ")
    writer.stopped("SIGTERM")
    assert place.state() == "stopped by SIGTERM after step 3 of 9"


HOSTILE = "results/x/$(touch owned) `id`; & | 'a' \"b\" %_&$#{} \N{GREEK SMALL LETTER PI}/metrics.json"


def test_a_command_is_one_line_that_a_shell_parses_as_intended():
    text = command(HOSTILE, configfiles=["my config.yaml"], settings=["name=a b"])
    words = ["snakemake", "-j1", HOSTILE, "--configfile", "my config.yaml", "--config", "name=a b"]
    assert shlex.split(text) == words
    assert command("a", configfiles=[], settings=[]) == "snakemake -j1 a"


def test_the_report_holds_every_failure_and_says_when_there_is_none(tmp_path):
    failure = Failure(result=HOSTILE, reason="out of *memory* " * 20, command=command("a", configfiles=[], settings=[]))
    tex, md, html = (tmp_path / f"t.{ending}" for ending in ("tex", "md", "html"))
    files.write(failures.texts([failure], configuration="cpu", planned=3), tex, md, html)
    text = md.read_text(encoding="utf-8")
    assert "1 of 3 results of configuration cpu are absent" in text and r"\*memory\*" in text
    assert "\n    snakemake -j1 a\n" in text
    latex = tex.read_text(encoding="utf-8")
    assert latex.isascii() and r"\$(touch owned)" in latex and r"snakemake -j1 a \\" in latex
    page = html.read_text(encoding="utf-8")
    assert "$(touch owned) `id`; &amp; | &#x27;a&#x27;" in page and "snakemake -j1 a<" in page
    files.write(failures.texts([], configuration="cpu", planned=3), tex, md, html)
    assert md.read_text(encoding="utf-8") == "Failures: none. All 3 results of configuration cpu are present.\n"
    assert "none failed" in tex.read_text(encoding="utf-8") and "none failed" in html.read_text(encoding="utf-8")


def test_a_remark_appears_only_where_something_is_missing():
    assert failures.remark(0, 4) == ""
    assert failures.remark(1, 4).startswith("NOT COMPLETE: 1 of 4 runs have no result")
    assert (failures.mark(0, 4), failures.mark(1, 4)) == ("", "1 of 4 runs missing")


def test_an_empty_table_renders():
    table = failures.without_results("few_shot", text=failures.remark(2, 2))
    assert "None of the runs of few\\_shot" in to_latex(table) and "NOT COMPLETE" in to_latex(table)
    assert to_markdown([], text="a") == "a\n" and "none failed" in to_latex(to_table([], text="a"))
