"""What is measured on machines that are hard to come by; run from the root of the repository."""
