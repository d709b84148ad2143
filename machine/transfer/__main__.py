from __future__ import annotations

import json
import sys

from machine.transfer import job


def main(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else ""
    if verb == "start":
        order = json.load(sys.stdin)
        print(job.start(order), flush=True)
        job.follow(order["id"])
    elif verb == "stop" and len(arguments) == 2:
        job.stop(arguments[1])
    else:
        print("usage: transfer start|stop JOB", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
