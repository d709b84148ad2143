"""`dumont checklist`: the acceptance checklist, run against any installation and filled in."""
