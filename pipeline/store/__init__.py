"""What is kept: the six ports, Cassandra behind them, and their in-memory twins for tests."""
