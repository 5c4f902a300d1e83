"""Everything that measures: the demo's comparison, cases, baselines, runners and reports."""
