"""What a process is told: `settings` the environment in one place · `names` what the engines call a domain's
topics, groups and tables · `shipped` the two folders that users edit, wherever this installation has them.
"""
