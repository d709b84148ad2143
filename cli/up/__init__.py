"""`dumont up`: every process of an installation on this computer, supervised."""
