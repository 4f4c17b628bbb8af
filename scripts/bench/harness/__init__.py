"""The benchmark harness of TaskRunner, started by scripts/bench/run.sh.

Each measurement is one module; what they share stands in bench.py, processes.py, servers.py and figures.py.
"""
