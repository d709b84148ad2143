"""The rows that can be run so far; adding one is adding an entry to its flow's file."""

from cli.checklist.row import Row
from cli.checklist.rows import flow1, flow2, flow3, flow7, flow8

ROWS: tuple[Row, ...] = (*flow1.ROWS, *flow2.ROWS, *flow3.ROWS, *flow7.ROWS, *flow8.ROWS)
