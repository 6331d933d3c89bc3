"""The repeated experiments on the desk: the comparison of the paper, and what its parts matter."""
