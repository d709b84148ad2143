from __future__ import annotations

import json
import sys

from copying import job


def main(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else ""
    if verb == "start":
        print(job.start(json.load(sys.stdin)), flush=True)
    elif verb == "follow" and len(arguments) == 2:
        job.follow(arguments[1])
    elif verb == "stop" and len(arguments) == 2:
        job.stop(arguments[1])
    else:
        print("usage: copying start|follow JOB|stop JOB", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
