"""The converters between COSEM values and the gateway's data model."""
