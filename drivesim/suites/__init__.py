"""Suites of drives: policies put to the test on them, and the report of what came out."""
