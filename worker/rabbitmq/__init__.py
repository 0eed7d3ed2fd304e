"""RabbitMQ as the broker of a fleet: connections that do not wait for ever, queues, consumers."""
