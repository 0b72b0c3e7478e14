"""How the bundled model `mini` is made: labels, training, export, figures (docs/mini.md is its model card).

Each step is a script: `python -m visioncli.train.mini.pack`, `.teachers`, `.labels`, `.train`, `.evaluate`,
`.export`.
"""
