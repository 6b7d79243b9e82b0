"""Results: metrics, baselines, and how they are shown.

Read `metrics` first: numbers of one photo, then of many. `baselines` are what a network has to beat, `evaluate`
measures weights beside them, `report` draws curves and sheets. This wing imports `inference`, `photos` and
`color`; `metrics` knows no files.
"""
