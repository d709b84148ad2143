"""`dumont doctor`: what this computer has and lacks, with the command to type."""
