"""The wire, typed in and out: no retries, no sleeps, no Temporal, and no words of ours."""
