"""Our words and our pure decisions. Imports no I/O, no Temporal, no database."""
