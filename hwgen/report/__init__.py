"""report.json and the self-contained report.html of a build."""
