"""The door of the benchmark: `python run_bench.py --help`."""

import sys

if __name__ == "__main__":
    try:
        from fednlp.cli import main

        main()
    except KeyboardInterrupt:  # before there is anything that could be continued
        print("interrupted", file=sys.stderr)
        sys.exit(130)
