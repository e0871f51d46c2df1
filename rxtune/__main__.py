"""`python -m rxtune` is `rxtune`."""

from rxtune.cli import main

if __name__ == "__main__":
    main()
