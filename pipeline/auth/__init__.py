"""Who is who: `keys` as settings have them · `tokens` of readers · `home_keys` those a home makes for
itself · `login` at Cassandra, `oauth` at Kafka (whose other settings are in `kafka.client`), `oauth_aio` for
aiokafka.
"""
