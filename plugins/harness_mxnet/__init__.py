"""The Apache MXNet backend."""
