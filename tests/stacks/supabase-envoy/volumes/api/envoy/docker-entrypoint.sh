#!/bin/sh
# Starts the gateway: here the stand-in.
exec /usr/local/bin/entrypoint gateway
