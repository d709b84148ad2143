"""The /simulator routes: what no customer of the real thing could see or do. No key, loopback only."""
