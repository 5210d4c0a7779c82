"""What is kept: the five ports, Cassandra behind them, and their in-memory twins for tests."""
