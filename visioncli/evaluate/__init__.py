"""Figures on standard data sets: `vision eval`.

A data set of any format becomes one of the types of `data`; a model's answers, or saved ones, become rows of
the same kind (`answers`, `saved`); one module a task counts (`boxes`, `labels`, `pixels`, `tracks`), and
`report` shows it. Nothing here is imported before the command is chosen.
"""
