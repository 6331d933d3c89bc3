"""`python -m actwise`: the command line."""

from actwise.cli import main

main()
