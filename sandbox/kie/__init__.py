"""The stand-in for kie.ai: its job API over HTTP, with faults on demand."""
