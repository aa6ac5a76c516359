"""DLMS/COSEM without IO: conversations as generators, values, frames and ciphers."""
