"""tau2-bench without a simulated user: a ticket, tools on a database, and its own evaluator."""
