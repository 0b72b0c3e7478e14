"""How fast a model runs on this machine: each combination in a process of its own, so that peaks are its own.

`plan` says what is measured and is the parent's loop, `worker` is the process that measures a combination,
`process` starts one and counts what it took, `figures` are the results, `report` shows them.
"""
