"""`python -m activesel`: the command line without an installed script."""

from activesel.cli import main

if __name__ == "__main__":
    main()
