"""Which runs have no result, why, and the command that runs each on its own."""

import dataclasses

from timellama.reports import failures
from timellama.reports.render.table_csv import written
from timellama.reports.report import ReportContext


def table(given: ReportContext) -> dict[str, str]:
    """The texts by file ending: a list in Markdown, from which a command can be copied, and tables."""
    absent = [failures.Failure(**fields) for fields in given.facts["failures"]]
    planned = given.facts["results_planned"]
    texts = failures.texts(absent, configuration=given.facts["configuration"], planned=planned)
    columns = [field.name for field in dataclasses.fields(failures.Failure)]
    return texts | {".csv": written(given.facts["failures"], columns=columns)}
