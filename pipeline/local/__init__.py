"""A whole Tideline on one machine: real engines and their workers as child processes, without Docker.

Files are named after what they look after, in the order a start meets them. The engines:

- `engines`    `up`, `down`, `status` of the pair; the only module of these that others call
- `home`       what a home folder remembers: ports, processes, endpoints
- `jars`       the engines' jars, downloaded once and held to `jars.lock.json`
- `kafka`, `cassandra`   one engine each: its configuration, its command line, how to ask whether it is ready
- `process`    a Java child that outlives us, is known again later and is never confused with another

An engine module says what is special about it; what holds for both is in `engines`.
"""
