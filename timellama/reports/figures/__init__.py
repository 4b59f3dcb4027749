"""Builders of figures, each called with a `timellama.reports.report.ReportContext`."""
