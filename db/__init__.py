"""What exists, what is wanted and what happened: tables, transactions, migrations."""
