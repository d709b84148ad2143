"""What docs/performance.md reports: `make bench` measures it, medians of several runs. Nothing here passes or fails."""
