"""Slicing: which units of a model each class needs, and how the rest is made up for.

The way through: `submission.check_submission` once a model, `planner.make_plan`,
`fragments.slice_classes`. Nothing is imported here: the server reads `version`, `plan` and
`recipe`, and must not load torch for them.
"""
