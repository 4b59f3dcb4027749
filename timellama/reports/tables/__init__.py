"""Builders of tables, each called with a `timellama.reports.report.ReportContext`."""
