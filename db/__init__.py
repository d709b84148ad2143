"""What exists, what is wanted and what happened: tables, transactions, migrations.

Importing any table imports all of them, because they refer to each other.
"""

import db.accounts.tables
import db.endpoints.tables
import db.instances.tables
import db.jobs.tables
import db.machines.tables
import db.market.tables
import db.snapshots.tables  # noqa: F401
