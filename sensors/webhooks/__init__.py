"""Webhooks come in: proven, kept on disk, answered.

`arrivals` starts runs for what came; everything else belongs to the receiver and knows neither
Dagster nor our subjects.
"""
