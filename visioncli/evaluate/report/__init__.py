"""The report: one HTML page that needs nothing else, with figures, curves and the worst mistakes."""
