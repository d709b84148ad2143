"""What exists, what is wanted and what happened: tables, transactions, migrations.

Tables point at each other across the rooms, so all of them are known wherever any is.
"""

import db.accounts.tables
import db.endpoints.tables
import db.instances.tables
import db.jobs.tables
import db.machines.tables
import db.market.tables
import db.snapshots.tables  # noqa: F401
